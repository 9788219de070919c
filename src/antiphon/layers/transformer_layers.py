"""The layers of a Transformer: attention and feed-forward layers with their residuals, and elements with positions."""

from collections.abc import Callable
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from antiphon.contracts.packing import Segments
from antiphon.contracts.specs import Spec
from antiphon.errors import ConfigError
from antiphon.layers.attention import CrossAttention, KeysValues, Rotation, SelfAttention
from antiphon.layers.dropout import Dropout
from antiphon.layers.feed_forward import FeedForward
from antiphon.layers.frontends import Frontend
from antiphon.layers.positions import RelativeBias, Rotary, sinusoid_at, sinusoids
from antiphon.layers.sliding_window import SlidingWindow, near, sliding_window
from antiphon.layers.ssru import SSRU
from antiphon.layers.transformer_config import TransformerConfig


def make_norm(settings: TransformerConfig) -> nn.Module:
    """LayerNorm or RMSNorm, depending on the settings."""
    if settings.norm == "rms":
        return nn.RMSNorm(settings.dim, eps=settings.norm_epsilon)
    return nn.LayerNorm(settings.dim, eps=1e-5 if settings.norm_epsilon is None else settings.norm_epsilon)


@final
class SubLayer(nn.Module):
    """Normalization and the residual connection around attention or a feed-forward layer."""

    def __init__(self, settings: TransformerConfig):
        super().__init__()
        self.norm = make_norm(settings)
        self.pre = settings.norm_position == "pre"
        self.dropout = Dropout(settings.dropout)

    def forward(self, x: Float[Tensor, "... D"], inner: Callable[[Tensor], Tensor]) -> Float[Tensor, "... D"]:
        """x + inner(norm(x)), or norm(x + inner(x))."""
        if self.pre:
            return x + self.dropout(inner(self.norm(x)))  # type: ignore[no-any-return]
        return self.norm(x + self.dropout(inner(x)))  # type: ignore[no-any-return]


def _self_attention(settings: TransformerConfig) -> SelfAttention:
    return SelfAttention(
        settings.dim,
        settings.heads,
        settings.key_value_heads or settings.heads,
        head_dim=settings.dim // settings.heads,
        dropout=settings.attention_dropout,
        bias=settings.bias,
    )


def _feed_forward(settings: TransformerConfig, hidden_dim: int) -> FeedForward:
    return FeedForward(
        settings.dim, hidden_dim, settings.activation, gated=settings.gated, dropout=settings.activation_dropout, bias=settings.bias
    )


@final
class EncoderLayer(nn.Module):
    """Self-attention, then feed-forward."""

    stands_alone = True

    def __init__(self, settings: TransformerConfig):
        super().__init__()
        self.attention, self.attention_residual = _self_attention(settings), SubLayer(settings)
        self.feed_forward, self.feed_forward_residual = _feed_forward(settings, settings.feed_forward_dim), SubLayer(settings)

    def forward(self, x: Float[Tensor, "B S D"], mask: Tensor | SlidingWindow | None, rotation: Rotation | None) -> Float[Tensor, "B S D"]:
        """One layer over the whole source."""
        x = self.attention_residual(x, lambda y: self.attention(y, mask, rotation=rotation))
        return self.feed_forward_residual(x, self.feed_forward)  # type: ignore[no-any-return]


@final
class DecoderLayer(nn.Module):
    """Causal self-attention or recurrence, attention to the memory (unless `crosses` is False), then feed-forward."""

    stands_alone = True

    def __init__(self, settings: TransformerConfig, *, crosses: bool = True):
        super().__init__()
        hidden_dim = settings.decoder_feed_forward_dim or settings.feed_forward_dim
        heads, groups = settings.heads, settings.key_value_heads or settings.heads
        self.attention = _self_attention(settings) if settings.decoder == "attention" else None
        self.recurrence = SSRU(settings.dim, bias=settings.bias) if settings.decoder == "ssru" else None
        self.attention_residual = SubLayer(settings)  # around either
        self.cross: CrossAttention | None = None
        self.cross_residual: SubLayer | None = None
        if crosses:
            self.cross = CrossAttention(
                settings.dim,
                settings.dim,
                heads,
                groups,
                head_dim=settings.dim // heads,
                dropout=settings.attention_dropout,
                bias=settings.bias,
                shown_heads=settings.alignment_heads,
            )
            self.cross_residual = SubLayer(settings)
        self.feed_forward, self.feed_forward_residual = _feed_forward(settings, hidden_dim), SubLayer(settings)

    def forward(
        self,
        x: Float[Tensor, "N *T D"],
        look_back: Callable[[Tensor], Tensor],
        memory: KeysValues | Float[Tensor, "B S M"] | None,
        memory_mask: Tensor | None,
        weights: bool,
    ) -> tuple[Float[Tensor, "N *T D"], Tensor | None]:
        """One layer; `look_back` is attention or recurrence over the sequence, or over one step and the state of those before.

        `memory` is what `project` gives, or states that are still to be projected; None where the layer does not attend to one. A step may
        be (R, D), without T; unless weights are asked for, the mask is then what `CrossAttention.step` takes.
        """
        if isinstance(memory, Tensor):
            memory = self.project(memory)
        x = self.attention_residual(x, look_back)
        found: Tensor | None = None
        cross, residual = self.cross, self.cross_residual
        if cross is not None and residual is not None and memory is not None:

            def attend_memory(y: Tensor) -> Tensor:
                nonlocal found
                if y.dim() == 2 and not weights:
                    return cross.step(y, memory, memory_mask)
                mixed, found = cross(y if y.dim() == 3 else y.unsqueeze(1), memory, memory_mask, weights=weights)
                return mixed.view(y.shape)  # type: ignore[no-any-return]

            x = residual(x, attend_memory)
        return self.feed_forward_residual(x, self.feed_forward), found

    def project(self, states: Float[Tensor, "B S D"]) -> KeysValues | None:
        """Keys and values of the memory's states; None where the layer does not attend to them."""
        return None if self.cross is None else self.cross.project(states)


