"""An engine of the tests' own, and the exporter that writes for it: `with_toy_engine` makes both known as if they came with the package."""

import sys
from pathlib import Path

import pytest

import antiphon.engines
import antiphon.exporters

HERE = Path(__file__).parent


def with_toy_engine(patch: pytest.MonkeyPatch) -> None:
    """Let `toy` be an engine and an exporter, until the patch is undone."""
    for package in (antiphon.engines, antiphon.exporters):
        name = package.__name__.rpartition(".")[2]
        patch.setattr(package, "__path__", [*package.__path__, str(HERE / name)])
        patch.delitem(sys.modules, f"{package.__name__}.toy", raising=False)
        patch.delattr(package, "toy", raising=False)
