"""antiphon predict: no output is lost, nobody waits for an answer that could be there, and stopping is one sentence."""

import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from antiphon.data.records import open_records
from tests.cli.conftest import Command


class Input:
    """Standard input in memory, at whose end something happens."""

    def __init__(self, content: bytes, end: Any = None):
        self.buffer, self._blocks, self._end = self, iter([content] if content else []), end

    def read(self, size: int) -> bytes:
        block = next(self._blocks, None)
        if block is None and self._end is not None:
            self._end()
        return block or b""

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read(0):
            yield from block.splitlines(keepends=True)


def interrupt() -> None:
    raise KeyboardInterrupt


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Where to type what a terminal reads."""
    typed, read = os.openpty()
    with open(read, "rb", buffering=0) as buffer:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(buffer)))  # type: ignore[arg-type]
        yield typed
    os.close(typed)


def test_the_input_is_no_output(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("abc1\n", encoding="utf-8")
    (tmp_path / "link.txt").symlink_to("words.txt")
    for name in ("words.txt", "link.txt"):
        result = antiphon("predict", trained, "--input", "words.txt", "--output", name)
        assert result.status == 1
        assert "`--output` must be another file than the input words.txt" in result.err
    assert (tmp_path / "words.txt").read_text(encoding="utf-8") == "abc1\n"


def test_a_bad_byte_leaves_the_earlier_output(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_bytes(b"abc1\nca\xffb2\nabc1\n")
    (tmp_path / "out.txt").write_text("earlier\n", encoding="utf-8")
    result = antiphon("predict", trained, "--input", "words.txt", "--output", "out.txt")
    assert result.status == 1
    assert "antiphon: stopped after 1 prediction in out.txt.partial; out.txt is as it was before.\n" in result.err
    assert "words.txt:2: byte 3 of the line" in result.err
    assert (tmp_path / "out.txt").read_text(encoding="utf-8") == "earlier\n"
    assert len((tmp_path / "out.txt.partial").read_text(encoding="utf-8").splitlines()) == 1


def test_an_output_that_cannot_be_written_is_one_sentence(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("abc1\n", encoding="utf-8")
    (tmp_path / "out.txt.partial").write_text("hours of work\n", encoding="utf-8")
    result = antiphon("predict", trained, "--input", "words.txt", "--output", "nowhere/out.txt")
    assert (result.status, result.err) == (1, "antiphon: nowhere/out.txt.partial cannot be written: No such file or directory.\n")
    result = antiphon("predict", trained, "--input", "words.txt", "--output", "out.txt")
    assert result.status == 1
    assert result.err.startswith("antiphon: out.txt.partial is there already: another run writes it, or one that was stopped has left it.")
    assert (tmp_path / "out.txt.partial").read_text(encoding="utf-8") == "hours of work\n"


def test_refused_inputs_leave_a_complete_output(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "words.tsv").write_text("en\nabc1\n\n", encoding="utf-8")
    result = antiphon("predict", trained, "--input", "words.tsv", "--output", "out.txt")
    assert result.status == 1
    assert "antiphon: input 2 (words.tsv:3): the source is empty." in result.err
    assert len((tmp_path / "out.txt").read_text(encoding="utf-8").splitlines()) == 2
    assert not (tmp_path / "out.txt.partial").exists()


def test_a_line_that_is_no_text_keeps_its_place(antiphon: Command, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Input(b"abc1\nca\xffb2\nabc1\n"))
    result = antiphon("predict", trained)
    assert result.status == 1
    first, second, third = result.out.split("\n")[:3]
    assert (first, second) == (third, "")
    assert first
    assert "antiphon: input 2: the source must be UTF-8, but its byte 3 is not." in result.err


@pytest.mark.parametrize(("stop", "status", "name"), [(interrupt, 130, "Ctrl-C"), (terminate, 143, "SIGTERM")])
def test_stopping_is_one_sentence(
    antiphon: Command, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: Any, status: int, name: str
) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    lines = b"abc1\n" * 40  # a batch and a little
    monkeypatch.setattr(sys, "stdin", Input(lines, stop))
    result = antiphon("predict", trained, "--output", "out.txt")
    assert result.status == status
    assert result.err == f"antiphon: stopped by {name} after 32 predictions in out.txt.partial.\n"
    assert len((tmp_path / "out.txt.partial").read_text(encoding="utf-8").splitlines()) == 32
    assert signal.getsignal(signal.SIGTERM) == handler
    (tmp_path / "out.txt.partial").unlink()
    monkeypatch.setattr(sys, "stdin", Input(b"", stop))
    result = antiphon("predict", trained, "--output", "out.txt")
    assert (result.status, result.err) == (status, f"antiphon: stopped by {name} before the first prediction was made.\n")
    assert not (tmp_path / "out.txt.partial").exists()


def test_a_pipe_that_stalls_gets_its_answers(antiphon: Command, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next line is written once the last is answered; otherwise both would wait for ever."""
    reading, writing = os.pipe()
    os.write(writing, b"abc1\n")
    answers = 0

    def answered(self: Any, prediction: Any, beside: Any) -> None:
        nonlocal answers
        answers += 1
        if answers == 3:
            os.close(writing)
        else:
            os.write(writing, b"abc1\n")

    monkeypatch.setattr("antiphon.prediction.writers.Lines.write", answered)
    with open(reading, "rb") as stream:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
        assert antiphon("predict", trained).status == 0
    assert answers == 3


