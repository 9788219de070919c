"""Generate or copy: a mixture of the vocabulary and the source's own symbols, the pointer-generator (See, Liu and Manning 2017).

The probability of a symbol is that of generating it, plus the attention on the places of the source where it stands; a gate, computed from
the decoder's vector, says how much of each. Source symbols from the vocabulary's size on stand for words that the vocabulary does not
have: they can be copied, never generated.

Unusual: the head fits every decoder with attention, since it needs nothing but the decoder's vectors and weights. (In the paper the gate
also sees the context vector and the decoder's input, from which these vectors were made.) Its values are log-probabilities.
"""

from dataclasses import dataclass
from typing import Literal, Protocol, final, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from antiphon.contracts.configuration import config
from antiphon.contracts.model import HeadPlugin
from antiphon.contracts.sequences import Memory, Output
from antiphon.contracts.specs import Spec, TokenSpec
from antiphon.errors import ConfigError
from antiphon.heads.categorical import Categorical
from antiphon.layers.linear import Linear

_TINY = 1e-30  # below it a probability counts as 0; its logarithm and that of 0 must not meet in a difference


@config
class PointerConfig:
    """A mixture of generating from the vocabulary and copying from the source."""

    name: Literal["pointer"] = "pointer"
    """The name of this head."""
    bias: bool = False
    """Whether each symbol has a bias of its own."""


@final
class Pointer(nn.Module):
    """The gate and the generator; `over` combines them with the attention of given steps."""

    def __init__(self, dim: int, target: TokenSpec, *, bias: bool, tied: nn.Parameter | None):
        super().__init__()
        self.generator = Categorical(dim, target.size, bias=bias, tied=tied)
        self.gate = Linear(dim, 1)
        self.size = target.size + target.open_words

    def over(self, attention: Float[Tensor, "N T S"] | Float[Tensor, "N S"], memory: Memory) -> "Mixture":
        """The head for steps with these attention weights over the memory: N is B, or R = B * W hypotheses."""
        return over(self, attention, memory)

    def forward(self, features: Float[Tensor, "... D"]) -> tuple[Float[Tensor, "... V"], Float[Tensor, "... 1"]]:
        """(logits of the generator, logit of the gate: the log-odds of generating)."""
        return self.generator(features), self.gate(features)


