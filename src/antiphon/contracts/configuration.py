"""Settings: frozen dataclasses, validated by pydantic, with a docstring under each field.

A config class stands directly above what it configures. `config` makes one, `validate` builds one from the plain values of a recipe,
and `plain` turns one back into plain values. `plugin_field` types a field whose class depends on the `name` in it (`model: {name: lstm,
...}`), `Choice` one whose classes are few and known, and `Section` one whose class is imported when there are values for it. Every error
names the dotted path, the value, what is allowed, and the place in the file when it is known.

Unusual: pydantic could attach the docstrings of fields to them, but reads the source of each class for that, when it is imported, which
takes as long as all the rest. `setting_fields` reads them when somebody asks.
"""

import ast
import difflib
import importlib
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import Annotated, Any, TypeVar, dataclass_transform, final, get_origin

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    TypeAdapter,
    ValidationError,
    WrapSerializer,
    WrapValidator,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic.fields import FieldInfo

from antiphon.contracts import registry
from antiphon.contracts.trust import OWN, REMEDY, Trust
from antiphon.errors import ConfigError, nearest

Config = TypeVar("Config")

Info = Any  # pydantic's ValidationInfo: a protocol that cannot be checked at run time, as the tests check all signatures

Count = Annotated[int, Field(ge=1)]
"""A whole number of at least one."""
Fraction = Annotated[float, Field(ge=0, lt=1)]
"""From 0 to below 1, such as a dropout rate, which must leave something."""

_SETTINGS = ConfigDict(extra="forbid", validate_default=True, arbitrary_types_allowed=False, allow_inf_nan=False)


@dataclass_transform(kw_only_default=True, frozen_default=True)
def config(cls: type[Config]) -> type[Config]:
    """Make a class a config: a frozen, keyword-only dataclass that refuses unknown fields and wrong types."""
    return pydantic_dataclass(cls, frozen=True, kw_only=True, config=_SETTINGS)  # type: ignore[return-value]


def setting_fields(cls: type[Any]) -> dict[str, FieldInfo]:
    """The fields that can be set in a config, in order, with descriptions; without those that are only remembered, such as a `Verdict`."""
    fields: dict[str, FieldInfo] = cls.__pydantic_fields__
    if any(field.description is None for field in fields.values()):
        for owner in cls.__mro__:  # the nearest first
            for name, text in _docstrings(owner).items() if hasattr(owner, "__pydantic_fields__") else ():
                if name in fields and fields[name].description is None:
                    fields[name].description = text
    return {name: field for name, field in fields.items() if not field.exclude}


def _docstrings(cls: type[Any]) -> dict[str, str]:
    """The docstrings under the fields that the class itself declares."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for declared, below in zip(body.body, body.body[1:], strict=False):
        text = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else None
        if isinstance(declared, ast.AnnAssign) and isinstance(declared.target, ast.Name) and isinstance(text, str):
            found[declared.target.id] = inspect.cleandoc(text)
    return found


def plugin_field(kind: str, default: str | None = None) -> Any:
    """The type of a field that holds the config of a plug-in; `name` in it decides which.

    `{name: lstm, dim: 128}` is validated by `registry.find("models", "lstm").Config`; a bare word `lstm` is short for `{name: lstm}`.
    `preset` names settings of the plug-in to start from; the others override them. `default` is the name when there is none.
    """
    return Annotated[Any, BeforeValidator(_Resolve(kind, default))]


@dataclass(frozen=True)
class _Resolve:
    """Validates the plain values of a plug-in's settings as its config."""

    kind: str
    default: str | None

    def __call__(self, value: Any, info: Info) -> Any:
        value = _settings_of(value)
        if not isinstance(value, Mapping):
            return value
        plugin, values = self.plugin(value, trust_of(info)), dict(value)
        if "preset" in values:
            values = {**_preset(plugin, values.pop("preset")), **values}
        return TypeAdapter(plugin.Config).validate_python({"name": plugin.name, **values}, context=info.context)

    def plugin(self, value: Mapping[str, Any], trust: Trust) -> Any:
        """The plug-in that the values are for."""
        name = value.get("name", self.default)
        if not isinstance(name, str):
            raise ValueError(f"needs a `name`; one of: {', '.join(registry.names(self.kind))}.")
        return registry.admit(self.kind, name, trusted=trust.allows(name))


