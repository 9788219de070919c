"""Logits over a vocabulary."""

from typing import Literal, final

from jaxtyping import Float
from torch import Tensor, nn

from antiphon.contracts.configuration import config
from antiphon.contracts.model import HeadPlugin
from antiphon.contracts.specs import Spec, TokenSpec
from antiphon.errors import ConfigError
from antiphon.layers.linear import Product


@config
class CategoricalConfig:
    """One logit per symbol."""

    name: Literal["categorical"] = "categorical"
    """The name of this head."""
    bias: bool = False
    """Whether each symbol has a bias of its own."""


@final
class Categorical(nn.Module):
    """A linear layer, whose weight may be the target's embedding (Press and Wolf 2017).

    A loss may read `weight` and `bias` to fuse the projection with its own arithmetic, and so never hold all logits in memory.
    """

    def __init__(self, dim: int, size: int, *, bias: bool, tied: nn.Parameter | None):
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(nn.Linear(dim, size).weight.data)) if tied is None else tied
        self.bias = nn.Parameter(nn.init.zeros_(nn.Linear(1, size).bias.data)) if bias else None
        self.product = Product()

    def forward(self, features: Float[Tensor, "... D"]) -> Float[Tensor, "... V"]:
        """Unnormalized log-probabilities."""
        logits: Tensor = self.product(features, self.weight, self.bias)
        return logits


def build(settings: CategoricalConfig, target: Spec, dim: int, tied: nn.Parameter | None) -> nn.Module:
    """Make the head. Raises ConfigError when the target is not made of symbols, or the tied embedding has another width."""
    if not isinstance(target, TokenSpec):
        raise ConfigError("`model.head.name` must not be `categorical` when the target is real-valued.")
    if tied is not None and tied.shape[1] != dim:
        raise ConfigError(f"Tied embeddings must be as wide as what the head reads ({dim}), but are {tied.shape[1]} wide.")
    return Categorical(dim, target.size, bias=settings.bias, tied=tied)


plugin = HeadPlugin(name="categorical", summary="Logits over a vocabulary.", Config=CategoricalConfig, build=build, loss="cross_entropy")
