"""Splits a stream of bytes into lines of words, each of which is available as soon as the space after it has arrived."""

import codecs
import os
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, final

from antiphon.errors import DataError

_BLOCK = 1 << 16


def lines_of_words(stream: Any) -> Iterator[Iterator[str]]:
    """For each line its words, which must be consumed before the next line.

    Raises DataError, while words are taken, for bytes that are no UTF-8.
    """
    letters = _Letters(stream)
    while letters.has_more():
        yield letters.words()


@final
class _Letters:
    """Text that arrives in pieces."""

    def __init__(self, stream: Any):
        self._read: Callable[[], bytes] = lambda: stream.read(_BLOCK)
        try:
            descriptor = stream.fileno()
            self._read = lambda: os.read(descriptor, _BLOCK)  # what is there, rather than a whole block
        except (AttributeError, OSError):  # what stands in for it in memory
            pass
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self._text, self._lines, self._ended = deque[str](), 1, False

    def has_more(self) -> bool:
        """Whether there is more text after what was consumed; waits for it."""
        while not self._text and not self._ended:
            block = self._read()
            self._ended = not block
            self._text.extend(self._decoder.decode(block, final=self._ended))
        return bool(self._text)

    def words(self) -> Iterator[str]:
        """The words up to the end of the line."""
        word = ""
        while self.has_more():
            letter = self._text.popleft()
            if "\udc80" <= letter <= "\udcff":  # what was said before stays said
                raise DataError(f"Standard input, line {self._lines}, must be UTF-8, but is not.")
            if not letter.isspace():
                word += letter
                continue
            if word:
                yield word
                word = ""
            if letter == "\n":
                self._lines += 1
                return
        if word:
            yield word
