"""Strips the endings of English words (Porter 1980), as rouge-score does: `files`, `filed` and `filing` become `file`.

The stemmer is NLTK's, from the extra `stemming`; its rules are those of ROUGE-1.5.5 with NLTK's small corrections.
"""

from collections.abc import Callable, Iterable
from functools import cache, lru_cache

from antiphon.errors import MissingPackageError

SIGNATURE = "stem:porter-nltk"
_SHORTEST = 4  # shorter words stay as they are


def stemmed(words: Iterable[str]) -> list[str]:
    """The words without English endings. Words with letters other than a to z stay as they are, since the rules are for English.

    Raises MissingPackageError without the extra `stemming`.
    """
    stem = _porter()
    return [stem(word) if len(word) >= _SHORTEST and word.isascii() else word for word in words]


@cache
def _porter() -> Callable[[str], str]:
    try:
        from nltk.stem.porter import PorterStemmer
    except ImportError as error:
        raise MissingPackageError("ROUGE with stemming", "nltk", "stemming") from error
    stem: Callable[[str], str] = PorterStemmer().stem
    return lru_cache(maxsize=1 << 17)(stem)
