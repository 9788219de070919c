"""As much of JSON Schema (draft 2020-12) as the schema of recipes uses; a word of it that is not known here is an error."""

import re
from collections.abc import Iterator
from typing import Any

SAID = {"$schema", "$defs", "title", "description", "default", "format"}  # that nothing is checked against
TYPES: dict[str, Any] = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "null": type(None)}
BOUNDS = {
    "minimum": lambda value, bound: value >= bound,
    "maximum": lambda value, bound: value <= bound,
    "exclusiveMinimum": lambda value, bound: value > bound,
    "exclusiveMaximum": lambda value, bound: value < bound,
}
SIZES = {
    "minItems": lambda value, bound: len(value) >= bound,
    "maxItems": lambda value, bound: len(value) <= bound,
    "minLength": lambda value, bound: len(value) >= bound,
}


def mistakes(value: Any, schema: dict[str, Any], whole: dict[str, Any] | None = None, path: str = "") -> Iterator[str]:
    """Where a value is not what the schema says; nothing when it is."""
    whole = whole or schema
    known = {**BOUNDS, **SIZES}
    for word, said in schema.items():
        if word in SAID or word in ("items", "prefixItems", "properties"):
            continue
        if word == "$ref":
            yield from mistakes(value, whole["$defs"][said.removeprefix("#/$defs/")], whole, path)
        elif word in ("anyOf", "oneOf"):
            fits = sum(not any(mistakes(value, one, whole, path)) for one in said)
            if fits == 0 or (word == "oneOf" and fits > 1):
                yield f"{path}: fits {fits} of {word}"
        elif word == "type":
            if not is_type(value, said):
                yield f"{path}: is no {said}"
        elif word in ("const", "enum"):
            if value not in (said if word == "enum" else [said]):
                yield f"{path}: is not {said}"
        elif word == "required":
            yield from (f"{path}: lacks {key}" for key in said if isinstance(value, dict) and key not in value)
        elif word == "additionalProperties":
            others = (
                {key: part for key, part in value.items() if key not in schema.get("properties", {})} if isinstance(value, dict) else {}
            )
            for key, part in others.items():
                if said is False:
                    yield f"{path}.{key}: is not known"
                elif said is not True:
                    yield from mistakes(part, said, whole, f"{path}.{key}")
        elif word == "pattern":
            if isinstance(value, str) and not re.search(said, value):
                yield f"{path}: does not match {said}"
        elif word in known:
            counts = isinstance(value, int | float) and not isinstance(value, bool) if word in BOUNDS else isinstance(value, list | str)
            if counts and not known[word](value, said):
                yield f"{path}: {word} is {said}"
        else:
            raise NotImplementedError(word)
    yield from parts(value, schema, whole, path)


def parts(value: Any, schema: dict[str, Any], whole: dict[str, Any], path: str) -> Iterator[str]:
    """Mistakes in what a mapping or a list holds."""
    if isinstance(value, dict):
        for key, part in schema.get("properties", {}).items():
            if key in value:
                yield from mistakes(value[key], part, whole, f"{path}.{key}")
    if isinstance(value, list):
        first = schema.get("prefixItems", [])
        for number, (item, part) in enumerate(zip(value, first, strict=False)):
            yield from mistakes(item, part, whole, f"{path}[{number}]")
        for number, item in enumerate(value[len(first) :], len(first)):
            yield from mistakes(item, schema.get("items", {}), whole, f"{path}[{number}]")


def is_type(value: Any, name: str) -> bool:
    """Whether a value is of a JSON type; `true` is no number."""
    if name == "boolean" or isinstance(value, bool):
        return name == "boolean" and isinstance(value, bool)
    return isinstance(value, TYPES[name])