@dataclass(frozen=True)
class _Admit:
    """Checks that a name is that of a plug-in which may be used."""

    kind: str

    def __call__(self, name: str, info: Info) -> str:
        registry.admissible(self.kind, name, trusted=trust_of(info).allows(name))
        return name


def plugin_name(kind: str) -> Any:
    """The type of a field that holds only the name of a plug-in, without settings, such as that of a metric."""
    return Annotated[str, AfterValidator(_Admit(kind))]


def _own_word(value: bool, info: Info) -> bool:
    """Refuse a recipe from elsewhere that declares code as trusted in the user's name."""
    if value and not trust_of(info).allows(str(info.field_name)):
        raise ValueError(f"it runs code that comes with a published model, which is not done unless you trust it: {REMEDY}.")
    return value


OwnWord = Annotated[bool, AfterValidator(_own_word)]
"""The type of a setting by which a user trusts code; a recipe from elsewhere must not set it in the user's place."""


def trust_of(info: Info) -> Trust:
    """The trust verdict under which settings are validated; values set in a Python program are the user's own."""
    return info.context["trust"] if info.context else OWN


def _judged(value: Any, handler: Any, info: Info) -> Trust:
    """The verdict of the validation; a verdict among the values themselves is ignored."""
    if info.context is None and isinstance(value, Trust):
        return value  # `dataclasses.replace`
    if value is not None and not isinstance(value, Trust):
        raise ValueError("it is not a setting.")
    return trust_of(info)


Verdict = Annotated[Trust, WrapValidator(_judged), Field(exclude=True)]
"""The type of a config's field that remembers the trust verdict of its validation: `trust: Verdict = verdict()`. It is no setting."""


def verdict() -> Any:
    """The default of a `Verdict` field."""
    return field(default=OWN, compare=False, repr=False)


@dataclass(frozen=True)
class Choice:
    """Marks a field that holds one of a few configs, as its `name` decides: `Annotated[CosineConfig | LinearConfig, Choice("cosine")]`.

    As for plug-ins, a bare word is short for a mapping with that `name`. `default` is the name when there is none.
    """

    default: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        """The schema of `source`, a union of configs, which are told apart by `name`."""
        return handler.generate_schema(Annotated[source, Field(discriminator="name"), BeforeValidator(self._with_name)])

    def _with_name(self, value: Any) -> Any:
        value = _settings_of(value)
        return {"name": self.default, **value} if isinstance(value, Mapping) else value


@dataclass(frozen=True)
class Section:
    """A field that holds the config called `name` of a `module` of ours, which is imported when there are values for it. `Kept` values stay
    as they are. `field_type` is its type.
    """

    module: str
    name: str
    optional: bool = False

    def __call__(self, value: Any, info: Info) -> Any:
        if isinstance(value, Kept) or (value is None and self.optional):
            return value
        return TypeAdapter(self.config()).validate_python(value, context=info.context)

    def config(self) -> Any:
        """The class of the config, imported."""
        return getattr(importlib.import_module(f"antiphon.{self.module}"), self.name)

    def field_type(self) -> Any:
        """The annotation to use as the type of the field."""
        return Annotated[Any, BeforeValidator(self), WrapSerializer(_as_kept)]


@final
class Kept:
    """Settings of a section that were validated before they were written; they become the config when one of them is accessed."""

    def __init__(self, section: Section, values: Mapping[str, Any], trust: Trust):
        self._section, self._trust, self._config = section, trust, None
        self.values = values

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if self._config is None:
            self._config = validate(self._section.config(), self.values, trust=self._trust)
        return getattr(self._config, name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kept) and self.values == other.values

    __hash__ = None  # type: ignore[assignment]


def _as_kept(value: Any, handler: Any) -> Any:
    return value.values if isinstance(value, Kept) else handler(value)


class _NoSettingsError(ValueError):
    """Raised for a value that is neither a name nor settings."""


