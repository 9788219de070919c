"""Parses a record's texts and requests: `prefix` (a text), `required`, `banned` and `hot_words` (a text or several).

What must or should be said must be sayable: a prefix, a required phrase or a hot word that the vocabulary has no symbols for is refused.
What must not be said and cannot be said is no wish at all.
"""

from collections.abc import Callable, Iterator

from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Request
from antiphon.errors import DataError

Phrase = Callable[[str], tuple[int, ...]]
"""A part of the target as symbols."""


def text_request(
    record: Record, phrase_of: Callable[[Record], Phrase], unknown: int, opening: tuple[int, ...] = (), *, before: str = ""
) -> Request:
    """The request, with the beginning of every output, and a text `before` the record's own prefix.

    `phrase_of(record)` is asked only where there is something to say; `unknown` is the symbol of what the vocabulary does not know.

    Raises DataError for a field that holds something else, or what must be said and cannot be written.
    """
    own = str(record.get("prefix") or "")
    required, banned, hot = (list(_phrases(record, field)) for field in ("required", "banned", "hot_words"))
    if not (before or own or required or banned or hot):
        return Request(prefix=opening)
    phrase = phrase_of(record)

    def sayable(text: str, field: str) -> tuple[int, ...]:
        symbols = phrase(text)
        if unknown in symbols or not (symbols or text.isspace()):
            raise DataError(f"{field} must be what the vocabulary can write, but {text!r:.80} is not.")
        return symbols

    first = "`prefix`" if own else "`task.target_prefix`"
    written = (phrase(text) for text in banned)
    return Request(
        prefix=(*opening, *(sayable(before + own, first) if before or own else ())),
        required=tuple(symbols for text in required if (symbols := sayable(text, "`required`"))),
        banned=tuple(symbols for symbols in written if symbols and unknown not in symbols),
        hot=tuple(symbols for text in hot if (symbols := sayable(text, "`hot_words`"))),
    )


def _phrases(record: Record, field: str) -> Iterator[str]:
    value = record.get(field)
    phrases = () if value is None else [value] if isinstance(value, str) else value
    if not isinstance(phrases, list | tuple):
        raise DataError(f"`{field}` must be a text or a list of texts, but is {value!r}.")
    for phrase in phrases:
        if not isinstance(phrase, str):
            raise DataError(f"`{field}` must be a text or a list of texts, but holds {phrase!r}.")
        if phrase:
            yield phrase


def text_of(record: Record, column: str) -> str:
    """The text in a column. Raises DataError for another value."""
    value = record.get(column)
    if not isinstance(value, str):
        what = f"is {type(value).__name__} {value!r:.80}" if value is not None else "is null" if column in record else "is missing"
        raise DataError(f"`{column}` must be a text, but {what}.")
    return value
