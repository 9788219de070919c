"""Chooses the head: the one that a recipe names, or the default for the target."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from antiphon.contracts import registry
from antiphon.contracts.specs import Spec, TokenSpec
from antiphon.heads.parameters import ChannelParameters


def head_name(settings: Any | None, target: Spec) -> str:
    """The name of the head in the recipe, or of the default head for the target."""
    if settings is not None:
        return str(settings.name)
    return "categorical" if isinstance(target, TokenSpec) else "point"


def build_head(settings: Any | None, target: Spec, dim: int, tied: nn.Parameter | None = None) -> nn.Module:
    """Make the head for `target` on vectors of width `dim`; `tied` is the embedding whose weight it shares, if any."""
    plugin = registry.find("heads", head_name(settings, target))
    head: nn.Module = plugin.build(plugin.Config() if settings is None else settings, target, dim, tied)
    return head


def take_apart(head: nn.Module) -> Callable[[Float[Tensor, "... C D"]], Any]:
    """Apply a head for one channel to any number of channels, each with a vector of its own, by the same weights. It is no module, as it
    owns no weights."""
    if isinstance(head, nn.Linear):
        return lambda features: head(features).squeeze(-1)
    for part in head.modules():
        if isinstance(part, ChannelParameters):
            part.apart = True
    return lambda features: head(features)