def test_who_types_is_told_and_answered(antiphon: Command, trained: Path, terminal: int) -> None:
    os.write(terminal, b"abc1\nabc1\n\x04")
    result = antiphon("predict", trained)
    assert result.status == 0, result.err
    assert result.err == "antiphon: waiting for lines on standard input; end them with Ctrl-D.\n"
    assert len(result.out.splitlines()) == 2
    os.write(terminal, b"abc1\n\x04")
    assert antiphon("predict", trained, "--quiet").err == ""


def test_progress_is_for_terminals(antiphon: Command, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "words.tsv").write_text("en\nabc1\n\nabc1\n", encoding="utf-8")
    arguments = ("predict", trained, "--input", "words.tsv")
    assert " predicted, " not in antiphon(*arguments, "--output", "pipe.txt").err
    monkeypatch.setattr("antiphon.cli.predict.sys.stderr.isatty", lambda: True)
    shown = antiphon(*arguments, "--output", "out.txt").err
    assert "\r\x1b[K1 predicted, " in shown
    assert "input 2 (words.tsv:3): the source is empty" in shown
    assert " predicted, " not in antiphon(*arguments).err, "standard output shows it"
    quiet = antiphon(*arguments, "--output", "quiet.txt", "--quiet").err
    assert "\r" not in quiet
    assert "input 2 (words.tsv:3): the source is empty" in quiet


