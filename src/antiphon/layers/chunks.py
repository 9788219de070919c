"""Cuts a long sequence into chunks that are encoded separately: the cost grows linearly with the length, not with its square.

The decoder attends to the states of all chunks side by side, so evidence from different chunks meets there (fusion in the decoder, Izacard
and Grave 2021). Elements keep the positions that they have in the whole sequence.
"""

from jaxtyping import Bool, Float
from torch import Tensor

from antiphon.layers.groups import grouped, side_by_side


def cut(x: Float[Tensor, "B S D"], mask: Bool[Tensor, "B S"], length: int) -> tuple[Float[Tensor, "BN P D"], Bool[Tensor, "BN P"]]:
    """Vectors and mask with a row for each chunk; the last chunk is padded, and chunks of padding are kept.

    A chunk of nothing but padding counts as real, since attention to nothing is not a number. Nobody looks at it.
    """
    pieces, real = grouped(x, length).flatten(0, 1), grouped(mask, length).flatten(0, 1)
    return pieces, real | ~real.any(dim=1, keepdim=True)


def join(pieces: Float[Tensor, "BN P D"], batch: int, length: int) -> Float[Tensor, "B S D"]:
    """Concatenate the states of all chunks of a sequence; `length` is S."""
    return side_by_side(pieces.unflatten(0, (batch, -1)), length)