@runtime_checkable
class Parts(Protocol):
    """A pointer head, or its part without weights where the weights are elsewhere."""

    size: int

    def __call__(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(logits of the generator, logit of the gate)."""
        ...


@final
@dataclass(frozen=True)
class Mixture:
    """A pointer head with the attention weights that it copies by; an output applies it to its features.

    attention   (N, T, S), or (N, S) for a single step
    symbols     (N, S): the source's symbols
    """

    head: Parts
    attention: Tensor
    symbols: Int[Tensor, "N S"]

    def __call__(self, features: Float[Tensor, "... D"]) -> Float[Tensor, "... V"]:
        """Log-probabilities over the vocabulary, followed by the open words."""
        logits, gate = self.head(features)
        generated = _precise(logits).softmax(-1) * _precise(gate).sigmoid()
        total = torch.nn.functional.pad(generated, (0, self.head.size - generated.shape[-1]))
        copied = _precise(self.attention) * (-_precise(gate)).sigmoid()
        return total.scatter_add(-1, self._symbols().expand_as(copied), copied).log()

    def parts(
        self, features: Float[Tensor, "... D"], labels: Int[Tensor, "..."]
    ) -> tuple[Float[Tensor, "..."], Float[Tensor, "..."], Float[Tensor, "..."]]:
        """Log-probabilities of generating and of copying each label, and the generator's mean log-probability over its vocabulary.

        What cannot be, such as generating an open word, has about -69 rather than minus infinity, so that gradients stay numbers.
        """
        logits, gate = (_precise(part) for part in self.head(features))
        normalizer = logits.logsumexp(-1)
        inside = labels < logits.shape[-1]
        picked = logits.gather(-1, (labels * inside).unsqueeze(-1)).squeeze(-1) - normalizer
        impossible = picked.new_full((), _TINY).log()
        generating = torch.where(inside, picked, impossible) + logsigmoid(gate.squeeze(-1))
        there = self._symbols() == labels.unsqueeze(-1)
        copying = (_precise(self.attention) * there).sum(-1).clamp(min=_TINY).log() + logsigmoid(-gate.squeeze(-1))
        return generating, copying, logits.mean(-1) - normalizer

    def select(self, places: Int[Tensor, " N"]) -> "Mixture":
        """The steps at these places among all B * T, as rows of single steps."""
        attention = self.attention.flatten(0, 1).index_select(0, places)
        return Mixture(self.head, attention, self.symbols.index_select(0, places // self.attention.shape[1]))

    def origins(self, features: Float[Tensor, "... D"], labels: Int[Tensor, "..."]) -> tuple[Float[Tensor, "..."], Int[Tensor, "..."]]:
        """For each label the probability that it was copied, given that it was output, and its most probable place in the source; -1 for
        none."""
        generating, copying, _ = self.parts(features, labels)
        weights = self.attention * (self._symbols() == labels.unsqueeze(-1))
        place = torch.where(weights.amax(-1) > 0, weights.argmax(-1), -1)
        return (copying - torch.logaddexp(generating, copying)).exp() * (place >= 0), place

    def _symbols(self) -> Tensor:
        return self.symbols.unsqueeze(1) if self.attention.ndim == 3 else self.symbols


def _precise(x: Tensor) -> Tensor:
    """Convert to at least single precision, as probabilities are added up here."""
    return x if x.dtype == torch.float64 else x.float()


def over(head: Parts, attention: Float[Tensor, "N T S"] | Float[Tensor, "N S"], memory: Memory) -> Mixture:
    """The head for steps with these attention weights over the memory: N is B, or R = B * W hypotheses."""
    assert memory.copyable is not None, "a pointer head needs the source's symbols in the memory"
    symbols = memory.copyable
    beams = attention.shape[0] // symbols.shape[0]
    return Mixture(head, attention, symbols if beams == 1 else symbols.repeat_interleave(beams, dim=0))


def said(head: nn.Module, features: Tensor, attention: Tensor | None, memory: Memory) -> Output:
    """The output of a decoder: a head that copies is combined with the attention of these steps, any other is used unchanged."""
    if isinstance(head, Pointer) and attention is not None:
        return Output(features, head.over(attention, memory), attention)
    return Output(features, head, attention)


def build(settings: PointerConfig, target: Spec, dim: int, tied: nn.Parameter | None) -> nn.Module:
    """Make the head. Raises ConfigError when the target is not made of symbols, or the tied embedding has another width."""
    if not isinstance(target, TokenSpec):
        raise ConfigError("`model.head.name` must not be `pointer` when the target is real-valued.")
    if tied is not None and tied.shape[1] != dim:
        raise ConfigError(f"Tied embeddings must be as wide as what the head reads ({dim}), but are {tied.shape[1]} wide.")
    return Pointer(dim, target, bias=settings.bias, tied=tied)


def check_pointer(head: nn.Module, source: Spec, target: Spec, *, attention: bool) -> bool:
    """Whether the head copies. Raises ConfigError when it does but the model has no attention, or the vocabularies differ."""
    if not isinstance(head, Pointer):
        return False
    if not attention:
        raise ConfigError(
            "`model.head.name` must not be `pointer` without attention, which says what to copy. Set `model.attention` (such as `general`),"
            " or use `model.name: transformer`."
        )
    if not isinstance(source, TokenSpec) or not source.has_symbols_of(target):
        raise ConfigError(
            "`model.head.name` must not be `pointer` unless source and target share one vocabulary, since copied symbols must mean the same"
            " on both sides. Give both sides one vocabulary."
        )
    return True


plugin = HeadPlugin(
    name="pointer",
    summary="A mixture of generating and copying from the source (pointer-generator); needs attention and a joint vocabulary.",
    Config=PointerConfig,
    build=build,
    loss="pointer",
)
