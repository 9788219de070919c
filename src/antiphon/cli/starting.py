"""Start quickly, where a command only computes.

Python looks for cycles of objects again and again while modules are loaded, and finds none. And a third of what torch loads tells tracers
what shapes its operations make, which nobody asks where another engine runs the model: it is left for later.
"""

import gc
import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, final

from antiphon.store.json_text import json_object

_SHAPES = "torch._meta_registrations"  # a name of torch's own: a version that has none of it is loaded as a whole
_WITHOUT_TORCH = ("ctranslate2", "onnx")
"""Engines that run a model by themselves."""


@contextmanager
def without_collections() -> Iterator[None]:
    """Collect no garbage while something is loaded, and count what was loaded as old, which is looked through rarely."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.unfreeze()  # into the oldest generation, without a look at it
        gc.enable()


def load_torch_for(named: Sequence[Path]) -> None:
    """Import torch: where all folders are models of engines that do without it, without the shapes of its operations, until somebody
    imports more of torch, as all that traces does."""
    folders = [path for path in named if path.is_dir()]  # the others are inputs, or remote runs
    if "torch" in sys.modules or not folders or not all(map(_does_without_torch, folders)):
        return
    sys.modules[_SHAPES] = ModuleType(_SHAPES)
    try:
        torch = importlib.import_module("torch")
    finally:
        del sys.modules[_SHAPES]
    vars(torch).pop(_SHAPES.rpartition(".")[2], None)
    sys.meta_path.insert(0, _ShapesFirst())


def _does_without_torch(run: Path) -> bool:
    try:
        header = json_object((run / "checkpoint.json").read_bytes())
    except OSError:  # a run has its checkpoints in folders; what is none is said by whoever opens it
        return False
    engine = header.get("engine")
    return isinstance(engine, dict) and engine.get("name") in _WITHOUT_TORCH


@final
class _ShapesFirst(MetaPathFinder, Loader):
    """Imports the shapes before the first other part of torch, since torch's parts import each other in that order."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """None, but for a part that came along with the shapes."""
        if not fullname.startswith("torch."):
            return None
        sys.meta_path.remove(self)
        if fullname != _SHAPES:
            importlib.import_module(_SHAPES)
        self._spec = getattr(sys.modules.get(fullname), "__spec__", None)
        return ModuleSpec(fullname, self) if fullname in sys.modules else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module that is there already."""
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """Nothing but to leave it as it was."""
        module.__spec__ = self._spec
