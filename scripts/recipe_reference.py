#!/usr/bin/env python3
"""Write docs/recipes.md from the config classes: every setting with what it may be, its default, and its docstring.

The page is never edited by hand; a test compares it with what this program would write. Unusual: it walks the classes rather than the JSON
schema of recipes (`antiphon.recipe.schema`), which spells out every combination of plug-ins and says nothing of presets' values.
"""

import dataclasses
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from antiphon.contracts import registry
from antiphon.contracts.configuration import Section, plain, setting_fields
from antiphon.contracts.files import FileConfig
from antiphon.recipe.recipe import Recipe

PAGE = Path(__file__).resolve().parent.parent / "docs" / "recipes.md"

INTRODUCTION = """\
# Recipe reference

<!-- Written by scripts/recipe_reference.py from the config classes. Do not edit: run the program instead. -->

A recipe is a YAML file. `antiphon new translation german.yaml` writes one to start from, and every setting below may be put into it or
given on the command line: `--set training.optimizer.learning_rate=3e-4`. Only `task`, `data.train`, `data.validation`, `model` and a
budget in `training` have no default. A run keeps its recipe with all defaults filled in, in `recipe.yaml`.

- **Names choose.** `model`, `task`, `search`, `training.loss`, `training.optimizer` and others are made of parts that can be exchanged:
  `name` says which, and the other settings are those of that part. `model: lstm` is short for `model: {name: lstm}`, and
  `schedule: {warmup_steps: 100}` changes the default one.
- **Presets.** `model: {name: transformer, preset: base}` starts from named settings; what stands beside `preset` overrides them.
- **Paths** in a recipe start from its folder, those given by `--set` from the current one.
- **Mistakes** are reported with file, line and key, what is allowed, and the nearest name. A setting without effect is a mistake.
  `antiphon check german.yaml` [looks for them](command_line.md#check-a-recipe-before-it-runs) without training.
- **Editors** complete and explain settings by a JSON schema, which `antiphon new` writes beside the recipe, or
  [`antiphon schema`](command_line.md#recipes-in-an-editor).
- YAML 1.2 is read: `no` is a language and `3e-4` a number.
"""

# Python's words in YAML.
YAML = {"None": "null", "True": "true", "False": "false"}

# Kinds of plug-in that a recipe names, in the order of the page, with the path of their settings.
KINDS = {
    "tasks": "task",
    "models": "model",
    "heads": "model.head",
    "losses": "training.loss",
    "search": "search",
    "trackers": "training.trackers",
}


def write_page() -> str:
    """The whole page."""
    sections = [INTRODUCTION, *table("The recipe", Recipe, ""), *config_sections(Recipe, "", set())]
    return "\n".join(sections).rstrip() + "\n"


def config_sections(cls: type[Any], path: str, seen: set[Any]) -> Iterator[str]:
    """Sections of everything that is nested in a config, depth first; a class that several configs hold is described once."""
    for name, field in setting_fields(cls).items():
        inner = f"{path}.{name}" if path else name
        kind = plugin_kind(field)
        if kind is not None:
            if kind in seen or (kind == "heads" and path != "model"):
                continue
            seen.add(kind)
            for plugin_name in registry.names(kind):
                plugin = registry.find(kind, plugin_name)
                yield from table(title(KINDS[kind], plugin_name), plugin.Config, inner, presets=getattr(plugin, "presets", {}))
            for plugin_name in registry.names(kind):
                yield from config_sections(registry.find(kind, plugin_name).Config, inner, seen)
            continue
        for nested in configs_in(annotation_of(field)):
            if nested in seen:
                continue
            seen.add(nested)
            yield from table(section_of(nested, inner), nested, inner)
            yield from config_sections(nested, inner, seen)


def title(path: str, name: str) -> str:
    """The heading of one of several alternatives."""
    return f"`{path}`: {name}"


def section_of(cls: type[Any], path: str) -> str:
    """The heading under which a nested config is described."""
    if cls is FileConfig:
        return "A file of records"
    shared = {"LimitsConfig": "search.limits", "ProcessorsConfig": "search.processors", "TextConfig": "task.vocabulary"}
    path = shared.get(cls.__name__, path)
    named = cls.__pydantic_fields__.get("name")
    return title(path, named.default) if named is not None else f"`{path}`"


def table(heading: str, cls: type[Any], path: str, presets: Any = None) -> Iterator[str]:
    """A section: heading, what the config is for, and a row per setting."""
    yield f"\n## {heading}\n"
    yield " ".join((cls.__doc__ or "").split()) + "\n"
    yield "| setting | may be | default | |\n|---|---|---|---|"
    for name, field in setting_fields(cls).items():
        cells = (f"`{name}`", what_it_may_be(field, f"{path}.{name}" if path else name), default_of(field), meaning(field))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    for name, settings in (presets or {}).items():
        if name == next(iter(presets)):
            yield "\nPresets:\n"
        yield f"- `{name}`: {', '.join(f'`{key}: {yaml(value)}`' for key, value in settings.items())}"


