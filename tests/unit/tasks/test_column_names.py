"""Columns are guessed by their names and by what they hold, or asked for."""

from typing import Any

import pytest

from antiphon.contracts.drafting import Look
from antiphon.data.records import MemoryRecords
from antiphon.errors import ConfigError
from antiphon.runs.data_look import _Column
from antiphon.tasks.column_names import DOCUMENTS, SOURCES, SUMMARIES, TARGETS, guess_pair


def look(rows: list[dict[str, Any]], **asked: str) -> Look:
    columns = {name: _Column(name) for name in rows[0]}
    for row in rows:
        for name, value in row.items():
            columns[name].add(value)
    facts = {name: column.facts() for name, column in columns.items()}
    return Look(len(rows), facts, lambda _: MemoryRecords(lambda: rows), 10.0, {f"task.{name}": value for name, value in asked.items()})


def row(*columns: str) -> list[dict[str, Any]]:
    return [{name: f"some text in {name}" for name in columns}]


@pytest.mark.parametrize(
    ("columns", "pair"),
    [
        (("source", "target"), ("source", "target")),
        (("target", "source", "domain"), ("source", "target")),
        (("kind", "source", "package", "en", "de"), ("en", "de")),  # `source` is something else beside languages
        (("de", "en"), ("en", "de")),
        (("fr", "de"), ("fr", "de")),
        (("en-GB", "pt_BR"), ("en-GB", "pt_BR")),
        (("word", "phonemes"), ("word", "phonemes")),
        (("english", "german"), ("english", "german")),
        (("anything", "translation"), ("anything", "translation")),
        (("translation.de", "translation.en"), ("translation.en", "translation.de")),
    ],
)
def test_source_and_target(columns: tuple[str, ...], pair: tuple[str, str]) -> None:
    assert guess_pair(look(row(*columns)), SOURCES, TARGETS, "translation") == pair


def test_numbers_and_times_are_no_texts() -> None:
    rows = [{"id": 3, "when": "2024-01-02", "score": "0.5", "first": "a text", "second": "another"}]
    assert guess_pair(look(rows), SOURCES, TARGETS, "translation") == ("first", "second")


def test_what_is_asked_for_is_taken() -> None:
    assert guess_pair(look(row("a", "b", "c"), source="c", target="a"), SOURCES, TARGETS, "translation") == ("c", "a")
    assert guess_pair(look(row("en", "de"), source="de"), SOURCES, TARGETS, "translation") == ("de", "en")
    with pytest.raises(ConfigError, match=r"`task.source` must be one of the columns en, de, but is 'english'"):
        guess_pair(look(row("en", "de"), source="english"), SOURCES, TARGETS, "translation")


def test_what_cannot_be_guessed_names_the_columns_and_the_setting() -> None:
    with pytest.raises(ConfigError) as found:
        guess_pair(look(row("a", "b", "c")), DOCUMENTS, SUMMARIES, "summarization")
    assert str(found.value) == (
        "Which columns are meant for summarization cannot be guessed; there are a, b, c. Say it:"
        " --set task.source=COLUMN --set task.target=COLUMN"
    )
