"""N-gram models as language models of a search, by symbols or by words.

    symbols   an entry of the file is a symbol as the vocabulary writes it (a character, where a space is \u2581; a word; a subword)
    words     an entry is a word, whatever symbols it is made of. A word is scored when it is complete: by the symbol that begins the next
              one, or by the end

Unusual here: by symbols, all log-probabilities behind a context are one array, which hypotheses and steps with that context share.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from antiphon.errors import ConfigError
from antiphon.interfaces import TokenSpec
from antiphon.search.arpa import BEGIN, END, UNKNOWN, Arpa, Context
from antiphon.search.fusion import LanguageModel

_KEPT = 32 << 20  # bytes of arrays that are kept for contexts that come again


@dataclass(frozen=True)
class _Contexts:
    """What was said so far, for each row: the words that the model looks back at, and the symbols of one that is not complete."""

    rows: tuple[tuple[Context, tuple[int, ...]], ...]

    def select_rows(self, index: Int[Tensor, " N"]) -> "_Contexts":
        """As `sequences.select_rows`."""
        return _Contexts(tuple(self.rows[row] for row in index.tolist()))


@final
class SymbolNGrams(LanguageModel):
    """Entries of the file are symbols. Symbols that it lacks count as its unknown word.

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
        self.arpa, self.start = arpa, spec.start
        self._numbers = np.array([arpa.number(name) for name in names])
        self._arrays: OrderedDict[Context, Tensor] = OrderedDict()

    def begin(self, rows: int, steps: int, device: torch.device) -> _Contexts:
        """Nothing said yet."""
        return _Contexts((((), ()),) * rows)

    def step(self, last: Int[Tensor, " R"], state: _Contexts) -> tuple[Float[Tensor, "R V"], _Contexts]:
        """The arrays of the contexts behind `last`."""
        symbols = last.tolist()
        known = len(self._numbers)
        words = [self._numbers[symbol] if symbol < known else self.arpa.unknown for symbol in symbols]
        contexts = [self.arpa.extended(context, int(word)) for (context, _), word in zip(state.rows, words, strict=True)]
        log_probs = torch.stack([self._array(context) for context in contexts]).to(last.device)
        return log_probs, _Contexts(tuple((context, ()) for context in contexts))

    def _array(self, context: Context) -> Float[Tensor, " V"]:
        found = self._arrays.pop(context, None)
        if found is None:
            found = torch.from_numpy(self.arpa.log_probs(context)[self._numbers].astype(np.float32))
        self._arrays[context] = found  # the newest last
        while len(self._arrays) > 1 and len(self._arrays) * found.nbytes > _KEPT:
            self._arrays.popitem(last=False)
        return found


@final
class WordNGrams(LanguageModel):
    """Entries of the file are words; `decode` says which word symbols write. Raises ConfigError when nobody knows where words begin."""

    def __init__(self, arpa: Arpa, spec: TokenSpec, decode: Callable[[np.ndarray], str]):
        if spec.word_starts is None:
            raise ConfigError(
                "`search.language_model.level` must be `symbols` unless the vocabulary is made of words or subwords, but is `words`."
            )
        self.arpa, self.spec, self._decode = arpa, spec, decode
        self._starts = torch.from_numpy(spec.word_starts)
        self._begins = spec.word_starts.tolist()
        self._words: dict[tuple[int, ...], int] = {}

    def begin(self, rows: int, steps: int, device: torch.device) -> _Contexts:
        """Nothing said yet."""
        return _Contexts((((), ()),) * rows)

    def step(self, last: Int[Tensor, " R"], state: _Contexts) -> tuple[Float[Tensor, "R V"], _Contexts]:
        """What the word that is complete with the next symbol, or with the end, is worth; 0 for symbols that go on with it."""
        rows = [self._after(row, symbol) for row, symbol in zip(state.rows, last.tolist(), strict=True)]
        words, ends = zip(*(self._worth(context, symbols) for context, symbols in rows), strict=True)
        starts = self._starts.to(last.device)
        log_probs = torch.tensor(words, device=last.device).unsqueeze(1) * starts
        log_probs[:, self.spec.end] = torch.tensor(ends, device=last.device)
        return log_probs, _Contexts(tuple(rows))

    def _after(self, row: tuple[Context, tuple[int, ...]], symbol: int) -> tuple[Context, tuple[int, ...]]:
        context, symbols = row
        if symbol == self.spec.start and not context:
            return self.arpa.extended((), self.arpa.number(BEGIN)), ()
        if symbol < len(self._begins) and not self._begins[symbol]:
            return context, (*symbols, symbol)
        return (self.arpa.extended(context, self._word(symbols)) if symbols else context), (symbol,)

    def _worth(self, context: Context, symbols: tuple[int, ...]) -> tuple[float, float]:
        """Log-probabilities of the word so far, and of that and the end."""
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


def ngrams(
    arpa: Arpa, level: str | None, spec: TokenSpec, pieces: Sequence[str], decode: Callable[[np.ndarray], str]
) -> SymbolNGrams | WordNGrams:
    """The n-gram model by symbols or by words; left out, by words where symbols are parts of them."""
    special = max(spec.pad, spec.unknown, spec.start, spec.end) + 1
    parts = spec.word_starts is not None and not spec.word_starts[special:].all()
    if level == "words" or (level is None and parts):
        return WordNGrams(arpa, spec, decode)
    return SymbolNGrams(arpa, spec, pieces)