def meaning(field: FieldInfo) -> str:
    """The docstring under a field, on one line, with Python's None, True and False as YAML's null, true and false."""
    return re.sub(r"\b(None|True|False)\b", lambda word: YAML[word[0]], " ".join((field.description or "").split()))


def what_it_may_be(field: FieldInfo, path: str) -> str:
    """The type of a setting, in words, with its bounds."""
    kind = plugin_kind(field)
    annotation = annotation_of(field)
    optional = ", or null" if type(None) in get_args(annotation) else ""
    if kind is not None:
        return ", ".join(f"[{name}]({anchor(title(KINDS[kind], name))})" for name in registry.names(kind)) + optional
    return describe(annotation, bounds(field.metadata), path)


def describe(annotation: Any, bound: str, path: str) -> str:
    """An annotation in words; `bound` is what metadata outside of it demands."""
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        inside = [item for extra in metadata for item in (extra.metadata if isinstance(extra, FieldInfo) else [extra])]
        return describe(inner, bounds(inside) or bound, path)
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        words = list(dict.fromkeys(describe(part, bound, path) for part in parts))
        return ", ".join(words) + (", or null" if type(None) in get_args(annotation) else "")
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) is tuple:
        first, *rest = get_args(annotation)
        if first is FileConfig:
            return f"[a file]({anchor('A file of records')}), or a list of files"
        if first is Any:
            return "list of values"
        kind, space, bounded = describe(first, "", path).partition(" >")
        return f"list of {'' if rest == [...] else f'{1 + len(rest)} '}{kind}s{space}{bounded}"
    if get_origin(annotation) is dict:
        key, value = get_args(annotation)
        return f"mapping of {describe(key, '', path)} to {describe(value, '', path)}"
    if hasattr(annotation, "__pydantic_fields__"):
        heading = section_of(annotation, path)
        return f"[{heading.split(': ')[-1] if ': ' in heading else 'settings'}]({anchor(heading)})"
    return {int: "integer", float: "number", bool: "`true`, `false`", str: "text", Path: "path", Any: "anything"}[annotation] + bound


def bounds(metadata: Any) -> str:
    """ " >= 1", as the metadata of a field demand."""
    signs = {Ge: (">=", "ge"), Gt: (">", "gt"), Le: ("<=", "le"), Lt: ("<", "lt")}
    found = [(*signs[type(item)], item) for item in metadata if type(item) in signs]
    return " and".join(f" {sign} {getattr(item, attribute):g}" for sign, attribute, item in found)


def default_of(field: FieldInfo) -> str:
    """The default as it would stand in a recipe; nothing for a group of settings, whose own defaults count."""
    value: Any = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    fields: Any = getattr(value, "__pydantic_fields__", None)
    if fields is None:
        return f"`{yaml(value)}`"
    if "name" not in fields:
        return ""
    defaults = {name: inner.get_default(call_default_factory=True) for name, inner in fields.items()}
    changed = [name for name in fields if name != "name" and getattr(value, name) != defaults[name]]
    settings = "".join(f", {name}: {yaml(getattr(value, name))}" for name in changed)
    return f"`{{name: {value.name}{settings}}}`" if settings else f"`{value.name}`"


def yaml(value: Any) -> str:
    """A plain value as it stands in YAML."""
    if value is None or isinstance(value, bool):
        return YAML[str(value)]
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(yaml, value)) + "]"
    if dataclasses.is_dataclass(value):
        return yaml(plain(value))
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {yaml(inner)}" for key, inner in value.items()) + "}"
    return '""' if value == "" else f"{value:g}" if isinstance(value, float) else str(value)


def plugin_kind(field: FieldInfo) -> str | None:
    """The kind of plug-in that a field holds, if it holds one."""
    for item in [*field.metadata, *(extra for part in get_args(field.annotation) for extra in getattr(part, "__metadata__", ()))]:
        kind = getattr(getattr(item, "func", None), "kind", None)
        if kind in KINDS:  # of others, such as metrics, a recipe holds the names alone
            return str(kind)
    return None


def annotation_of(field: FieldInfo) -> Any:
    """The type of a field; of a section that is imported when it is there, its config."""
    section = next((item.func for item in field.metadata if isinstance(getattr(item, "func", None), Section)), None)
    if section is None:
        return field.annotation
    return section.config() | None if section.optional else section.config()


def configs_in(annotation: Any) -> Iterator[type[Any]]:
    """The config classes that an annotation names."""
    if hasattr(annotation, "__pydantic_fields__"):
        yield annotation
    for part in get_args(annotation):
        yield from configs_in(part)


def anchor(heading: str) -> str:
    """The address of a heading within the page."""
    kept = "".join(letter for letter in heading.lower() if letter.isalnum() or letter in "-_ ")
    return "#" + kept.replace(" ", "-")


if __name__ == "__main__":
    PAGE.write_text(write_page(), encoding="utf-8")
    print(f"Wrote {PAGE}.")
