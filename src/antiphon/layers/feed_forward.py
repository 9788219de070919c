"""The position-wise feed-forward layer, plain or gated."""

from typing import Literal, final

from jaxtyping import Float
from torch import Tensor, nn

from antiphon.layers.dropout import Dropout
from antiphon.layers.linear import Linear

Activation = Literal["relu", "gelu", "silu"]


@final
class FeedForward(nn.Module):
    """Two linear layers with an activation between them (Vaswani et al. 2017), or three with a gate (GLU variants, Shazeer 2020)."""

    def __init__(self, dim: int, hidden_dim: int, activation: Activation, *, gated: bool, dropout: float, bias: bool = True):
        super().__init__()
        self.gated = gated
        self.expand = Linear(dim, (2 if gated else 1) * hidden_dim, bias=bias)
        self.activation = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}[activation]()
        self.dropout = Dropout(dropout)
        self.contract = Linear(hidden_dim, dim, bias=bias)

    def forward(self, x: Float[Tensor, "... D"]) -> Float[Tensor, "... D"]:
        """Transform each position separately."""
        hidden = self.expand(x)
        if self.gated:
            gate, hidden = hidden.chunk(2, dim=-1)
            hidden = self.activation(gate) * hidden
        else:
            hidden = self.activation(hidden)
        return self.contract(self.dropout(hidden))  # type: ignore[no-any-return]
