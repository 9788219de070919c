"""Standard input, read straight from the system, can be asked whether a line is there."""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from antiphon.contracts.task import Task
from antiphon.errors import DataError
from antiphon.prediction.inputs import StandardInput, open_inputs


@pytest.fixture
def pipe() -> Iterator[tuple[StandardInput, int]]:
    """What reads a pipe, and the end to write to."""
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as stream:
        yield StandardInput(stream), writing


def test_a_pipe_says_whether_a_line_is_there(pipe: tuple[StandardInput, int]) -> None:
    lines, writing = pipe
    texts = lines.decoded()
    assert not lines.is_ready()
    os.write(writing, b"one\ntw")
    assert lines.is_ready()
    assert next(texts) == "one"
    assert not lines.is_ready(), "half a line is none"
    os.write(writing, b"o\nthree")
    assert next(texts) == "two"
    os.close(writing)
    assert lines.is_ready()
    assert next(texts) == "three"
    assert lines.is_ready(), "the end is there"
    assert list(texts) == []


def test_a_line_ends_at_a_line_feed_and_nowhere_else() -> None:
    lines = StandardInput(io.BytesIO("\ufeffa\u2028b\r\n\n\ufeffc\x0cd".encode()))
    assert list(lines.decoded()) == ["a\u2028b", "", "\ufeffc\x0cd"]
    assert not lines.is_terminal


def test_a_long_line_comes_whole() -> None:
    assert [len(line) for line in StandardInput(io.BytesIO(b"x" * 300_000 + b"\ny")).decoded()] == [300_000, 1]


def test_bytes_that_are_no_text_stay_in_their_line() -> None:
    content = b"one\nt\xffwo\nthree\n"
    assert [line.encode("utf-8", "surrogateescape") for line in StandardInput(io.BytesIO(content)).decoded()] == content.splitlines()
    strict = StandardInput(io.BytesIO(content)).decoded(strict=True)
    assert next(strict) == "one"
    with pytest.raises(DataError, match="line 2, must be UTF-8, but byte 2 is not"):
        next(strict)


def test_what_a_record_holds_beside_its_source_is_kept(tmp_path: Path) -> None:
    task = Mock(spec=Task)
    task.source_columns = ("text",)
    task.columns = ("text", "said")
    (tmp_path / "in.tsv").write_text("text\tid\na\t1\nb\t2\n", encoding="utf-8")
    inputs = open_inputs([tmp_path / "in.tsv"], task)
    assert [item["text"] for item in inputs] == ["a", "b"]
    assert [inputs.beside() for _ in range(3)] == [{"id": "1"}, {"id": "2"}, {}]
    assert inputs.is_ready()
    assert not inputs.are_typed
    assert list(inputs.paths) == [tmp_path / "in.tsv"]