def _settings_of(value: Any) -> Any:
    """Settings as plain values, also for a bare name; or a config that was built in Python."""
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, Mapping) or (is_dataclass(value) and hasattr(value, "name")):
        return value
    raise _NoSettingsError


def _preset(plugin: Any, name: Any) -> Mapping[str, Any]:
    presets: Mapping[str, Mapping[str, Any]] = getattr(plugin, "presets", {})
    if not isinstance(name, str) or name not in presets:
        there_are = f"it has: {', '.join(presets)}" if presets else "it has none"
        raise ValueError(f"`{plugin.name}` has no preset `{name}`; {there_are}.{nearest(str(name), presets)}")
    return presets[name]


def plain(settings: Any) -> dict[str, Any]:
    """Turn a config back into plain values, as they would stand in a recipe."""
    return TypeAdapter(type(settings)).dump_python(settings, mode="json", warnings=False)  # type: ignore[no-any-return]


def texts(values: Any) -> Iterator[str]:
    """All texts within plain values."""
    if isinstance(values, str):
        yield values
    for inner in values.values() if isinstance(values, Mapping) else values if isinstance(values, list | tuple) else ():
        yield from texts(inner)


def validate(
    cls: type[Config],
    values: Mapping[str, Any],
    *,
    trust: Trust = OWN,
    path: str = "",
    locate: Callable[[tuple[Any, ...]], str] | None = None,
) -> Config:
    """Build a config from plain values, under a trust verdict on code from outside that they name.

    `path` is the dotted path of the values within the recipe; `locate` gives "file:line: " for a path of keys.

    Raises ConfigError with one line per mistake.
    """
    try:
        return TypeAdapter(cls).validate_python(dict(values), context={"trust": trust})
    except ValidationError as error:
        lines = [_sentence(cls, values, path, item, locate) for item in error.errors(include_url=False)]
        raise ConfigError("\n".join(lines)) from error


# Where pydantic speaks of Python, or at length.
_MUST = {
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "dataclass_type": "must be a mapping of settings",
    "dict_type": "must be a mapping",
    "tuple_type": "must be a list",
    "path_type": "must be a path",
    "string_type": "must be a text",
    "bool_parsing": "must be `true` or `false`",
    "bool_type": "must be `true` or `false`",
}


def _sentence(cls: type[Any], values: Any, path: str, error: Any, locate: Callable[[tuple[Any, ...]], str] | None) -> str:
    keys = _keys(values, error["loc"])
    dotted = ".".join(str(key) for key in ((path,) if path else ()) + keys)
    place = locate(keys) if locate else ""
    kind, context = error["type"], error.get("ctx", {})
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        parent = _config_at(cls, values, keys[:-1])
        allowed = list(setting_fields(parent)) if parent else []
        here = f" Allowed here: {', '.join(allowed)}." if allowed else ""
        known = [*allowed, "preset"] if "name" in allowed else allowed  # of plug-ins that have presets
        name = str(keys[-1])
        others = _others_with(cls, keys, values)
        exactly, nearly = ("", "") if others else (_elsewhere(cls, values, path, name, alike) for alike in (1.0, 0.8))
        hint = exactly or nearest(name, known, 0.6 if others else 0.5) or nearly
        return f"{place}`{dotted}` is not a setting{others}.{hint}{here}"
    if kind in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return f"{place}`{dotted}` is missing."
    if kind == "union_tag_invalid":
        allowed = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
        there_are = ", ".join(allowed)
        return f"{place}`{dotted}.name` must be one of {there_are}, but is {context['tag']!r}.{nearest(str(context['tag']), allowed)}"
    if isinstance(context.get("error"), _NoSettingsError):
        return f"{place}`{dotted}` must be a name, or a mapping with a `name`, but is {error['input']!r}."
    if kind == "value_error":
        return f"{place}{f'`{dotted}`: ' if dotted else ''}{context['error']}"
    message = _MUST[kind].format(**context) if kind in _MUST else error["msg"].replace("Input should be", "must be")
    return f"{place}`{dotted}` {message}, but is {error['input']!r}."


