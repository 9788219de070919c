"""Standard input, read straight from the system, can be asked whether a line is there."""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from antiphon.contracts.task import Task
from antiphon.errors import ConfigError, DataError
from antiphon.prediction.inputs import StandardInput, open_inputs
from antiphon.recipe.named_files import named_files


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


def test_a_record_is_kept_for_its_prediction(tmp_path: Path) -> None:
    task = Mock(spec=Task)
    task.source_columns = ("text",)
    task.columns = ("text", "said")
    (tmp_path / "in.tsv").write_text("text\tid\na\t1\nb\t2\n", encoding="utf-8")
    inputs = open_inputs([tmp_path / "in.tsv"], task)
    assert [item["text"] for item in inputs] == ["a", "b"]
    assert [inputs.answered() for _ in range(3)] == [{"text": "a", "id": "1"}, {"text": "b", "id": "2"}, {}]
    assert inputs.name(2, {}) == f"{tmp_path / 'in.tsv'}:3"
    assert not inputs.are_lines
    assert inputs.is_ready()
    assert not inputs.are_typed
    assert list(inputs.paths) == [tmp_path / "in.tsv"]


def test_two_line_aligned_files_are_records_of_both(tmp_path: Path) -> None:
    task = Mock(spec=Task)
    task.source_columns = ("text",)
    task.columns = ("text", "said")
    (tmp_path / "a.en").write_text("one\n\n", encoding="utf-8")
    (tmp_path / "a.de").write_text("eins\nzwei\n", encoding="utf-8")
    named = named_files(f"{{source: {tmp_path / 'a.en'}, target: {tmp_path / 'a.de'}}}", "--input")
    assert isinstance(named, tuple)
    inputs = open_inputs(named, task)
    assert list(inputs) == [{"text": "one", "said": "eins"}, {"text": "", "said": "zwei"}]
    assert inputs.are_lines
    assert list(inputs.paths) == [tmp_path / "a.en", tmp_path / "a.de"]
    assert inputs.name(2, inputs.answered()) == f"{tmp_path / 'a.en'}:2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{source: a.en, target",
            r"`--data` must be a path, or files as a recipe names them, such as '{source: test.en, target: test.de}', with its quotation",
        ),
        ("{source: a.en, targets: a.de}", r"`--data`: `targets` is not a setting of a file. Did you mean `target`\?"),
        ("[{target: a.de}]", r"`--data`: a file needs either `path`, or `source` and `target`"),
    ],
)
def test_files_that_no_recipe_could_name_are_one_sentence(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        named_files(text, "--data")


def test_a_path_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert named_files("test.tsv", "--data") == Path("test.tsv")
    monkeypatch.chdir(tmp_path)
    Path("{a}.txt").touch()
    assert named_files("{a}.txt", "--data") == Path("{a}.txt")


def test_a_row_of_a_csv_is_named_by_its_first_line(tmp_path: Path) -> None:
    """Only so many: a line is found by reading the file again."""
    task = Mock(spec=Task)
    task.source_columns = ("text",)
    task.columns = ("text", "said")
    (tmp_path / "in.csv").write_text('text\n"a\n\nb"\n' + "c\n" * 30, encoding="utf-8")
    inputs = open_inputs([tmp_path / "in.csv"], task)
    names = [inputs.name(number, {}) for number in range(1, 30)]
    assert names[:3] == [f"{tmp_path / 'in.csv'}:{line}" for line in (2, 5, 6)]
    assert names[-1] == f"{tmp_path / 'in.csv'}: row 29"