@final
class Positioned(nn.Module):
    """Elements with their positions: a frontend, added positions, and the position information that attention layers need.

    Without `attends` no layer attends to these elements themselves: then only added positions matter. Without `project_values` values are
    vectors already, as subsampling makes them. `says` is whether these are what a decoder has said, which begin with the start symbol.
    """

    def __init__(
        self,
        settings: TransformerConfig,
        spec: Spec,
        *,
        bidirectional: bool,
        attends: bool = True,
        project_values: bool = True,
        says: bool = False,
    ):
        super().__init__()
        self.kind, self.heads = settings.positions, settings.heads
        scale = settings.dim**0.5 if settings.scale_embeddings else 1.0
        zero_start = says and settings.start_embedding == "zeros"
        self.frontend = Frontend(spec, settings.dim, scale=scale, project_values=project_values, zero_start=zero_start)
        self.dropout = Dropout(settings.dropout)
        self.norm = make_norm(settings) if settings.norm_position == "post" and settings.positions == "learned" else nn.Identity()
        self.table = nn.Embedding(settings.max_positions, settings.dim) if self.kind == "learned" else None
        self.rotary = Rotary(settings.dim // settings.heads) if self.kind == "rotary" and attends else None
        self.bias = RelativeBias(settings.heads, bidirectional=bidirectional) if self.kind == "relative" and attends else None

    def embed(self, elements: Tensor, positions: Int[Tensor, "..."], factors: Int[Tensor, "B T K"] | None = None) -> Float[Tensor, "... D"]:
        """Vectors for elements at positions; `positions` is (T,) for a sequence, (B, T) where rows hold several, and (R,) for
        a step."""
        x = self.frontend(elements, factors)
        if self.kind == "sinusoidal":
            x = x + sinusoids(positions, x.shape[-1]).to(x.dtype)
        elif self.table is not None:
            x = x + self.table(positions)
        return self.dropout(self.norm(x))  # type: ignore[no-any-return]

    def embed_at(self, elements: Tensor, place: int) -> Float[Tensor, "R D"]:
        """Like `embed`, for rows that are all at the same position."""
        x = self.frontend(elements)
        if self.kind == "sinusoidal":
            x = x + sinusoid_at(place, x.shape[-1], x.dtype, x.device)
        elif self.table is not None:
            x = x + self.table.weight[place]
        return self.dropout(self.norm(x))  # type: ignore[no-any-return]

    def visible(
        self, mask: Bool[Tensor, "B S"], dtype: torch.dtype, *, window: int | None = None, global_positions: int = 0, ahead: bool = True
    ) -> Tensor | SlidingWindow:
        """What an encoder's attention needs: the mask of real elements, with biases of relative positions, and with the window; without
        `ahead` no state attends to later ones."""
        length = mask.shape[1]
        real = mask[:, None, None, :]
        if window is not None and torch.compiler.is_exporting():  # as one mask, since the number of blocks would be fixed
            real = real & near(length, window, global_positions, mask.device)
        elif window is not None and window + 1 < length:  # else every state sees all others
            return sliding_window(mask, window, global_positions, self.bias, dtype)
        if not ahead:
            real = real & torch.ones(length, length, dtype=torch.bool, device=mask.device).tril()
        if self.bias is None:
            return real
        positions = torch.arange(length, device=mask.device)
        return self.bias(positions, positions).to(dtype).masked_fill(~real, float("-inf"))  # type: ignore[no-any-return]

    def of_pairs(self, segments: Segments, dtype: torch.dtype, *, causal: bool = False) -> Tensor:
        """What self-attention needs where a row holds several packed sequences: the mask of pairs in the same sequence, with biases of
        relative positions; `causal` ones attend to nothing later."""
        visible = segments.sees(segments)
        if causal:
            visible = visible.tril()
        if self.bias is None:
            return visible.unsqueeze(1)
        places = segments.positions
        return self.bias(places, places.unsqueeze(1)).to(dtype).masked_fill(~visible.unsqueeze(1), float("-inf"))  # type: ignore[no-any-return]

    def rotation(self, positions: Int[Tensor, "..."]) -> Rotation | None:
        """The angles of rotary positions (T,), or (B, T) where each row has its own; None for other kinds."""
        if self.rotary is None:
            return None
        cosines, sines = self.rotary.angles(positions)
        return (cosines, sines) if positions.dim() == 1 else (cosines.unsqueeze(1), sines.unsqueeze(1))

    @property
    def longest(self) -> int | None:
        """The greatest number of elements that have a position; None for no limit."""
        return None if self.table is None else self.table.num_embeddings

    def check(self, length: int) -> None:
        """Raises ConfigError when a sequence has more steps than learned positions."""
        if not torch.compiler.is_exporting() and self.longest is not None and length > self.longest:
            raise ConfigError(
                f"`model.max_positions` must be at least the length of the longest sequence ({length}), but is {self.longest}."
                " Raise it, limit the length, or use `model.positions: rotary`."
            )
