"""How far a command is, for those who watch."""

import sys

import pytest

from antiphon.cli.counting import counter, teller


def test_a_count_stays_on_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    show = counter("records decoded")
    assert show is not None
    show(500, 1000)
    show(1000, 1000)
    captured = capsys.readouterr()
    assert captured.err == "\r500 of 1,000 records decoded\r1,000 of 1,000 records decoded\n"
    assert captured.out == ""


def test_nothing_is_counted_where_nobody_looks_or_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert counter("records") is None
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert counter("records", quiet=True) is None


def test_remarks_go_to_standard_error_unless_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    teller()("Out of memory.")
    teller(quiet=True)("Out of memory.")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "Out of memory.\n")
