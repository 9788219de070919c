"""antiphon predict: no output is lost, nobody waits for an answer that could be there, and stopping is one sentence."""

import io
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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
    (tmp_path / "words.txt").write_text("abc1\n\n", encoding="utf-8")
    assert antiphon("predict", trained, "--input", "words.txt", "--output", "out.txt").status == 1
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
    (tmp_path / "words.txt").write_text("abc1\n\nabc1\n", encoding="utf-8")
    arguments = ("predict", trained, "--input", "words.txt")
    assert " predicted, " not in antiphon(*arguments, "--output", "pipe.txt").err
    monkeypatch.setattr("antiphon.cli.predict.sys.stderr.isatty", lambda: True)
    shown = antiphon(*arguments, "--output", "out.txt").err
    assert "\r\x1b[K1 predicted, " in shown
    assert "input 2: the source is empty" in shown
    assert " predicted, " not in antiphon(*arguments).err, "standard output shows it"
    quiet = antiphon(*arguments, "--output", "quiet.txt", "--quiet").err
    assert "\r" not in quiet
    assert "input 2: the source is empty" in quiet


def test_a_remark_is_not_for_the_quiet(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("a" * 30 + "\n", encoding="utf-8")
    arguments = ("predict", trained, "--input", "words.txt", "--set", "data.limits.too_long=truncate")
    assert antiphon(*arguments).err == "antiphon: 1 of 1 inputs were cut to 20 elements, as `data.limits` says.\n"
    assert antiphon(*arguments, "--quiet").err == ""


@pytest.mark.parametrize("change", ["training.max_steps=3", "data.train=x", "model.dropout=0.5"])
def test_a_setting_without_effect_is_refused(antiphon: Command, trained: Path, change: str) -> None:
    result = antiphon("predict", trained, "--set", change)
    assert result.status == 1
    assert (
        f"`{change.split('=')[0]}` must not be set here, since it changes nothing of a prediction. What can be set: `search`" in result.err
    )
