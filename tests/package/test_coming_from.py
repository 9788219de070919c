"""The page for people from other toolkits names no setting that does not exist, and no value that a setting may not have."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from ruamel.yaml import YAML

from antiphon.contracts import registry
from antiphon.recipe.recipe import Recipe
from tests.package.source_files import ROOT
from tests.package.test_documented_code import load_script

SCRIPT = load_script("recipe_reference")
PAGE = (ROOT / "docs" / "coming_from.md").read_text(encoding="utf-8")
SECTIONS = "task|data|model|training|search|evaluation|distillation|engine|seed"
SETTING = re.compile(rf"`((?:{SECTIONS})(?:\.\w+)*): ([^`]+)`|`((?:data|task)\.\w+)`")


def named(text: str) -> Iterator[tuple[str, str | None]]:
    """Our settings on the page, with their values: the second cells of its tables, and its running text."""
    for line in text.splitlines():
        own = line.rsplit(" | ", 1)[-1] if line.startswith("|") else line
        for key, value, bare in SETTING.findall(own):
            yield (key or bare), (value or None)


@cache
def classes(path: str) -> tuple[type[Any], ...]:
    """The configs that `path` may hold: several where one of its parts is a plug-in."""
    if not path:
        return (Recipe,)
    found: list[type[Any]] = []
    for field in fields(path):
        kind = SCRIPT.plugin_kind(field)
        if kind:
            found += [registry.find(kind, name).Config for name in registry.names(kind)]
        else:
            found += SCRIPT.configs_in(SCRIPT.annotation_of(field))
    return tuple(found)


def fields(path: str) -> list[FieldInfo]:
    """What `path` may be: one field, or several of that name."""
    above, _, name = path.rpartition(".")
    return [field for cls in classes(above) if (field := cls.__pydantic_fields__.get(name)) is not None and not field.exclude]


def wrong(path: str, value: str | None) -> str | None:
    """What is wrong with a setting of the page."""
    if path == "model.preset":
        presets = {name for model in registry.names("models") for name in getattr(registry.find("models", model), "presets", {})}
        return None if value in presets else f"{path} is none of {presets}"
    found = fields(path)
    if not found:
        return f"{path} is no setting"
    if value is None or any(fits(field, YAML(typ="safe").load(value)) for field in found):
        return None
    return f"{path} may not be {value}"


def fits(field: FieldInfo, value: Any) -> bool:
    """Whether a field may have a value; of a plug-in the name and the names of its settings count."""
    kind = SCRIPT.plugin_kind(field)
    if kind and isinstance(value, list):
        return set(value) <= set(registry.names(kind))
    if kind:
        name, *settings = [value] if isinstance(value, str) else [value["name"], *value]
        return name in registry.names(kind) and set(settings) <= set(registry.find(kind, name).Config.__pydantic_fields__)
    try:
        TypeAdapter(SCRIPT.annotation_of(field)).validate_python(value)
    except ValidationError:
        return False
    return True


def test_every_setting_of_the_page_exists_and_may_have_its_value() -> None:
    settings = sorted(set(named(PAGE)), key=str)
    assert len(settings) > 150, "the page's settings were not found"
    assert [said for path, value in settings if (said := wrong(path, value))] == []


@pytest.mark.parametrize(
    ("path", "value"), [("training.batch_size", "32"), ("model.attention", "bahdanau"), ("search.name", "bean"), ("model.preset", "huge")]
)
def test_a_wrong_setting_is_found(path: str, value: str) -> None:
    assert wrong(path, value)
