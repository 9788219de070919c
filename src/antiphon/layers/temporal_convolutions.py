"""Two convolutions over time between the frames of a recording and a Transformer, as in Whisper (Radford et al. 2022).

Unusual here: what lies behind a recording's end is zero before *each* convolution, as if there were nothing, so padding changes no result.
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu

from antiphon.contracts.sequences import Padded
from antiphon.layers.subsampling import subsampled_lengths

STRIDE = 2


@final
class TemporalConvolutions(nn.Module):
    """Frames (B, S, C) -> vectors (B, ceil(S / 2), D): kernels span the neighbouring frames, and the second convolution has a stride of
    2."""

    def __init__(self, channels: int, dim: int):
        super().__init__()
        self.widen = nn.Conv1d(channels, dim, kernel_size=3, padding=1)
        self.halve = nn.Conv1d(dim, dim, kernel_size=3, stride=STRIDE, padding=1)

    def forward(self, source: Padded) -> Padded:
        """The vectors with their lengths."""
        widened = Padded(gelu(_convolved(self.widen, source)), source.lengths)
        return Padded(gelu(_convolved(self.halve, widened)), subsampled_lengths(source.lengths, STRIDE))


def _convolved(layer: nn.Conv1d, sequences: Padded) -> Float[Tensor, "B S D"]:
    silenced = sequences.values.masked_fill(~sequences.mask.unsqueeze(-1), 0.0)
    return layer(silenced.transpose(1, 2)).transpose(1, 2)  # type: ignore[no-any-return]