def _others_with(cls: Any, keys: tuple[Any, ...], values: Any) -> str:
    """The words " of `transformer`, but of `lstm`" for a setting that another model, or search, has: the recipe may come from that one."""
    field = getattr(cls, "__dataclass_fields__", {}).get(keys[0]) if len(keys) == 2 else None
    resolve = next((one.func for one in getattr(field and field.type, "__metadata__", ()) if isinstance(one, BeforeValidator)), None)
    if not isinstance(resolve, _Resolve) or resolve.kind not in ("models", "search"):
        return ""
    named = values[keys[0]].get("name", resolve.default)
    others = [name for name in registry.names(resolve.kind) if keys[1] in registry.find(resolve.kind, name).Config.__dataclass_fields__]
    shown = [f"`{name}`" for name in others[:3]]
    return f" of `{named}`, but of {', '.join(shown)}" if shown else ""


def _elsewhere(cls: type[Any], values: Any, path: str, name: str, alike: float) -> str:
    """Where a setting of this name, or of a similar one, belongs; for a setting in the wrong section."""
    places = sorted(_places(cls, values, path), key=lambda place: place[1].count("."))
    known = dict(reversed(places))  # of equal names the outermost, then that of the first section
    near = difflib.get_close_matches(name, known, n=1, cutoff=alike)
    return f" Did you mean `{known[near[0]]}`?" if near else ""


def _places(cls: Any, values: Any, path: str, depth: int = 2) -> Iterator[tuple[str, str]]:
    """The settings of a config and of nested configs, with their dotted paths."""
    for name, one in getattr(cls, "__dataclass_fields__", {}).items():
        dotted = f"{path}.{name}" if path else name
        inner = values.get(name) if isinstance(values, Mapping) else None
        found = _class_of(one.type, {"name": inner} if isinstance(inner, str) else inner)
        if found is not None and depth:
            yield from _places(found, inner, dotted, depth - 1)
        yield name, dotted


def _keys(values: Any, location: tuple[Any, ...]) -> tuple[Any, ...]:
    """The keys of a mistake as they stand in the values; pydantic also lists validators and the tags of unions on the way."""
    keys: list[Any] = []
    for position, key in enumerate(location):
        if (isinstance(values, Mapping) and key in values) or (
            isinstance(values, list | tuple) and isinstance(key, int) and key < len(values)
        ):
            values = values[key]
        elif (isinstance(values, Mapping) and position < len(location) - 1) or (
            isinstance(key, str) and ("(" in key or "[" in key or "-" in key)
        ):
            continue
        keys.append(key)
    return tuple(keys)


def _config_at(cls: Any, values: Any, keys: tuple[Any, ...]) -> Any:
    """The config class at a path, following plug-in names and union tags; None when it cannot be determined."""
    free = False
    for key in keys:
        values = values.get(key) if isinstance(values, Mapping) else None
        if free:  # a key of a mapping, which may be any
            free = False
            continue
        field = getattr(cls, "__dataclass_fields__", {}).get(key)
        if field is None:
            return None
        cls, free = _class_of(field.type, values), get_origin(field.type) is dict
    return cls if hasattr(cls, "__dataclass_fields__") else None


def _class_of(annotation: Any, values: Any) -> Any:
    """The config class that an annotation leads to, given the values."""
    for validator in getattr(annotation, "__metadata__", ()):
        if isinstance(validator, BeforeValidator) and isinstance(validator.func, Section):
            return validator.func.config()
        if isinstance(validator, BeforeValidator) and isinstance(validator.func, _Resolve) and isinstance(values, Mapping):
            return registry.find(validator.func.kind, values.get("name", validator.func.default)).Config
        if isinstance(validator, Choice) and isinstance(values, Mapping):
            values = {"name": validator.default, **values}
    if hasattr(annotation, "__dataclass_fields__"):
        return annotation
    candidates = [found for part in getattr(annotation, "__args__", ()) if (found := _class_of(part, values)) is not None]
    name = values.get("name") if isinstance(values, Mapping) else None
    named = [cls for cls in candidates if name is not None and getattr(cls.__dataclass_fields__.get("name"), "default", None) == name]
    return next(iter(named or candidates), None)
