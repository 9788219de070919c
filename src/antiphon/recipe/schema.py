"""A JSON schema of recipes (draft 2020-12), with which editors complete, explain and check settings while a recipe is typed.

It is made of the config classes and of all plug-ins that are installed, so it knows whatever `read_recipe` knows of single settings. What
does not fit together (`heads` that do not divide `dim`) only `read_recipe` sees.

Unusual here: the settings of a plug-in are alternatives told apart by `name`. A name with dots is code outside the package, of which
nothing is known, so everything is allowed beside it. Where a recipe may leave the name out, the other settings decide which alternatives
are left.
"""

import re
from collections.abc import Mapping
from typing import Any, cast, final

from pydantic import TypeAdapter
from pydantic.json_schema import CoreRef, GenerateJsonSchema, JsonSchemaValue

from antiphon.contracts import registry
from antiphon.contracts.configuration import Section, setting_fields
from antiphon.recipe.recipe import Recipe

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ELSEWHERE = r"^[^.\s]+(\.[^.\s]+)+$"  # a dotted path


def recipe_schema() -> dict[str, Any]:
    """The schema, as plain values for JSON."""
    schema = TypeAdapter(Recipe).json_schema(schema_generator=_Generator)
    return {"$schema": DIALECT, "title": "Antiphon recipe", **_tidy(schema)}


@final
class _Generator(GenerateJsonSchema):
    """Pydantic's schema generator, extended by plug-ins; it describes each config class once."""

    def function_before_schema(self, schema: Any) -> JsonSchemaValue:
        resolve: Any = schema["function"]["function"]
        if isinstance(resolve, Section):
            inner = self._inner(resolve.config())
            return {"anyOf": [inner, {"type": "null"}]} if resolve.optional else inner
        kind = getattr(resolve, "kind", None)
        return self._plugins(kind, resolve.default) if kind in registry.KINDS else super().function_before_schema(schema)

    def _plugins(self, kind: str, default: str | None) -> JsonSchemaValue:
        """The alternatives of a plug-in kind, as a definition of its own, since some refer to their own kind again."""
        name, reference = self.get_cache_defs_ref_schema(CoreRef(f"{kind}_or_{default}:1" if default else f"{kind}:1"))
        if name not in self.definitions:
            self.definitions[name] = {}
            found = {plugin: registry.find(kind, plugin) for plugin in registry.names(kind)}
            full = [self._plugin(kind, plugin, needs_name=default is None) for plugin in found.values()]
            words = [
                {"const": plugin, "description": found[plugin].summary}
                for plugin, settings in zip(found, full, strict=True)
                if not {*settings.get("required", ())} - {"name"}
            ]
            path = {"type": "string", "pattern": _ELSEWHERE, "description": "Code outside Antiphon: the dotted path of a module."}
            other = {"type": "object", "properties": {"name": path}, "required": ["name"]}
            self.definitions[name] = {"anyOf": [*full, *words, other, path]}
        return reference

    def _plugin(self, kind: str, plugin: Any, *, needs_name: bool) -> JsonSchemaValue:
        """The settings of one plug-in."""
        described = self._described(plugin.Config)
        presets: Mapping[str, Any] = getattr(plugin, "presets", {})
        properties = {"name": {"const": plugin.name, "description": plugin.summary}}
        if presets:
            properties["preset"] = {
                "enum": list(presets),
                "description": "Named settings to start from; what stands beside it overrides them.",
            }
        preset = {field for field in described["properties"] if presets and all(field in settings for settings in presets.values())}
        required = [field for field in described.get("required", ()) if field not in {"name", *preset}]
        return {
            **described,
            "properties": {**properties, **{field: value for field, value in described["properties"].items() if field != "name"}},
            "required": [*(["name"] if needs_name else []), *required],
        }

    def _described(self, cls: Any) -> JsonSchemaValue:
        return self._with_docstrings(self._core(cls))

    def _inner(self, cls: Any) -> JsonSchemaValue:
        return self.generate_inner(self._core(cls))

    def _core(self, cls: Any) -> Any:
        """Pydantic's core schema of a class, with its definitions added to ours."""
        core = cls.__pydantic_core_schema__
        if core["type"] != "definitions":
            return core
        for definition in core["definitions"]:
            self.generate_inner(definition)
        return core["schema"]

    def _with_docstrings(self, schema: Any) -> JsonSchemaValue:
        """A dataclass, with descriptions from the docstrings under its fields."""
        found = super().dataclass_schema(schema)
        for name, field in setting_fields(schema["cls"]).items():
            found["properties"][name] = {"description": field.description, **found["properties"][name]}
        return found

    def dataclass_schema(self, schema: Any) -> JsonSchemaValue:
        cls = schema["cls"]
        if "ref" in schema or cls is Recipe:
            return self._with_docstrings(schema)
        name, reference = self.get_cache_defs_ref_schema(CoreRef(f"{cls.__module__}.{cls.__qualname__}:{id(cls)}"))
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name] = self._with_docstrings(schema)
        return reference

    def tagged_union_schema(self, schema: Any) -> JsonSchemaValue:
        """Classes told apart by `name`, which is required."""
        return {"oneOf": [{**self.generate_inner(cast(Any, choice)), "required": ["name"]} for choice in schema["choices"].values()]}

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        """A default that can be written as one value; for a group of settings, the defaults within it."""
        inner, default = self.generate_inner(schema["schema"]), schema.get("default")
        listed = isinstance(default, tuple) and all(isinstance(item, str | int | float) for item in default)
        plain = list(cast(Any, default)) if listed else default
        return {**inner, "default": plain} if listed or isinstance(default, str | int | float) else inner

    def field_is_present(self, field: Any) -> bool:
        """Leave out a trust verdict, which is no setting."""
        return not field.get("serialization_exclude", False)

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _tidy(schema: Any, *, named: bool = False) -> Any:
    """The schema without titles, which only repeat the names, and with descriptions written in YAML's terms.

    In a mapping that is `named` keys are names of settings, not words of the schema.
    """
    if isinstance(schema, list):
        return [_tidy(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _tidy(part, named=not named and key in ("properties", "$defs")) for key, part in schema.items() if named or key != "title"}
    if not named and isinstance(kept.get("description"), str):
        kept["description"] = re.sub(r"\bNone\b", "null", " ".join(kept["description"].split()))
    return kept
