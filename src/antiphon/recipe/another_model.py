"""Adapts a recipe whose model is changed by `--set model.name=...`: settings in the file that only suit the model named there are left out,
with a message. Settings given beside the new name are meant for the new model, and refused if it lacks them."""

import warnings
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from antiphon.contracts import registry
from antiphon.contracts.configuration import setting_fields, validate
from antiphon.contracts.trust import Trust
from antiphon.errors import ConfigError

_NAME = ("model", "name")

Keys = tuple[str, ...]


def plain_name(settings: Any) -> str | None:
    """The name in a plug-in's plain settings, which may be just the name; None where there is none."""
    name = settings.get("name") if isinstance(settings, Mapping) else settings
    return name if isinstance(name, str) else None


def leave_out_foreign(tree: Any, named: str | None, changed: Collection[Keys], trust: Trust) -> None:
    """Remove settings from a recipe that only suit the model `named` in its file, if the `changed` settings name another one.

    Settings that the other model lacks are left out, and a loss or search where it needs its own. Warns of what was left out.
    """
    name = plain_name(tree.get("model"))
    if _NAME not in changed or named is None or name is None or name == named:
        return
    try:
        plugin = registry.admit("models", name, trusted=trust.allows(name))
    except ConfigError:  # which is said when the recipe is validated
        return

    def takes_out(keys: Keys) -> bool:
        return not any(own[: len(keys)] == keys[: len(own)] for own in changed)

    foreign = list(filter(takes_out, _foreign(tree, plugin)))
    for _, key in foreign:
        del tree["model"][key]
    foreign += (kinds := list(filter(takes_out, _of_another_kind(tree, plugin, trust))))
    for *section, key in kinds:
        del (tree["training"] if section else tree)[key]
    if foreign:
        what = ", ".join(f"`{'.'.join(keys)}`" for keys in foreign)
        verb = "is" if len(foreign) == 1 else "are"
        warnings.warn(f"{what} of the recipe {verb} left out: meant for `{named}`, and not for `{name}`.", stacklevel=2)


def _foreign(tree: Any, plugin: Any) -> Iterator[Keys]:
    """Settings of the old model that the new one lacks."""
    known = {"preset", *setting_fields(plugin.Config)}
    for key, value in tree["model"].items():
        if key not in known or (key == "preset" and value not in plugin.presets):
            yield "model", key


def _of_another_kind(tree: Any, plugin: Any, trust: Trust) -> Iterator[Keys]:
    """The loss and the search, where the new model has defaults of its own and the recipe names others."""
    if plugin.defaults is None:
        return
    model = dict(tree["model"])
    preset = plugin.presets.get(model.pop("preset", None), {})
    try:
        fitting = plugin.defaults(validate(plugin.Config, {**preset, **model}, trust=trust))
    except ConfigError:
        return
    for keys, own, there in (
        (("training", "loss"), fitting.get("training", {}).get("loss"), (tree.get("training") or {}).get("loss")),
        (("search",), fitting.get("search"), tree.get("search")),
    ):
        if plain_name(own) is not None and plain_name(there) not in (None, plain_name(own)):
            yield keys
