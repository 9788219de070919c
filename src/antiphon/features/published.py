"""Published checkpoints: a folder on this machine, or a name on the hub, which is downloaded once and then kept.

Unusual here: whether the hub can be reached is asked for three seconds at most, so that a machine without network says so at once.
"""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from antiphon.errors import ConfigError, MissingPackageError

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_WANTED = ("*.json", "*.safetensors", "*.model", "*.spm", "*.txt")  # never pickled weights; code only on request
_PATIENCE = 3.0  # seconds


def need_transformers(what: str = "A pre-trained checkpoint", extra: str = "hf") -> None:
    """Raise MissingPackageError when transformers, which `what` needs and `extra` installs, is missing."""
    try:
        import transformers  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(what, "transformers", extra) from error


@contextmanager
def without_progress() -> Iterator[None]:
    """A context without the progress bars of transformers for reading and writing weights."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def published_folder(name: str, *, revision: str | None = None, code: bool = False) -> Path:
    """The folder of a checkpoint: `name` itself, or the hub's copy with that name, from the cache if it is there.

    `revision` asks for a commit on the hub; `code` also fetches the checkpoint's own code, which is not run by that.

    Raises ConfigError when there is no such folder and no such name, or when the hub cannot be reached.
    """
    if Path(name).is_dir():
        return Path(name)
    if not _HUB_NAME.fullmatch(name) or name.startswith("."):
        raise ConfigError(f"There is no folder {name}, and it is no name on the hub such as `facebook/bart-base`.")
    need_transformers()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    wanted = [*_WANTED, "*.py"] if code else list(_WANTED)
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=wanted, local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    if not hub_answers():
        raise ConfigError(
            f"`{name}` is no folder here, and was not fetched before, and the hub cannot be reached. Give the folder of a checkpoint, or"
            " fetch it where there is network."
        )
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=wanted))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ConfigError(f"`{name}` is no folder here, and the hub does not give it: {str(error).splitlines()[0]}") from error


def hub_answers() -> bool:
    """Whether the hub can be reached, and offline mode is off."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    address = urlsplit(constants.ENDPOINT)
    try:
        with socket.create_connection((address.hostname or "", address.port or 443), timeout=_PATIENCE):
            return True
    except OSError:
        return False


def settings_in(path: Path) -> dict[str, Any]:
    """The content of a JSON file in a published folder; empty if it is missing or damaged, which is reported when it is really needed."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
