"""One number per channel."""

from typing import Literal

from torch import nn

from antiphon.contracts.configuration import config
from antiphon.contracts.model import HeadPlugin
from antiphon.contracts.specs import Spec, ValueSpec
from antiphon.errors import ConfigError


@config
class PointConfig:
    """A point prediction for each channel."""

    name: Literal["point"] = "point"
    """The name of this head."""


def build(settings: PointConfig, target: Spec, dim: int, tied: nn.Parameter | None) -> nn.Module:
    """A linear layer (B, T, D) -> (B, T, C). Raises ConfigError when the target is made of symbols, or an embedding is tied."""
    if not isinstance(target, ValueSpec) or tied is not None:
        raise ConfigError("`model.head.name` must be `categorical` when the target is made of symbols, but is `point`.")
    return nn.Linear(dim, target.channels)


plugin = HeadPlugin(name="point", summary="One number per channel.", Config=PointConfig, build=build, loss="squared_error")