def test_a_remark_is_not_for_the_quiet(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("a" * 30 + "\n", encoding="utf-8")
    arguments = ("predict", trained, "--input", "words.txt", "--set", "data.limits.too_long=truncate")
    assert antiphon(*arguments).err == "antiphon: 1 of 1 inputs were cut to 20 elements, as `data.limits` says.\n"
    assert antiphon(*arguments, "--quiet").err == ""


@pytest.mark.parametrize("change", ["training.max_steps=3", "data.train=x", "model.dropout=0.5"])
def test_a_setting_without_effect_is_refused(antiphon: Command, trained: Path, change: str) -> None:
    result = antiphon("predict", trained, "--set", change)
    assert result.status == 1
    assert f"`{change.split('=')[0]}` must not be set here, since it has no effect on a prediction. What can be set: `search`" in result.err


@pytest.mark.parametrize("piped", [True, False])
def test_a_blank_line_is_answered_with_one(
    antiphon: Command, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piped: bool
) -> None:
    lines = "abc1\n\n \u00a0\nabc1\n".encode()
    (tmp_path / "words.txt").write_bytes(lines)
    monkeypatch.setattr(sys, "stdin", Input(lines))
    result = antiphon("predict", trained, *(() if piped else ("--input", "words.txt")))
    first, second, third, fourth = result.out.splitlines()
    assert (result.status, result.err, second, third) == (0, "", "", "")
    assert first == fourth
    assert first


def test_the_lines_of_a_cell_stay_lines(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes('id,en\r\n1,"\u00a0abc1\r\n\r\nabc1 "\r\n2,abc1\r\n'.encode())
    result = antiphon("predict", trained, "--input", "in.csv", "--output", "out.csv")
    assert (result.status, result.err) == (0, "")
    lines, one = open_records("in.csv"), open_records("out.csv")
    said = [record["prediction"] for record in one]
    assert [{**record, "prediction": text} for record, text in zip(lines, said, strict=True)] == list(one)
    assert said[0] == f"\u00a0{said[1]}\r\n\r\n{said[1]} "
    bare = antiphon("predict", trained, "--input", "in.csv")
    assert bare.out == f"\u00a0{said[1]} {said[1]} \n{said[1]}\n"
    assert bare.err.startswith("antiphon: 1 prediction holds line ends, which became blanks")
    assert antiphon("predict", trained, "--input", "in.csv", "--quiet").err == ""


def test_the_lines_of_a_document_stay_lines(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_bytes(b"abc1\r\n\r\n  abc1\r\n")
    (tmp_path / "docs" / "b.txt").write_bytes(b"abc1")
    assert antiphon("predict", trained, "--input", "docs", "--output", "said/").status == 0
    one = (tmp_path / "said" / "b.txt").read_bytes().removesuffix(b"\n")
    assert (tmp_path / "said" / "a.txt").read_bytes() == one + b"\r\n\r\n  " + one + b"\r\n"


def test_two_line_aligned_files_are_an_input(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "a.en").write_text("abc1\nbca2\n", encoding="utf-8")
    (tmp_path / "a.no").write_text("1cba\n2acb\n", encoding="utf-8")
    result = antiphon("predict", trained, "--input", "{source: a.en, target: a.no}", "--output", "out.tsv")
    assert result.status == 0, result.err
    assert [(one["en"], one["no"]) for one in open_records("out.tsv")] == [("abc1", "1cba"), ("bca2", "2acb")]
    alone = antiphon("predict", trained, "--input", "{source: a.en}").out
    assert alone.splitlines() == [one["prediction"] for one in open_records("out.tsv")]
    lost = antiphon("predict", trained, "--input", "{source: a.en}", "--output", "a.en")
    assert "`--output` must be another file than the input a.en" in lost.err


def test_an_output_that_promises_another_format_is_refused_first(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("abc1\n", encoding="utf-8")
    result = antiphon("predict", trained, "--input", "words.txt", "--output", "out.po")
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("antiphon: `--output out.po` has the suffix .po, but predictions are written as bare lines")


def test_wishes_that_cannot_be_name_file_and_line_and_refuse_nothing_else(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    rows = [{"en": "abc1"}, {"en": "abc1", "prefix": "1" * 99}, {"en": "abc1", "required": "%"}, {"en": "abc1", "required": "1" * 99}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[0]]), encoding="utf-8")
    result = antiphon("predict", trained, "--input", "in.jsonl", "--output", "out.jsonl")
    assert result.status == 1
    assert "antiphon: input 2 (in.jsonl:2): the prefix must have at most 26 symbols, the limit for the source's length" in result.err
    assert "antiphon: input 3 (in.jsonl:3): `required` must be what the vocabulary can write, but '%' is not." in result.err
    assert "antiphon: input 4 (in.jsonl:4): the required phrase must have at most 26 symbols" in result.err
    said = [json.loads(line)["finish_reason"] for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [reason == "refused" for reason in said] == [False, True, True, True, False]


def test_unknown_symbols_are_counted(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("abc1\n%ab%\n", encoding="utf-8")
    result = antiphon("predict", trained, "--input", "words.txt", "--output", "out.jsonl")
    assert (result.status, result.err) == (0, "antiphon: 1 of 2 inputs have 2 symbols that the vocabulary does not know.\n")
    said = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row.get("source_unknown") for row in said] == [None, 2]
