"""A long sequence cut into chunks that the encoder reads by themselves: cost grows with the length, not with its square.

The decoder attends to the states of all chunks side by side, so evidence from different chunks meets there (fusion in the decoder, Izacard
and Grave 2021). Elements keep the positions that they have in the whole sequence.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import pad


def cut(x: Float[Tensor, "B S D"], mask: Bool[Tensor, "B S"], length: int) -> tuple[Float[Tensor, "BN P D"], Bool[Tensor, "BN P"]]:
    """Vectors and mask as rows of their own for each chunk; the last chunk is filled up, and chunks of padding stay.

    A chunk of nothing but padding counts as real, since attention to nothing is not a number. Nobody looks at it.
    """
    beyond = -x.shape[1] % length
    pieces = pad(x, (0, 0, 0, beyond)).unflatten(1, (-1, length)).flatten(0, 1)
    real = pad(mask, (0, beyond)).unflatten(1, (-1, length)).flatten(0, 1)
    return pieces, real | ~real.any(dim=1, keepdim=True)


def join(pieces: Float[Tensor, "BN P D"], batch: int, length: int) -> Float[Tensor, "B S D"]:
    """The states of all chunks of a sequence side by side; `length` is S."""
    joined: Tensor = pieces.unflatten(0, (batch, -1)).flatten(1, 2)
    return torch.narrow(joined, 1, 0, length)
