"""Glossaries and translation memories beside a model, through the command line."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Command

LINES = "abc1\nbcd2 cab\nxyz\n"


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    (tmp_path / "in.txt").write_text(LINES, encoding="utf-8")
    (tmp_path / "terms.csv").write_text("en,no\nabc1,QUX\ncab,dab\n".replace("QUX", "bab"), encoding="utf-8")
    memory = '<tu><tuv xml:lang="en"><seg>{}</seg></tuv><tuv xml:lang="no"><seg>{}</seg></tuv></tu>'
    said = memory.format("xyz", "ZYX") + memory.format("bcd2 cab cab", "more")
    (tmp_path / "memory.tmx").write_text(f'<tmx version="1.4"><header srclang="en"/><body>{said}</body></tmx>', encoding="utf-8")
    return tmp_path


def test_terms_must_be_said(antiphon: Command, trained: Path, lines: Path) -> None:
    told = antiphon("predict", trained, "-i", "in.txt", "--glossary", "terms.csv", "--glossary-mode", "exact")
    assert told.status == 0, told.err
    first, second, _ = told.out.splitlines()
    assert "bab" in first
    assert "dab" in second
    assert "antiphon: the glossary has 2 terms; 2 were found, and 2 of these were said." in told.err


def test_terms_should_be_said(antiphon: Command, trained: Path, lines: Path) -> None:
    strong = antiphon("predict", trained, "-i", "in.txt", "--glossary", "terms.csv", "--set", "search.hot_words.weight=30")
    assert strong.status == 0, strong.err
    assert "bab" in strong.out.splitlines()[0]
    assert re.search(r"2 were found, and [12] of these were said\.", strong.err)
    weak = antiphon("predict", trained, "-i", "in.txt", "--glossary", "terms.csv", "--set", "search.hot_words.weight=0.001")
    assert weak.out == antiphon("predict", trained, "-i", "in.txt").out


def test_a_memory_tells_and_is_reused(antiphon: Command, trained: Path, lines: Path) -> None:
    plain = antiphon("predict", trained, "-i", "in.txt").out.splitlines()
    memory = ("--memory", "memory.tmx")
    told = antiphon("predict", trained, "-i", "in.txt", *memory, "-o", "out.jsonl")
    assert told.status == 0, told.err
    rows = [json.loads(line) for line in (lines / "out.jsonl").read_text().splitlines()]
    assert [row["prediction"] for row in rows] == plain
    assert [row.get("memory") for row in rows] == [None, None, {"source": "xyz", "target": "ZYX", "alike": 1.0}]
    assert "the memory has 2 sources; 1 inputs are like one of them." in told.err
    reused = antiphon("predict", trained, "-i", "in.txt", *memory, "--memory-mode", "reuse")
    assert reused.out.splitlines() == [*plain[:2], "ZYX"]
    assert "1 inputs are like one of them, and 1 translations were reused." in reused.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--glossary", "gone.csv"), r"There is no file .*gone\.csv"),
        (("--glossary-mode", "exact"), "`--glossary-mode exact` needs `--glossary FILE`"),
        (("--memory-mode", "reuse"), "`--memory-mode reuse` needs `--memory FILE`"),
        (("--glossary", "in.txt"), "has one text a line: that is one column, but `en` and `no` are needed"),
    ],
)
def test_what_is_refused(antiphon: Command, trained: Path, lines: Path, arguments: tuple[str, str], message: str) -> None:
    told = antiphon("predict", trained, "-i", "in.txt", *arguments)
    assert told.status == 1
    assert re.search(message, told.err)
