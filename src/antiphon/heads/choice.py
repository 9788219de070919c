"""The head that a recipe names, or the natural one for the target."""

from typing import Any

from torch import nn

from antiphon import registry
from antiphon.interfaces import Spec, TokenSpec


def build_head(settings: Any | None, target: Spec, dim: int, tied: nn.Parameter | None = None) -> nn.Module:
    """Make the head for `target` on vectors of width `dim`; `tied` is the embedding whose weight it shares, if any."""
    if settings is None:
        settings = registry.find("heads", "categorical" if isinstance(target, TokenSpec) else "point").Config()
    head: nn.Module = registry.find("heads", settings.name).build(settings, target, dim, tied)
    return head
