"""An architecture of your own in one file: the convolutional encoder-decoder (Gehring et al. 2017).

Name it in a recipe by its dotted path, and run from the folder that holds it:

    model: {name: examples.convolutional, dim: 128}
    python -m antiphon train recipe.yaml

Everything else (data, trainer, search, checkpoints, report, the conformance tests) works as with the built-in models.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from antiphon.contracts.configuration import config
from antiphon.contracts.model import Architecture, StepwiseModel
from antiphon.contracts.sequences import Memory, Output, Padded
from antiphon.contracts.specs import Spec
from antiphon.errors import ConfigError
from antiphon.heads.choice import build_head
from antiphon.layers.attention import CrossAttention, KeysValues
from antiphon.layers.frontends import Frontend
from antiphon.layers.positions import sinusoids


@config
class ConvolutionalConfig:
    """Sizes of the convolutional encoder-decoder."""

    name: Literal["examples.convolutional"] = "examples.convolutional"
    """The name of this architecture: its dotted path."""
    dim: int = 128
    """Width of the vectors."""
    encoder_layers: int = 3
    """Depth of the encoder."""
    decoder_layers: int = 3
    """Depth of the decoder."""
    kernel: int = 3
    """Elements that one convolution sees; odd."""
    dropout: float = 0.1
    """Dropout before each convolution."""


@dataclass(frozen=True)
class ConvolutionalState:
    """The last kernel - 1 inputs of every layer, and how many elements were read."""

    window: Float[Tensor, "R L window D"]
    position: Int[Tensor, " R"]


@final
class GatedConvolution(nn.Module):
    """A convolution over time with a gated linear unit and a residual connection."""

    def __init__(self, dim: int, kernel: int, dropout: float):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.convolution = nn.Conv1d(dim, 2 * dim, kernel)

    def forward(self, padded: Float[Tensor, "N time D"], residual: Float[Tensor, "N T D"]) -> Float[Tensor, "N T D"]:
        """`padded` holds kernel - 1 more steps than `residual`."""
        gated = nn.functional.glu(self.convolution(self.dropout(padded).transpose(1, 2)), dim=1)
        return (gated.transpose(1, 2) + residual) * 0.5**0.5


@final
class Convolutional(StepwiseModel):
    """Encoder, decoder with attention after every layer, head."""

    def __init__(self, settings: ConvolutionalConfig, source: Spec, target: Spec):
        super().__init__()
        self.settings, self.source, self.target = settings, source, target
        dim, kernel, dropout = settings.dim, settings.kernel, settings.dropout
        self.source_frontend, self.target_frontend = Frontend(source, dim), Frontend(target, dim)
        self.encoder = nn.ModuleList(GatedConvolution(dim, kernel, dropout) for _ in range(settings.encoder_layers))
        self.decoder = nn.ModuleList(GatedConvolution(dim, kernel, dropout) for _ in range(settings.decoder_layers))
        self.attention = nn.ModuleList(CrossAttention(dim, dim, 1, 1, head_dim=dim) for _ in range(settings.decoder_layers))
        self.head = build_head(None, target, dim)

    def encode(self, source: Padded) -> Memory:
        """Convolutions look both ways; padding is set to 0 before each, so that it is the same as the edge."""
        mask, margin = source.mask, self.settings.kernel // 2
        x = self._positioned(self.source_frontend, source.values, torch.arange(source.values.shape[1], device=mask.device))
        for layer in self.encoder:
            x = x * mask.unsqueeze(-1)
            x = layer(nn.functional.pad(x, (0, 0, margin, margin)), x)
        return Memory(x, mask)

    def project(self, memory: Memory) -> Memory:
        """Keys and values of every layer's attention."""
        return replace(memory, projections=tuple(layer.project(memory.states) for layer in self.attention))  # type: ignore[operator]

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """Convolutions look back only."""
        steps = torch.arange(inputs.values.shape[1], device=memory.mask.device)
        x = self._positioned(self.target_frontend, inputs.values, steps)
        empty = x.new_zeros(len(x), self.settings.decoder_layers, self.settings.kernel - 1, self.settings.dim)
        features, weights, _ = self._decode(x, empty, self.project(memory), attention)
        return Output(features, self.head, weights)

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> ConvolutionalState:
        """An empty past."""
        rows = len(memory.mask) * beam_size
        window = memory.states.new_zeros(rows, self.settings.decoder_layers, self.settings.kernel - 1, self.settings.dim)
        return ConvolutionalState(window, memory.mask.new_zeros(rows, dtype=torch.long))

    def step(self, last: Tensor, memory: Memory, state: ConvolutionalState, *, attention: bool = False) -> tuple[Output, Any]:
        """One element for each row."""
        x = self._positioned(self.target_frontend, last, state.position).unsqueeze(1)
        features, weights, window = self._decode(x, state.window, memory, attention)
        output = Output(features.squeeze(1), self.head, None if weights is None else weights.squeeze(1))
        return output, ConvolutionalState(window, state.position + 1)

    def _decode(
        self, x: Float[Tensor, "N T D"], past: Float[Tensor, "N L window D"], memory: Memory, wanted: bool
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """All layers over a stretch of elements; `past` is what each layer saw before them. Returns also the past after them."""
        weights, windows = None, []
        projections: tuple[KeysValues, ...] = memory.projections
        for index, (layer, attention) in enumerate(zip(self.decoder, self.attention, strict=True)):
            padded = torch.cat([past[:, index], x], dim=1)
            windows.append(padded[:, padded.shape[1] - past.shape[2] :])
            x = layer(padded, x)
            context, weights = attention(x, projections[index], memory.mask, weights=wanted)
            x = (x + context) * 0.5**0.5
        return x, weights, torch.stack(windows, dim=1)

    def _positioned(self, frontend: nn.Module, elements: Tensor, positions: Tensor) -> Tensor:
        vectors: Tensor = frontend(elements)
        return vectors + sinusoids(positions, self.settings.dim)


def build(settings: ConvolutionalConfig, source: Spec, target: Spec) -> Convolutional:
    """Make the model. Raises ConfigError for an even kernel."""
    if settings.kernel % 2 == 0:
        raise ConfigError(f"`model.kernel` must be odd, but is {settings.kernel}.")
    return Convolutional(settings, source, target)


plugin = Architecture(
    name="examples.convolutional",
    summary="Convolutional encoder-decoder with attention after every layer.",
    Config=ConvolutionalConfig,
    build=build,
)
