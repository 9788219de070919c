"""Configs: every number has bounds, and choices take a bare name."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
from pydantic.fields import FieldInfo

import antiphon
from antiphon.contracts.configuration import Choice, Verdict, config, plain, setting_fields, validate, verdict
from antiphon.errors import ConfigError

# Numbers that may be anything, and why.
UNBOUNDED = {
    "RangeConfig.low": "of any setting",
    "RangeConfig.high": "of any setting",
    "NoiseConfig.signal_to_noise": "decibels, of either sign",
    "AugmentationConfig.volume": "decibels, of either sign",
    "BeamConfig.length_reward": "below 0 outputs become shorter",
    "GreedyConfig.length_reward": "below 0 outputs become shorter",
    "SamplingConfig.length_reward": "below 0 outputs become shorter",
}


def config_classes() -> Iterator[type[Any]]:
    """Every config class of the package."""
    for found in pkgutil.walk_packages(antiphon.__path__, "antiphon."):
        if not found.name.endswith("__main__"):
            for cls in vars(importlib.import_module(found.name)).values():
                if isinstance(cls, type) and hasattr(cls, "__pydantic_fields__") and cls.__module__ == found.name:
                    yield cls


def numbers(annotation: Any, metadata: list[Any]) -> Iterator[list[Any]]:
    """What is demanded of each number within an annotation."""
    if annotation in (int, float):
        yield [inner for item in metadata for inner in (item.metadata if isinstance(item, FieldInfo) else [item])]
    elif get_origin(annotation) is Annotated:
        yield from numbers(get_args(annotation)[0], [*get_args(annotation)[1:], *metadata])
    elif get_origin(annotation) is not Literal:
        for part in get_args(annotation):
            yield from numbers(part, metadata)


def fields() -> Iterator[tuple[str, list[list[Any]]]]:
    """Every field of every config, with what is demanded of each number in it."""
    for cls in config_classes():
        for name, field in cls.__pydantic_fields__.items():
            yield f"{cls.__name__}.{name}", list(numbers(field.annotation, field.metadata))


def bounded(parts: list[list[Any]], *bounds: str) -> bool:
    """Whether each number has one of the bounds."""
    return all(any(hasattr(item, bound) for item in one for bound in bounds) for one in parts)


def test_every_number_has_bounds():
    assert {name for name, parts in fields() if not bounded(parts, "ge", "gt")} == set(UNBOUNDED)


@pytest.mark.parametrize("word", ["dropout", "smoothing", "share", "momentum", "betas"])
def test_shares_have_an_upper_bound(word):
    found = [(name, parts) for name, parts in fields() if word in name.split(".")[1].split("_")]
    assert any(parts for _, parts in found)
    assert [name for name, parts in found if not bounded(parts, "le", "lt")] == []


@config
class First:
    """One of two."""

    name: Literal["first"] = "first"
    """The name."""
    size: Annotated[int, 1] = 1
    """A size."""


@config
class Second:
    """The other."""

    name: Literal["second"] = "second"
    """The name."""
    rate: float = 0.5
    """A rate."""


@config
class Holder:
    """Holds one of two, and perhaps another."""

    part: Annotated[First | Second, Choice("first")] = First(size=3)
    """The part."""
    other: Annotated[First | Second, Choice("second")] | None = None
    """Another part."""


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, Holder(part=First(size=3))),
        ({"part": "second"}, Holder(part=Second())),
        ({"part": {"size": 2}}, Holder(part=First(size=2))),
        ({"part": {"name": "second", "rate": 2}}, Holder(part=Second(rate=2.0))),
        ({"part": Second(rate=1.0)}, Holder(part=Second(rate=1.0))),
        ({"other": {"rate": 1}}, Holder(other=Second(rate=1.0))),
        ({"other": "first"}, Holder(other=First())),
        ({"other": None}, Holder()),
    ],
    ids=str,
)
def test_a_choice_takes_a_name_a_part_or_all(values, expected):
    assert validate(Holder, values) == expected
    assert validate(Holder, plain(expected)) == expected


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"part": "secnd"}, "`part.name` must be one of first, second, but is 'secnd'. Did you mean `second`?"),
        ({"part": {"rate": 1}}, "`part.rate` is not a setting. Did you mean `name`? Allowed here: name, size."),
        ({"part": {"name": "second", "size": 1}}, "`part.size` is not a setting. Did you mean `other.size`? Allowed here: name, rate."),
        ({"part": None}, "`part` must be a name, or a mapping with a `name`, but is None."),
        ({"other": 3}, "`other` must be a name, or a mapping with a `name`, but is 3."),
        ({"other": "third"}, "`other.name` must be one of first, second, but is 'third'."),
        ({"other": {"rates": 1}}, "`other.rates` is not a setting. Did you mean `rate`? Allowed here: name, rate."),
        ({"other": {"rate": float("nan")}}, "`other.rate` must be a finite number, but is nan."),
    ],
    ids=str,
)
def test_what_a_choice_refuses(values, sentence):
    with pytest.raises(ConfigError) as caught:
        validate(Holder, values)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


@config
class Judged:
    """Remembers whether its values were trusted."""

    size: Annotated[int, 1] = 1
    """A size."""
    trust: Verdict = verdict()
    """No setting."""


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"sise": 2}, "`sise` is not a setting. Did you mean `size`? Allowed here: size."),
        ({"trust": {"runs": True}}, "`trust`: it is not a setting."),
    ],
    ids=str,
)
def test_a_verdict_is_no_setting(values, sentence):
    assert list(setting_fields(Judged)) == ["size"]
    with pytest.raises(ConfigError) as caught:
        validate(Judged, values)
    assert str(caught.value) == sentence
