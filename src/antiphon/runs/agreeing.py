"""Checks that processes which train together have the same program, recipe, folder and data. Differences are reported before training, with
the process and its machine: otherwise gradients of different things would be summed without a message."""

import os
import platform
import socket
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from antiphon.contracts.configuration import plain
from antiphon.data.identity import is_same
from antiphon.errors import CheckpointError, ConfigError, DataError
from antiphon.recipe.recipe import Recipe, changed_keys
from antiphon.training.distributed import Ranks
from antiphon.version import __version__

_PATHS = ("data", "model.path", "model.run")
"""Settings that may differ from machine to machine, as what is found there is compared."""
_NOTICED_WITHIN = 60.0  # seconds after which the last of network file systems shows what another machine has written


def check_same_program(recipe: Recipe, ranks: Ranks) -> None:
    """Raise ConfigError when processes have other versions or recipes than the first one."""
    versions = {"antiphon": __version__, "torch": torch.__version__, "python": platform.python_version()}
    first, *others = ranks.gather_plain({"host": socket.gethostname(), "versions": versions, "recipe": plain(recipe)})
    for rank, other in enumerate(others, start=1):
        whom = f"Process {rank} on {other['host']}"
        for name, version in first["versions"].items():
            if other["versions"][name] != version:
                raise ConfigError(
                    f"{whom} has {name} {other['versions'][name]}, but process 0 on {first['host']} has {version}. Install the same."
                )
        changes = [key for key in changed_keys(first["recipe"], other["recipe"]) if not _is_path(key)]
        if changes:
            raise ConfigError(
                f"{whom} has another recipe than process 0 on {first['host']}: {', '.join(f'`{key}`' for key in changes)} differ."
                " Give all processes the same recipe and settings."
            )


def _is_path(key: str) -> bool:
    return any(key == path or key.startswith(f"{path}.") for path in _PATHS)


def check_shared(folder: Path, ranks: Ranks) -> None:
    """Wait until the first process has arrived here, and raise CheckpointError when others do not see its folder."""
    if ranks.world == 1:
        return
    name = f".shared.partial-{uuid.uuid4().hex}" if ranks.first else ""
    if ranks.first:
        (folder / name).touch()
    try:
        name = ranks.gather_plain(name)[0]
        seen = ranks.gather_plain({"host": socket.gethostname(), "seen": _appears(folder / name)})
    finally:
        if ranks.first:
            (folder / name).unlink(missing_ok=True)
    blind = [rank for rank, one in enumerate(seen) if not one["seen"]]
    if blind:
        raise CheckpointError(
            f"Process {blind[0]} on {seen[blind[0]]['host']} does not see {folder} as process 0 on {seen[0]['host']} has made it. All"
            " processes need the run's folder: name an `--out` on a disk that their machines share."
        )


def _appears(path: Path) -> bool:
    end = time.monotonic() + _NOTICED_WITHIN
    while not path.exists():
        if time.monotonic() > end or not path.parent.is_dir():
            return False
        os.listdir(path.parent)
        time.sleep(0.2)
    return True


def check_same_data(identities: Mapping[str, Mapping[str, Any]], ranks: Ranks) -> None:
    """Raise DataError when processes have encoded, or opened, other data than the first one."""
    first, *others = ranks.gather_plain({"host": socket.gethostname(), "data": dict(identities)})
    for rank, other in enumerate(others, start=1):
        for split, identity in first["data"].items():
            if not is_same(identity, other["data"][split]):
                raise DataError(
                    f"Process {rank} on {other['host']} has other data in `data.{split}` than process 0 on {first['host']}:"
                    f" {other['data'][split]['examples']:,} and {identity['examples']:,} examples. Give all processes the same files."
                )


__all__ = ["check_same_data", "check_same_program", "check_shared"]
