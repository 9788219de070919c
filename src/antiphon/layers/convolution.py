"""The convolution module of the Conformer (Gulati et al. 2020): a gate, a depthwise convolution over time, a normalization, swish.

Unusual here: padding is zero before the convolution, and batch normalization takes its statistics from real frames alone, so neither
padding nor the size of the batch's longest row changes a result. `causal` looks back only, so it can go on behind frames of which it
knows the last inputs.
"""

from typing import Literal, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from antiphon.layers.linear import Linear

ConvolutionNorm = Literal["layer", "batch"]


@final
class MaskedBatchNorm(nn.Module):
    """Batch normalization over the real frames of a batch (Ioffe and Szegedy 2015).

    In training a frame's result depends on the whole batch, and each process has statistics of its own; afterwards it does not, since the
    running statistics are used.
    """

    running_mean: Tensor
    running_variance: Tensor

    def __init__(self, dim: int, *, momentum: float = 0.1, epsilon: float = 1e-5):
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon
        self.weight, self.bias = nn.Parameter(torch.ones(dim)), nn.Parameter(torch.zeros(dim))
        self.register_buffer("running_mean", torch.zeros(dim))
        self.register_buffer("running_variance", torch.ones(dim))

    def forward(self, x: Float[Tensor, "B S D"], mask: Bool[Tensor, "B S"]) -> Float[Tensor, "B S D"]:
        """The normalized frames; values beyond a row's end have no meaning."""
        mean, variance = self._statistics(x, mask) if self.training else (self.running_mean, self.running_variance)
        normalized: Tensor = (x - mean) * (variance + self.epsilon).rsqrt() * self.weight + self.bias
        return normalized

    def _statistics(self, x: Float[Tensor, "B S D"], mask: Bool[Tensor, "B S"]) -> tuple[Tensor, Tensor]:
        real = x[mask].to(self.running_mean.dtype)
        mean, variance = real.mean(0), real.var(0, correction=0)
        with torch.no_grad():
            unbiased = variance * (len(real) / max(len(real) - 1, 1))
            self.running_mean.lerp_(mean, self.momentum)
            self.running_variance.lerp_(unbiased, self.momentum)
        return mean, variance


@final
class ConvolutionModule(nn.Module):
    """Mixes each frame with its neighbours, (B, S, D) -> (B, S, D), and returns the past for the next frames, (B, P, D)."""

    def __init__(self, dim: int, kernel_size: int, norm: ConvolutionNorm, *, causal: bool = False):
        super().__init__()
        self.expand = Linear(dim, 2 * dim)
        self.depthwise = nn.Conv1d(dim, dim, kernel_size, groups=dim)
        before = kernel_size - 1 if causal else kernel_size // 2
        self.room = (before, kernel_size - 1 - before)
        self.norm: nn.LayerNorm | MaskedBatchNorm = nn.LayerNorm(dim) if norm == "layer" else MaskedBatchNorm(dim)
        self.contract = Linear(dim, dim)

    def forward(
        self, x: Float[Tensor, "B S D"], mask: Bool[Tensor, "B S"], past: Float[Tensor, "B P D"] | None = None
    ) -> tuple[Float[Tensor, "B S D"], Float[Tensor, "B P D"]]:
        """Mix neighbouring frames of each channel. `past` is what was returned for the previous frames; silence at the beginning.

        What is given back is the past of the next frames, if all rows are full.
        """
        before, after = self.room
        assert past is None or after == 0, "what looks ahead cannot go on behind a past"
        x = nn.functional.glu(self.expand(x), dim=-1)
        x = x * mask.unsqueeze(-1).to(x.dtype)
        x = nn.functional.pad(x, (0, 0, before, after)) if past is None else torch.cat([past, x], dim=1)
        kept = x[:, x.shape[1] - before :]
        x = self._mixed(x)
        x = self.norm(x, mask) if isinstance(self.norm, MaskedBatchNorm) else self.norm(x)
        return self.contract(nn.functional.silu(x)), kept

    def _mixed(self, x: Float[Tensor, "B R D"]) -> Float[Tensor, "B S D"]:
        """The depthwise convolution; on the CPU as a 2-D convolution over images of height 1, channels last, so that no data are
        rearranged."""
        weight, bias = self.depthwise.weight, self.depthwise.bias
        if x.device.type != "cpu":
            return self.depthwise(x.transpose(1, 2)).transpose(1, 2)  # type: ignore[no-any-return]
        image = x.transpose(1, 2).unsqueeze(2)  # (B, D, 1, R), in memory (B, R, D)
        kernel = weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        mixed: Tensor = nn.functional.conv2d(image, kernel, bias, groups=len(weight))
        return mixed.squeeze(2).transpose(1, 2)
