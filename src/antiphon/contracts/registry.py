"""Find plug-ins by name. A plug-in is a module with a module-level `plugin`; its name is the name of its file.

`find("models", "transformer")` imports `antiphon.models.transformer` and returns its `plugin`. From outside the package a plug-in is
found by entry point (group `antiphon.models`, and so on), or by a dotted path such as `my_package.my_model`. There is no list to edit
and no decorator; nothing is imported before it is asked for.
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import entry_points
from typing import Any

from antiphon.errors import ConfigError, nearest

_TRUSTED = ContextVar("_TRUSTED", default=True)

KINDS = ("models", "tasks", "search", "metrics", "losses", "heads", "baselines", "exporters", "importers", "trackers")


def names(kind: str) -> list[str]:
    """Return the names of all plug-ins of a kind: those of the package and those of installed entry points."""
    package = importlib.import_module(f"antiphon.{kind}")
    own = [module.name for module in pkgutil.iter_modules(package.__path__) if _is_plugin(kind, module.name)]
    return sorted({*own, *(point.name for point in entry_points(group=f"antiphon.{kind}"))})


@contextmanager
def trusting(trusted: bool) -> Iterator[None]:
    """Within it, unless `trusted`, dotted paths are refused: code named by a checkpoint from elsewhere is not imported."""
    before = _TRUSTED.set(trusted and _TRUSTED.get())
    try:
        yield
    finally:
        _TRUSTED.reset(before)


def is_trusting() -> bool:
    """Whether code from outside the package may be run."""
    return _TRUSTED.get()


def find(kind: str, name: str) -> Any:
    """Return the plug-in called `name`.

    Raises ConfigError when there is no such plug-in, naming the nearest one.
    """
    if "." in name:
        return _find_by_path(kind, name)
    for point in entry_points(group=f"antiphon.{kind}"):
        if point.name == name:
            return point.load()
    if not name.isidentifier() or not _is_plugin(kind, name):
        known = names(kind)
        raise ConfigError(f"There is no {kind} plug-in `{name}`; there are: {', '.join(known)}.{nearest(name, known)}")
    return importlib.import_module(f"antiphon.{kind}.{name}").plugin


def _find_by_path(kind: str, path: str) -> Any:
    if not _TRUSTED.get():
        raise ConfigError(
            f"`{path}` names code outside Antiphon, which is not imported unless you trust it: pass `trust_code=True`, or"
            " set the environment variable ANTIPHON_TRUST_CODE=1."
        )
    try:
        return importlib.import_module(path).plugin
    except ModuleNotFoundError as error:
        raise ConfigError(f"The {kind} plug-in `{path}` cannot be imported: {error}.") from error
    except AttributeError as error:
        raise ConfigError(f"The module `{path}` must define `plugin` to be used as one of the {kind}.") from error


def _is_plugin(kind: str, name: str) -> bool:
    """Whether the module's source assigns a module-level `plugin`; decided without importing it, since that could import torch."""
    spec = importlib.util.find_spec(f"antiphon.{kind}.{name}")
    if spec is None or spec.origin is None:
        return False
    with open(spec.origin, encoding="utf-8") as source:
        return any(line.startswith(("plugin =", "plugin:")) for line in source)
