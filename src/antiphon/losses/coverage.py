"""The coverage loss penalizes attending again to the same places of the source (See, Liu and Manning 2017, equation 12).

A step pays, for each place of the source, the smaller of its attention now and of all attention before. A model that pays it learns to
move on, and so repeats itself less.
"""

from jaxtyping import Float
from torch import Tensor

from antiphon.contracts.sequences import Output
from antiphon.errors import ConfigError


def coverage_loss(output: Output) -> Float[Tensor, "B T"]:
    """The overlap of each step's attention with the sum of the earlier ones, from 0 (all new) to 1.

    Raises ConfigError when the output comes without attention.
    """
    if output.attention is None:
        raise ConfigError(
            "`training.loss.coverage` needs a model that always gives its attention: `lstm` with `model.attention`, or a model with"
            " `model.head: pointer`. Set it to 0."
        )
    attention = output.attention.float()
    before = attention.cumsum(dim=1) - attention
    return attention.minimum(before).sum(dim=-1)
