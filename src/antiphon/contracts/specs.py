"""All that a model knows about the data: sequences of symbols, or of real numbers."""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Factor:
    """An additional feature of each source symbol, one of `size` values: 0 where a symbol has none, 1 for an unknown value.

    Its vector is added to the symbol's (sum), or stands beside it, `dim` wide (concat). `fingerprint` tells sets of values apart.
    """

    name: str
    size: int
    combine: Literal["sum", "concat"]
    dim: int
    fingerprint: str = ""


@dataclass(frozen=True)
class TokenSpec:
    """A sequence of symbols from a vocabulary of `size`. `fingerprint` identifies the vocabulary: equal ones may share embeddings.

    `open_words` are the symbols from `size` on: words of one source that the vocabulary does not have, numbered within that source. A
    model may copy them; to everything else they are unknown. `word_starts` (size,) says which symbols begin a word, where that is known.

    Of published models: `suppressed` symbols are not to be said, `suppressed_first` ones not first.

    Of a source, `factors` are features that each of its symbols has beside it.
    """

    size: int
    pad: int
    unknown: int
    start: int
    end: int
    fingerprint: str = ""
    open_words: int = 0
    word_starts: np.ndarray | None = field(default=None, compare=False, repr=False)
    suppressed: tuple[int, ...] = field(default=(), compare=False, repr=False)
    suppressed_first: tuple[int, ...] = field(default=(), compare=False, repr=False)
    factors: tuple[Factor, ...] = field(default=(), repr=False)

    def has_symbols_of(self, other: "Spec") -> bool:
        """Whether the symbols mean the same in both, so that embeddings can be shared; factors are not compared."""
        return isinstance(other, TokenSpec) and replace(self, factors=()) == replace(other, factors=())

    @property
    def says_nothing(self) -> bool:
        """Whether there is at most one symbol beside the special ones, as for the empty sources of language models."""
        return self.size <= max(self.pad, self.unknown, self.start, self.end) + 2

    def known(self, symbols: Tensor) -> Tensor:
        """Symbols of any shape, with open-vocabulary words replaced by the unknown symbol."""
        return symbols.masked_fill(symbols >= self.size, self.unknown) if self.open_words else symbols


@dataclass(frozen=True)
class ValueSpec:
    """A sequence of real numbers, `channels` at each step.

    Of a target, `channels` are said by the model; `known` more stand beside them in what the decoder reads, and are known in advance
    (the weekday, a price): an element is (channels + known,) wide, a label (channels,).

    `length` is the most steps that a sequence has, or None for any: what a model with maps of a fixed size is built for. Specs that
    differ in nothing else are equal.

    Of a source, `marks` channels behind the first as many say which of those were observed (1), and which only filled in (0).

    Of a target, the last `sizes` of the known channels are logarithms: of what each of its channels was divided by.

    `kind` is the name of what the values are, where there is one, for a published model that reads nothing else.
    """

    channels: int
    known: int = 0
    length: int | None = field(default=None, compare=False)
    marks: int = 0
    sizes: int = field(default=0, repr=False)
    kind: str = field(default="", compare=False, repr=False)

    @property
    def width(self) -> int:
        """The number of values at each step of an input."""
        return self.channels + self.known

    def sizes_of(self, elements: Tensor) -> Tensor | None:
        """The scales that channels of elements (..., C + known) were divided by, (..., C), in double precision; None where there are
        none."""
        return elements[..., self.width - self.sizes : self.width].double().exp() if self.sizes else None


Spec = TokenSpec | ValueSpec
