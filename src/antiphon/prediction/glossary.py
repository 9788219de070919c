"""Glossaries: source terms with the translations that should, or must, be used for them.

A term is found as whole words, the longest one first, and no word belongs to two. Small and capital letters are the same, unless the term
has a capital behind its first letter (`IT`, `iPhone`). In scripts that do not part words it is found as it stands.

In the mode `soft` the translations are hot words (`search.hot_words`): preferred where they fit, so that a model may inflect them, or leave
one out. In the mode `exact` each of them is a required phrase: it appears as it is written (lexically constrained decoding, Post and Vilar
2018).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, final

from antiphon.contracts.records import Record
from antiphon.errors import DataError

Mode = Literal["soft", "exact"]

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]")
_Path = tuple[str, ...]


@final
class Glossary:
    """Terms, each with its translations; the first one is the one that must appear.

    Raises DataError when there is no term.
    """

    def __init__(self, terms: Iterable[tuple[str, str]], mode: Mode = "soft"):
        self.mode = mode
        self._as_written: dict[_Path, list[str]] = {}
        self._any_case: dict[_Path, list[str]] = {}
        for source, target in terms:
            words = tuple(_WORD.findall(source))
            said = target.strip()
            if not words or not said:
                continue
            cased = any(letter.isupper() for word in words for letter in word[1:])
            known, key = (self._as_written, words) if cased else (self._any_case, tuple(map(str.casefold, words)))
            if said not in known.setdefault(key, []):
                known[key].append(said)
        if not self._as_written and not self._any_case:
            raise DataError("A glossary must have at least one term with a translation.")
        self._longest = max(map(len, (*self._as_written, *self._any_case)))

    def __len__(self) -> int:
        return len(self._as_written) + len(self._any_case)

    def found_in(self, text: str) -> list[Sequence[str]]:
        """The translations of each term found in a text, in order."""
        words = _WORD.findall(text)
        folded = [word.casefold() for word in words]
        found: list[Sequence[str]] = []
        at = 0
        while at < len(words):
            for length in range(min(self._longest, len(words) - at), 0, -1):
                said = self._as_written.get(tuple(words[at : at + length])) or self._any_case.get(tuple(folded[at : at + length]))
                if said:
                    found.append(said)
                    at += length
                    break
            else:
                at += 1
        return found

    def added_to(self, item: Any, source: str) -> Any:
        """A text or a record with the translations of its terms as preferred phrases; unchanged if it has none."""
        text = item.get(source) if isinstance(item, Mapping) else item
        found = self.found_in(text) if isinstance(text, str) else []
        if not found:
            return item
        record: Record = item if isinstance(item, Mapping) else {source: item}
        field = "hot_words" if self.mode == "soft" else "required"
        wanted = [one for said in found for one in (said if self.mode == "soft" else said[:1])]
        own = record.get(field)
        before = [own] if isinstance(own, str) else list(own or ())
        return {**record, field: list(dict.fromkeys((*before, *wanted)))}

    def said(self, source: str, target: str) -> tuple[int, int]:
        """The number of terms in a source, and how many of these occur in a target in one of their translations."""
        found, text = self.found_in(source), target.casefold()
        return len(found), sum(any(one.casefold() in text for one in said) for said in found)
