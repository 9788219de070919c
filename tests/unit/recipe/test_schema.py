"""The schema for editors takes what the program takes, and refuses what it refuses, as far as single settings go."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from antiphon.contracts import registry
from antiphon.recipe.schema import recipe_schema
from tests.unit.recipe.json_schema import mistakes

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = cache(recipe_schema)


def parsed(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


RECIPE = """
task: {name: translation, source: en, target: de}
data: {train: [a.tsv, {path: b.csv, weight: 2}], validation: 100, limits: {max_source_length: 20}}
model: {name: transformer, preset: base}
training: {max_steps: 10, optimizer: {name: adamw, learning_rate: 3e-4, betas: [0.9, 0.99]}}
search: {beam_size: 4}
"""


def changed(dotted: str, value: Any) -> Any:
    """The recipe with one setting changed."""
    recipe = parsed(RECIPE)
    *parents, last = dotted.split(".")
    place = recipe
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    return recipe


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_of_the_project_fits(path: Path) -> None:
    assert list(mistakes(parsed(path.read_text(encoding="utf-8")), SCHEMA())) == []


@pytest.mark.parametrize("task", registry.names("tasks"))
def test_every_new_recipe_fits(task: str) -> None:
    assert list(mistakes(parsed(registry.find("tasks", task).template.format(file="x.yaml")), SCHEMA())) == []


GOOD = [
    ("model", "lstm"),
    ("search", "greedy"),
    ("search", {"name": "mbr", "candidates": "sampling"}),
    ("training.loss", {"label_smoothing": 0.1}),
    ("training.loss", "my_package.my_loss"),
    ("model", {"name": "my_package.my_model", "anything": 1}),
    ("model", {"name": "lstm", "head": "pointer"}),
    ("data.train", {"source": "a.en", "target": "a.de"}),
    ("data.train", "a.tsv"),
    ("task", {"name": "forecasting", "horizon": 3, "scaling": "none", "transform": {"name": "log"}}),
]
BAD = [
    ("modle", {}),
    ("model", "lstmm"),
    ("model", {"dim": 32}),
    ("model.dimm", 32),
    ("model.dim", "wide"),
    ("model.preset", "bsae"),
    ("task", "forecasting"),  # needs a horizon
    ("search.alfa", 0.6),
    ("search.beam_size", 0),
    ("training.optimizer", "adamw"),  # no plug-in: needs its braces
    ("training.optimizer.name", "adamx"),
    ("training.optimizer.learning_rate", -1),
    ("training.max_stepz", 3),
    ("training.precision", "fp8"),
    ("data.train", []),
    ("data.train", [{"pth": "a.tsv"}]),
    ("data.validation", 0),
    ("evaluation.metrics", "bleu"),
    ("seed", 1.5),
]


@pytest.mark.parametrize(("dotted", "value"), GOOD)
def test_what_a_recipe_may_say_fits(dotted: str, value: Any) -> None:
    assert list(mistakes(changed(dotted, value), SCHEMA())) == []


@pytest.mark.parametrize(("dotted", "value"), BAD)
def test_mistakes_do_not_fit(dotted: str, value: Any) -> None:
    assert list(mistakes(changed(dotted, value), SCHEMA())) != []


def test_what_must_be_there() -> None:
    assert {mistake.removeprefix(": lacks ") for mistake in mistakes({}, SCHEMA())} == {"task", "model", "training"}


def words(schema: Any, *, named: bool = False) -> Iterator[tuple[str, Any]]:
    """The words of a schema with what they say; keys of a `named` mapping are names of settings."""
    if isinstance(schema, list):
        for part in schema:
            yield from words(part)
    elif isinstance(schema, dict):
        for key, part in schema.items():
            if not named:
                yield key, part
            yield from words(part, named=not named and key in ("properties", "$defs"))


def test_descriptions_and_defaults_are_for_people_who_write_yaml() -> None:
    said = list(words(SCHEMA()))
    descriptions = [text for word, text in said if word == "description"]
    assert len(descriptions) > 300
    assert [text for text in descriptions if re.search(r"\bNone\b|\n|Config\(", text)] == []
    defaults = [value for word, value in said if word == "default"]
    assert [value for value in defaults if isinstance(value, dict) or "(" in str(value)] == []
    assert SCHEMA()["properties"]["seed"] == {
        "default": 1,
        "description": "The seed of all random numbers.",
        "minimum": 0,
        "type": "integer",
    }
    assert json.loads(json.dumps(SCHEMA(), allow_nan=False)) == SCHEMA()


def test_each_plugin_says_what_it_is() -> None:
    said = [part for part in SCHEMA()["$defs"]["models"]["anyOf"] if "properties" in part]
    names = {part["properties"]["name"].get("const"): part["properties"]["name"]["description"] for part in said}
    assert names.items() >= {(name, registry.find("models", name).summary) for name in registry.names("models")}


def test_every_reference_leads_somewhere() -> None:
    assert {said.removeprefix("#/$defs/") for word, said in words(SCHEMA()) if word == "$ref"} <= set(SCHEMA()["$defs"])
