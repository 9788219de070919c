"""The parts of a transducer between its encoder and its search, as functions of tensors (called by `engines/transducer.py`).

    advance   symbols (R,), the predictor's state (R, ...)    -> its side of the joiner (R, J), and its state behind them
    join      sums of both sides (R, J)                       -> logits (R, V)

Sides are added before: whichever pairs a search looks at, the graph knows rows alone.
"""

from typing import final

from jaxtyping import Float, Int
from torch import Tensor, nn

from antiphon.models.transducer import Transducer


@final
class Advance(nn.Module):
    """The predictor's output after one more symbol."""

    def __init__(self, model: Transducer):
        super().__init__()
        self.model = model

    def forward(self, last: Int[Tensor, " R"], state: Tensor) -> tuple[Float[Tensor, "R J"], Tensor]:
        """(predictor output for the joiner, predictor state)."""
        return self.model.advance(last, state)


@final
class Join(nn.Module):
    """The joiner's logits for each pair of encoder and predictor outputs."""

    def __init__(self, model: Transducer):
        super().__init__()
        self.joiner = model.joiner

    def forward(self, sides: Float[Tensor, "R J"]) -> Float[Tensor, "R V"]:
        """Logits."""
        logits: Tensor = self.joiner.of_sum(sides)
        return logits
