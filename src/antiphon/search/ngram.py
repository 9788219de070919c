"""N-gram models, over symbols or words, as language models for a search.

    symbols   an entry of the file is a symbol as the vocabulary writes it (a character, where a space is \u2581; a word; a subword)
    words     an entry is a word, whatever symbols it is made of. A word is scored when it is complete: by the symbol that begins the next
              one, or by the end

Unusual here: by symbols, all log-probabilities behind a context are one array, which hypotheses and steps with that context share.
"""

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ConfigError
from antiphon.search.arpa import BEGIN, END, UNKNOWN, Arpa, Context
from antiphon.search.fusion import LanguageModel

Row = tuple[Context, tuple[int, ...]]

_KEPT = 32 << 20  # bytes of arrays that are kept for contexts that come again


@dataclass(frozen=True)
class Contexts:
    """The context of each row: the previous words that the model uses, and the symbols of an incomplete word."""

    rows: tuple[Row, ...]

    def select_rows(self, index: Int[Tensor, " N"]) -> "Contexts":
        """As `sequences.select_rows`."""
        return Contexts(tuple(self.rows[row] for row in index.tolist()))


class NGrams(LanguageModel):
    """An n-gram model. Contexts and their continuations are computed one by one, since a search over frames adds nothing to most of
    them."""

    def begin(self, rows: int, steps: int, device: torch.device) -> Contexts:
        """The state before the first symbol."""
        return Contexts((((), ()),) * rows)

    def step(self, last: Int[Tensor, " R"], state: Contexts) -> tuple[Float[Tensor, "R V"], Contexts]:
        """The log-probabilities after `last`."""
        after = Contexts(tuple(self.after(row, symbol) for row, symbol in zip(state.rows, last.tolist(), strict=True)))
        return self.log_probs(after, last.device), after

    @abstractmethod
    def after(self, row: Row, symbol: int) -> Row:
        """The contexts after one more symbol."""

    @abstractmethod
    def log_probs(self, state: Contexts, device: torch.device) -> Float[Tensor, "R V"]:
        """The log-probabilities of the next symbol."""


@final
class SymbolNGrams(NGrams):
    """An n-gram model whose entries are symbols. Symbols that it lacks count as its unknown word.

    Raises ConfigError when it has next to none of them: then it was made of something else.
    """

    def __init__(self, arpa: Arpa, spec: TokenSpec, pieces: Sequence[str]):
        special = {spec.start: BEGIN, spec.end: END, spec.unknown: UNKNOWN}
        names = [special.get(symbol, piece) for symbol, piece in enumerate(pieces)]
        known = sum(name in arpa.words for symbol, name in enumerate(names) if symbol not in special and symbol != spec.pad)
        if known == 0:
            raise ConfigError(
                f"`search.language_model.ngram` must have symbols of the vocabulary as entries, such as {pieces[-1]!r}, but has none."
                " Make it of texts in such symbols, or set `level: words`."
            )
        self.arpa = arpa
        self._numbers = np.array([arpa.number(name) for name in names])
        self._arrays: OrderedDict[Context, Tensor] = OrderedDict()

    def after(self, row: Row, symbol: int) -> Row:
        """The context with one more symbol."""
        word = int(self._numbers[symbol]) if symbol < len(self._numbers) else self.arpa.unknown
        return self.arpa.extended(row[0], word), ()

    def log_probs(self, state: Contexts, device: torch.device) -> Float[Tensor, "R V"]:
        """The log-probabilities of the next symbol for each context."""
        return torch.stack([self._array(context) for context, _ in state.rows]).to(device)

    def _array(self, context: Context) -> Float[Tensor, " V"]:
        found = self._arrays.pop(context, None)
        if found is None:
            found = torch.from_numpy(self.arpa.log_probs(context)[self._numbers].astype(np.float32))
        self._arrays[context] = found  # the newest last
        while len(self._arrays) > 1 and len(self._arrays) * found.nbytes > _KEPT:
            self._arrays.popitem(last=False)
        return found


@final
class WordNGrams(NGrams):
    """An n-gram model whose entries are words; `decode` turns symbols into words. Raises ConfigError when word boundaries are unknown."""

    def __init__(self, arpa: Arpa, spec: TokenSpec, decode: Callable[[np.ndarray], str]):
        if spec.word_starts is None:
            raise ConfigError(
                "`search.language_model.level` must be `symbols` unless the vocabulary is made of words or subwords, but is `words`."
            )
        self.arpa, self.spec, self._decode = arpa, spec, decode
        self._starts = torch.from_numpy(spec.word_starts)
        self._begins = spec.word_starts.tolist()
        self._words: dict[tuple[int, ...], int] = {}

    def after(self, row: Row, symbol: int) -> Row:
        """The incomplete word with one more symbol; or the context with one more word, and the symbol that begins the next."""
        context, symbols = row
        if symbol == self.spec.start and not context:
            return self.arpa.extended((), self.arpa.number(BEGIN)), ()
        if symbol < len(self._begins) and not self._begins[symbol]:
            return context, (*symbols, symbol)
        return (self.arpa.extended(context, self._word(symbols)) if symbols else context), (symbol,)

    def log_probs(self, state: Contexts, device: torch.device) -> Float[Tensor, "R V"]:
        """The log-probability of the word that the next symbol, or the end, completes; 0 for symbols that continue the word."""
        words, ends = zip(*(self._worth(context, symbols) for context, symbols in state.rows), strict=True)
        found = torch.tensor(words, device=device).unsqueeze(1) * self._starts.to(device)
        found[:, self.spec.end] = torch.tensor(ends, device=device)
        return found

    def _worth(self, context: Context, symbols: tuple[int, ...]) -> tuple[float, float]:
        """Log-probabilities of the word so far, and of it followed by the end."""
        end = self.arpa.number(END)
        if not symbols:
            return 0.0, self.arpa.log_prob(context, end)
        word = self._word(symbols)
        said = self.arpa.log_prob(context, word)
        return said, said + self.arpa.log_prob(self.arpa.extended(context, word), end)

    def _word(self, symbols: tuple[int, ...]) -> int:
        if symbols not in self._words:
            self._words[symbols] = self.arpa.number(self._decode(np.array(symbols)).strip())
        return self._words[symbols]


def ngrams(arpa: Arpa, level: str | None, spec: TokenSpec, pieces: Sequence[str], decode: Callable[[np.ndarray], str]) -> NGrams:
    """The n-gram model over symbols or words; by default over words where symbols are parts of words."""
    special = max(spec.pad, spec.unknown, spec.start, spec.end) + 1
    parts = spec.word_starts is not None and not spec.word_starts[special:].all()
    if level == "words" or (level is None and parts):
        return WordNGrams(arpa, spec, decode)
    return SymbolNGrams(arpa, spec, pieces)
