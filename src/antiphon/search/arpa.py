"""N-gram models in the ARPA format, with back-off (Katz 1987), as KenLM, SRILM and others write them.

Unusual here: besides the probability of one word it gives those of all words at once. For a context that is one array: the array of the
context without its first word, plus the back-off weight, with the words that were seen behind the whole context put over it. The libraries
for such models answer for one word at a time, and compile C++ when they are installed; a beam asks for all symbols at every step.
"""

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, final

import numpy as np

from antiphon.errors import DataError

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
_NATURAL = float(np.log(10))  # the file has logarithms to the base 10
_BLANKS = " \t\r\n"  # other spaces of Unicode, such as the no-break space, are parts of words
_BETWEEN = re.compile(r"[ \t]+")
_BINARY = b"mmap lm"  # how KenLM's binary files begin

Context = tuple[int, ...]


@final
@dataclass
class Arpa:
    """An n-gram model. Words are numbered; logarithms are natural.

    words       word -> number
    followers   context (the numbers of up to order - 1 words) -> the words that were seen behind it, and their log-probabilities
    backoffs    context -> what is added where a word was not seen behind it
    """

    order: int
    words: dict[str, int]
    followers: dict[Context, dict[int, float]]
    backoffs: dict[Context, float]
    _unigrams: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self._unigrams = np.full(len(self.words), -np.inf)
        for word, log_prob in self.followers[()].items():
            self._unigrams[word] = log_prob
        likely = self._unigrams[np.isfinite(self._unigrams)]
        self._unigrams[~np.isfinite(self._unigrams)] = likely.min() if len(likely) else 0.0
        # Of a closed vocabulary, a word that it does not have counts as its rarest.
        self.unknown = self.words.get(UNKNOWN, int(self._unigrams.argmin()))

    def number(self, word: str) -> int:
        """The number of a word, or of the unknown one."""
        return self.words.get(word, self.unknown)

    def extended(self, context: Context, word: int) -> Context:
        """The context extended by one word: the longest one that the model has entries for."""
        longer = (*context, word)[-(self.order - 1) :] if self.order > 1 else ()
        while longer and longer not in self.followers and longer not in self.backoffs:
            longer = longer[1:]
        return longer

    def log_prob(self, context: Context, word: int) -> float:
        """The log-probability of a word after a context."""
        total = 0.0
        while context:
            found = self.followers.get(context, {}).get(word)
            if found is not None:
                return min(total + found, 0.0)
            total += self.backoffs.get(context, 0.0)
            context = context[1:]
        return min(total + float(self._unigrams[word]), 0.0)

    def log_probs(self, context: Context) -> np.ndarray:
        """The log-probabilities of all words after a context, by their numbers."""
        if not context:
            return self._unigrams.copy()
        found = self.log_probs(context[1:]) + self.backoffs.get(context, 0.0)
        seen = self.followers.get(context)
        if seen:
            found[np.fromiter(seen.keys(), np.int64, len(seen))] = np.fromiter(seen.values(), np.float64, len(seen))
        return np.minimum(found, 0.0)


def read_arpa(path: Path) -> Arpa:
    """Read a file, plain or .gz. Raises DataError for errors in it, with the line."""
    try:
        with open(path, "rb") as raw:
            if raw.read(len(_BINARY)) == _BINARY:
                raise DataError(
                    f"The n-gram model {path} must be an ARPA text file, but is a binary of KenLM. Keep the file it was made of."
                )
        with _opened(path) as lines:
            return _parsed(path, enumerate(lines, 1))
    except FileNotFoundError as error:
        raise DataError(f"There is no n-gram model {path}.") from error
    except DataError:
        raise
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"The n-gram model {path} cannot be read: {error}.") from error


def _opened(path: Path) -> IO[str]:
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8")


def _parsed(path: Path, lines: Iterator[tuple[int, str]]) -> Arpa:
    promised: dict[int, int] = {}
    words: dict[str, int] = {}
    followers: dict[Context, dict[int, float]] = {(): {}}
    backoffs: dict[Context, float] = {}
    found: dict[int, int] = {}
    length, ended, begun = 0, False, False
    for place, line in lines:
        text = line.strip(_BLANKS)
        if not begun:
            begun = text == "\\data\\"
        elif not text:
            continue
        elif text == "\\end\\":
            ended = True
            break
        elif text.startswith("ngram ") and length == 0:
            size, _, count = text[len("ngram ") :].partition("=")
            promised[int(size)] = int(count)
        elif text.startswith("\\") and text.endswith("-grams:"):
            length = int(text[1:].partition("-")[0])
        else:
            _add_entry(f"{path}:{place}", text, length, words, followers, backoffs)
            found[length] = found.get(length, 0) + 1
    if not begun or not promised:
        raise DataError(f"The n-gram model {path} must be in the ARPA format, but has no \\data\\ section.")
    if not ended:
        raise DataError(f"The n-gram model {path} must end with \\end\\, but breaks off. Copy or download it again.")
    for order, expected in promised.items():
        if found.get(order, 0) != expected:
            raise DataError(
                f"The n-gram model {path} must have the {expected:,} {order}-grams that it announces, but has {found.get(order, 0):,}."
            )
    return Arpa(max(promised), words, followers, backoffs)


def _add_entry(
    place: str,
    text: str,
    length: int,
    words: dict[str, int],
    followers: dict[Context, dict[int, float]],
    backoffs: dict[Context, float],
) -> None:
    """One line: log-probability, `length` words, and a back-off weight or none."""
    parts = [part for part in _BETWEEN.split(text) if part]
    try:
        log_prob, backoff = float(parts[0]), float(parts[length + 1]) if len(parts) == length + 2 else 0.0
    except (ValueError, IndexError) as error:
        raise DataError(f"{place}: an entry must be a number, {length} words and perhaps a number, but is {text!r:.80}.") from error
    if length < 1 or len(parts) not in (length + 1, length + 2):
        raise DataError(f"{place}: an entry must be a number, {length} words and perhaps a number, but is {text!r:.80}.")
    if length == 1:
        words.setdefault(parts[1], len(words))
    try:
        *context, word = (words[part] for part in parts[1 : length + 1])
    except KeyError as error:
        raise DataError(f"{place}: every word must have a 1-gram, but {error} has none.") from error
    followers.setdefault(tuple(context), {})[word] = log_prob * _NATURAL
    if backoff:
        backoffs[(*context, word)] = backoff * _NATURAL
