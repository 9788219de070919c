"""Guesses the roles of columns from their usual names; a column is left open rather than guessed wrong."""

import re
from collections.abc import Sequence

from antiphon.contracts.drafting import ColumnFacts, Look
from antiphon.errors import ConfigError

SOURCES = ("source", "src", "input", "question", "original", "word", "text")
TARGETS = ("target", "tgt", "trg", "output", "translation", "answer", "phonemes", "label", "normalized")
DOCUMENTS = ("document", "text", "article", "body", "content", "description", "dialogue", "source", "long", "page")
SUMMARIES = ("summary", "title", "headline", "highlights", "synopsis", "abstract", "heading", "target", "short")
RECORDINGS = ("audio", "path", "file", "filename", "audio_filepath", "wav", "recording", "clip", "sound", "audio_path", "file_name")
TRANSCRIPTS = ("text", "transcript", "transcription", "sentence", "said", "words", "normalized", "label", "target")
SPEAKERS = ("speaker", "speaker_id", "client_id", "spk", "voice", "speakers")
TIMES = ("ds", "date", "datetime", "time", "timestamp", "month", "day", "week", "quarter", "year", "period", "hour", "date_time")
SERIES = ("unique_id", "series", "series_id", "id", "item_id", "item", "store", "sku", "product", "name", "key", "category")
VALUES = ("y", "value", "values", "target", "sales", "demand", "count", "load", "price", "quantity", "visitors", "consumption")

_LANGUAGE = re.compile(r"[a-z]{2,3}([-_][A-Za-z]{2,4})?")
_USUAL_FIRST = ("en", "eng")  # which people mostly translate from
_NO_LANGUAGES = ("id", "key", "src", "tgt", "trg", "url", "tag", "no", "min", "max", "sum", "set", "day", "age", "sex")


def named(columns: Sequence[str], usual: Sequence[str]) -> str | None:
    """The first column with one of the usual names, in the order of the table; case does not matter."""
    known = {column.lower(): column for column in reversed(columns)}
    return next((known[name] for name in usual if name in known), None)


def languages(columns: Sequence[str]) -> tuple[str, str] | None:
    """Two columns named like languages, or fields such as `translation.en`: English first, else in their order."""
    found = [column for column in columns if _is_language(column.rpartition(".")[2])]
    if len(found) != 2:
        return None
    first, second = found
    return (second, first) if second.rpartition(".")[2].lower() in _USUAL_FIRST else (first, second)


def _is_language(name: str) -> bool:
    return _LANGUAGE.fullmatch(name) is not None and name.lower() not in _NO_LANGUAGES


def guess_pair(look: Look, source: Sequence[str], target: Sequence[str], task: str) -> tuple[str, str]:
    """The columns of source and target: the requested ones, or those named after languages, those with usual names, or the only two texts.

    Raises ConfigError naming the columns and the settings where it cannot be told.
    """
    asked = [look.asked.get(f"task.{side}") for side in ("source", "target")]
    for side, column in zip(("source", "target"), asked, strict=True):
        if column is not None:
            check_asked(look, side, column)
    texts = [name for name, facts in look.columns.items() if facts.is_text]
    left = [name for name in texts if name not in asked]
    pair = languages(left)
    if not any(asked) and pair is not None:
        return pair
    first = asked[0] or named([name for name in left if name != asked[1]], source)
    second = asked[1] or named([name for name in left if name != first], target)
    if first is None or second is None:
        others = [name for name in texts if name not in (first, second)]
        if len(others) == (first is None) + (second is None):
            first = first or others.pop(0)
            second = second or others.pop(0)
    if first is None or second is None:
        raise unknown(look, task, "source", "target")
    return first, second


def check_asked(look: Look, setting: str, column: str) -> str:
    """Check a requested column. Raises ConfigError if it does not exist."""
    if column not in look.columns:
        raise ConfigError(f"`task.{setting}` must be one of the columns {', '.join(look.columns)}, but is {column!r}.")
    return column


def unknown(look: Look, task: str, *settings: str) -> ConfigError:
    """The error when columns cannot be guessed."""
    ways = " ".join(f"--set task.{setting}=COLUMN" for setting in settings)
    return ConfigError(f"Which columns are meant for {task} cannot be guessed; there are {', '.join(look.columns)}. Say it: {ways}")


def shown(facts: ColumnFacts) -> str:
    """A column, formatted for display."""
    mean = facts.words / max(facts.filled, 1)
    return f"`{facts.name}` ({mean:.1f} words on average)" if facts.is_text else f"`{facts.name}`"
