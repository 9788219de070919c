"""antiphon predict: subtitles and a folder of documents go in, and files of their kinds come out."""

import re
from pathlib import Path

from tests.cli.conftest import Command

SRT = "1\n00:00:01,000 --> 00:00:02,000 X1:1\n<i>abc1</i>\n\n2\n00:00:02,500 --> 00:00:03,000\n\n3\n00:00:04,000 --> 00:00:05,000\nca2.\n"


def test_subtitles_come_back(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text(SRT)
    result = antiphon("predict", trained, "--input", "a.srt", "--output", "b.srt")
    assert "1 left out: cue without words (a.srt:7)" in result.err
    written = (tmp_path / "b.srt").read_text()
    assert re.findall(r"^\d+\n.*-->.*$", written, re.MULTILINE) == re.findall(r"^\d+\n.*-->.*$", SRT, re.MULTILINE)
    assert written.count("<i>") == written.count("</i>") == 1
    assert (tmp_path / "a.srt").read_text() == SRT


def test_a_folder_of_documents_comes_back(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a.md").write_text("# abc1\n\n```\ncode\n```\n")
    (tmp_path / "in" / "deep" / "b.html").write_text("<p>ca2</p><script>x</script>")
    result = antiphon("predict", trained, "--input", "in", "--output", "out/")
    assert "written into out/a.md and 1 more file." in result.err
    assert re.fullmatch(r"# .*\n\n```\ncode\n```\n", (tmp_path / "out" / "a.md").read_text())
    assert re.fullmatch(r"<p>.*</p><script>x</script>", (tmp_path / "out" / "deep" / "b.html").read_text())


def test_a_page_beside_plain_texts_is_left_out_and_told(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "about.md").write_text("# abc1\n")
    (tmp_path / "in" / "c.txt").write_text("abc1\n")
    result = antiphon("predict", trained, "--input", "in", "--output", "out/")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["c.txt"]
    assert "1 left out: no plain text (in/about.md)" in result.err


def test_there_is_nothing_to_evaluate(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text(SRT)
    result = antiphon("evaluate", trained, "--data", "a.srt")
    assert result.status == 1
    assert "subtitles hold one language" in result.err
