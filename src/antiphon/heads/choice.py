"""The head that a recipe names, or the natural one for the target."""

from typing import Any

from torch import nn

from antiphon import registry
from antiphon.interfaces import Spec, TokenSpec


def head_name(settings: Any | None, target: Spec) -> str:
    """The name of the head that a recipe names, or of the natural one for the target."""
    if settings is not None:
        return str(settings.name)
    return "categorical" if isinstance(target, TokenSpec) else "point"


def build_head(settings: Any | None, target: Spec, dim: int, tied: nn.Parameter | None = None) -> nn.Module:
    """Make the head for `target` on vectors of width `dim`; `tied` is the embedding whose weight it shares, if any."""
    plugin = registry.find("heads", head_name(settings, target))
    head: nn.Module = plugin.build(plugin.Config() if settings is None else settings, target, dim, tied)
    return head
