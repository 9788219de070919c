"""Documented code is right: the generated page is current."""

import importlib.util
from types import ModuleType

from tests.package.source_files import ROOT


def load_script(name: str) -> ModuleType:
    """A program of scripts/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_recipe_reference_is_current() -> None:
    """It is written from the config classes: run `python scripts/recipe_reference.py` after changing one."""
    assert (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8") == load_script("recipe_reference").write_page()
