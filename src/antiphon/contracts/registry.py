"""Find plug-ins by name. A plug-in is a module with a module-level `plugin`; its name is the name of its file.

`find("models", "transformer")` imports `antiphon.models.transformer` and returns its `plugin`. From outside the package a plug-in is
found by entry point (group `antiphon.models`, and so on), or by a dotted path such as `my_package.my_model`; an entry point does not
replace a plug-in of the package. There is no list to edit and no decorator; nothing is imported before it is asked for.

Code from outside is imported in one place, `admit`, and only with a verdict that it is trusted (`trust.py`). A recipe is validated under
such a verdict; so whoever holds its settings may use `find`, which imports nothing from outside.
"""

import importlib
import importlib.util
import pkgutil
import sys
from importlib.metadata import entry_points
from typing import Any

from antiphon.contracts.trust import REMEDY
from antiphon.errors import ConfigError, nearest

KINDS = (
    "models",
    "tasks",
    "search",
    "metrics",
    "losses",
    "heads",
    "baselines",
    "engines",
    "exporters",
    "importers",
    "protocols",
    "readers",
    "trackers",
)


def names(kind: str, *, saying: str = "") -> list[str]:
    """Return the names of all plug-ins of a kind: those in the package whose file defines `plugin`, and those of installed entry points."""
    package = importlib.import_module(f"antiphon.{kind}")
    own = [module.name for module in pkgutil.iter_modules(package.__path__) if _is_plugin(kind, module.name, saying)]
    return sorted({*own, *(point.name for point in entry_points(group=f"antiphon.{kind}"))})


def find(kind: str, name: str) -> Any:
    """Return the plug-in called `name`: one of the package, of an installed entry point, or one that was admitted earlier.

    Imports no code that nobody has admitted. Raises ConfigError when there is no such plug-in, naming the nearest one.
    """
    return admit(kind, name, trusted=name in sys.modules)


def admissible(kind: str, name: str, *, trusted: bool) -> None:
    """Raise what `admit` would raise, without importing plug-ins of this package."""
    if "." in name or not name.isidentifier() or not _is_plugin(kind, name):
        admit(kind, name, trusted=trusted)


def admit(kind: str, name: str, *, trusted: bool) -> Any:
    """Return the plug-in called `name`; the module of a dotted path is imported if it is trusted.

    Raises ConfigError when there is no such plug-in, or when it is one that may not be imported.
    """
    if "." in name:
        return _find_by_path(kind, name, trusted=trusted)
    if name.isidentifier() and _is_plugin(kind, name):  # before entry points, since looking through all that is installed takes long
        return importlib.import_module(f"antiphon.{kind}.{name}").plugin
    for point in entry_points(group=f"antiphon.{kind}"):
        if point.name == name:
            return point.load()
    known = names(kind)
    raise ConfigError(f"There is no {kind} plug-in `{name}`; there are: {', '.join(known)}.{nearest(name, known)}")


def _find_by_path(kind: str, path: str, *, trusted: bool) -> Any:
    if not all(part.isidentifier() for part in path.split(".")):
        raise ConfigError(f"The {kind} plug-in {path!r} must be a name, or a dotted path such as `my_package.my_model`.")
    if not trusted:
        raise ConfigError(f"`{path}` names code outside Antiphon, which is not imported unless you trust it: {REMEDY}.")
    try:
        return importlib.import_module(path).plugin
    except ModuleNotFoundError as error:
        raise ConfigError(f"The {kind} plug-in `{path}` cannot be imported: {error}.") from error
    except AttributeError as error:
        raise ConfigError(f"The module `{path}` must define `plugin` to be used as one of the {kind}.") from error


def _is_plugin(kind: str, name: str, saying: str = "") -> bool:
    """Whether the module's source assigns a module-level `plugin`; decided without importing it, since that could import torch."""
    spec = importlib.util.find_spec(f"antiphon.{kind}.{name}")
    if spec is None or spec.origin is None:
        return False
    with open(spec.origin, encoding="utf-8") as file:
        source = file.read()
    return ("\nplugin =" in source or "\nplugin:" in source) and saying in source
