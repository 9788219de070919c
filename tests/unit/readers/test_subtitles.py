"""Subtitles come back with other texts: times, order, numbers, settings, notes and marks are what they were."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from antiphon.contracts.files import FileConfig
from antiphon.contracts.reader import Reading, Said
from antiphon.data.formats import reader_of
from antiphon.errors import DataError
from tests.generated import on_generated_files, over
from tests.judges import judge
from tests.round_trips import answered, located, rewriter, shouted, skips, sources

SRT = """\
1
00:00:01,000 --> 00:00:02,500 X1:10 X2:20
<i>I thought that you would never</i>

2
00:00:02,600 --> 00:00:04,000
<i>come back.</i> Hello,
my <b>dear</b> friend!

3
00:00:05,000 --> 00:00:06,000
{\\an8}- Who are you?
- It's me, John.

4
00:00:06,000 --> 00:00:07,000

7
00:00:08,000 --> 00:00:09,000
♪ la la la ♪

6
00:00:07,500 --> 00:00:08,000
[door opens]

8
0:00:09,500 --> 0:00:09,900
...
"""
# Written by ffmpeg n9.0.2 (`ffmpeg -i in.ass out.vtt`), and by hand, as of the specification, a head, a note, a
# style, a voice and times within.
VTT = """\
WEBVTT - title

STYLE
::cue { color: red }

NOTE a
comment

intro
00:01.000 --> 00:02.000 align:start position:10%
<v Roger Bingham>We are in New York City &amp; more

00:02.100 --> 00:04.000
<v Neil>We're <c.yellow.bg>actually</c> at the <00:03.000>Lucern
Hotel.

01:00:02.100 --> 01:00:04.000
<ruby>Kan<rt>ji</rt></ruby> &lt;3
"""


def written(folder: Path, content: str | bytes, name: str = "a.srt") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_sentence_over_several_cues_is_one(tmp_path: Path) -> None:
    found = list(located(written(tmp_path, SRT)))
    assert found[0] == (3, {"source": "I thought that you would never come back.", "start": 1.0, "end": 4.0, "cue": 1})
    assert sources(tmp_path / "a.srt")[1:] == ["Hello, my dear friend!", "Who are you?", "It's me, John.", "la la la", "[door opens]"]
    assert skips(tmp_path / "a.srt") == [(17, "cue without words"), (28, "cue without words")]


def test_what_was_said_is_divided_by_its_links(tmp_path: Path) -> None:
    path = written(tmp_path, SRT)
    output = rewriter(path)
    assert output.wants_links(1)
    assert not output.wants_links(3)
    links = ((0, 0), (1, 1), (2, 2), (3, 3), (4, 7), (5, 4), (6, 6), (7, 5), (7, 6))
    output.put(1, Said("Ich dachte, dass du nie wieder zurückkommen würdest.", links))
    output.put(2, Said("Hallo, mein lieber Freund!", ((0, 0), (1, 1), (2, 2), (3, 3))))
    assert output.content().decode() == SRT.replace("I thought that you would never", "Ich dachte, dass du nie").replace(
        "<i>come back.</i> Hello,\nmy <b>dear</b> friend!", "<i>wieder zurückkommen würdest.</i>\nHallo, mein <b>lieber</b> Freund!"
    )


def test_a_pause_parts_no_linked_words(tmp_path: Path) -> None:
    lines = ["The old man, who had lived in the house, we", "thought, had gone to the sea and would not come back again."]
    content = "".join(f"{n}\n00:00:0{n},000 --> 00:00:0{n},900\n{line}\n\n" for n, line in enumerate(lines, 1))
    shown = [" ".join(cue.split("\n")[2:]) for cue in answered(written(tmp_path, content), shouted).decode().strip().split("\n\n")]
    assert shown == [line.upper() for line in lines]


def test_without_links_by_length(tmp_path: Path) -> None:
    path = written(tmp_path, SRT)
    output = rewriter(path)
    output.put(1, Said("Ich hätte nie gedacht, dass du wiederkommst."))
    assert output.content().decode() == SRT.replace("I thought that you would never", "Ich hätte nie gedacht, dass du").replace(
        "<i>come back.</i> Hello,\nmy <b>dear</b> friend!", "<i>wiederkommst.</i> Hello, my <b>dear</b> friend!"
    )


def test_fewer_words_than_cues_are_shown_on(tmp_path: Path) -> None:
    path = written(tmp_path, "1\n00:00:01,000 --> 00:00:02,000\nI see\n\n2\n00:00:02,000 --> 00:00:03,000\nyou.\n")
    assert re.findall(r"^\D+$", answered(path, lambda _: "Entiendo.").decode(), re.MULTILINE) == ["Entiendo.\n", "Entiendo.\n"]


def test_lines_are_broken_anew(tmp_path: Path) -> None:
    path = written(tmp_path, "1\n00:00:01,000 --> 00:00:02,000\nA text.\n")
    long = "Das ist ein sehr viel längerer Text, der auf zwei Zeilen steht."
    assert b"\nDas ist ein sehr viel l\xc3\xa4ngerer Text,\nder auf zwei Zeilen steht.\n" in answered(path, lambda _: long)
    lines = answered(path, lambda _: long, line_length=20).decode().splitlines()[2:]
    assert max(map(len, lines)) <= 20
    assert " ".join(lines) == long
    chinese = answered(path, lambda _: "这是一个非常长的文本，它必须分成两行才能显示在屏幕上。").decode().splitlines()[2:]
    assert chinese == ["这是一个非常长的文本，", "它必须分成两行才能显示在屏幕上。"]


def test_marks_of_webvtt_stay(tmp_path: Path) -> None:
    path = written(tmp_path, VTT, "a.vtt")
    assert sources(path) == ["We are in New York City & more", "We're actually at the Lucern Hotel.", "Kan <3"]
    assert answered(path, shouted).decode() == VTT.replace(
        "We are in New York City &amp; more", "WE ARE IN NEW YORK CITY &amp; MORE"
    ).replace(
        "We're <c.yellow.bg>actually</c> at the <00:03.000>Lucern\nHotel.",
        "WE'RE <c.yellow.bg>ACTUALLY</c> AT THE <00:03.000>LUCERN HOTEL.",
    ).replace("Kan", "KAN")
    assert answered(path, lambda _: "<b> & Co.").count(b"<v Roger Bingham>&lt;b&gt; &amp; Co.\n\n") == 1


@pytest.mark.parametrize("name", ["a.srt", "a.vtt"])
@pytest.mark.parametrize("encode", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_echo_changes_no_byte(tmp_path: Path, name: str, encode: str, end: str) -> None:
    content = (SRT if name == "a.srt" else VTT).replace("♪", "*").replace("\n", end).encode(encode)
    for data in (content, content.rstrip() if encode != "utf-16" else content):
        path = written(tmp_path, data, name)
        encoding = {"encoding": encode} if encode == "latin-1" else {}
        assert answered(path, str, **encoding) == data
        assert answered(path, shouted, **encoding) != data


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.srt", "1\nhello\n", r"a\.srt` must have times such as"),
        (
            "a.srt",
            SRT.replace("00:00:05,000 --> 00:00:06,000", "00:00:05,000 -> 00:00:06,000"),
            r"a\.srt:11 must be times .* but is '00:00:05",
        ),
        ("a.srt", SRT + "\n9\n00:00 --> 00:10\nx\n", r"a\.srt:31 must be times"),
        ("a.vtt", "hello\n", r"a\.vtt:1 must begin with WEBVTT"),
        ("a.vtt", "WEBVTT\n\n00:01,000 --> 00:02,000\nx\n", r"a\.vtt:3 must be times"),
        ("a.vtt", "WEBVTT\n\nNOTE nothing\n", r"a\.vtt` must have times"),
        ("a.srt", SRT.encode() + b"\xff", r"a\.srt:29: byte 0xff is not utf-8"),
    ],
)
def test_what_is_no_subtitle_is_refused(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    path = written(tmp_path, content, name)
    with pytest.raises(DataError, match=message):
        sources(path)


def test_what_cannot_stand_in_a_cue_is_refused(tmp_path: Path) -> None:
    output = rewriter(written(tmp_path, SRT))
    for text, message in (
        ("", "is empty"),
        (" \n", "is empty"),
        ("a --> b", "an arrow"),
        ("a <i>b", "has `<i>` that its source does not have"),
    ):
        with pytest.raises(DataError, match=message):
            output.put(1, Said(text))
    assert output.content().decode() == SRT
    narrow = rewriter(written(tmp_path, SRT.replace("♪", "*").encode("latin-1")), encoding="latin-1")
    with pytest.raises(DataError, match="has '我', which latin-1, the encoding of the file, cannot write"):
        narrow.put(1, Said("我"))


def test_there_are_no_targets_to_learn_from(tmp_path: Path) -> None:
    file = FileConfig(path=str(written(tmp_path, SRT)))
    reading = Reading(tmp_path / "a.srt", file, ("source", "target"), "source", "target")
    with pytest.raises(DataError, match="subtitles hold one language"):
        list(reader_of(reading.path, file).read(reading))


def test_the_package_srt_reads_what_is_written(tmp_path: Path) -> None:
    srt = judge("srt", extra="dev")
    path = written(tmp_path, SRT)
    before, behind = (list(srt.parse(text)) for text in (SRT, answered(path, shouted).decode()))
    assert [(one.index, one.start, one.end) for one in behind] == [(one.index, one.start, one.end) for one in before]
    assert behind[1].content.endswith("<b>DEAR</b> FRIEND!")


def test_the_package_webvtt_reads_what_is_written(tmp_path: Path) -> None:
    webvtt = judge("webvtt", "webvtt-py", "dev")
    path = written(tmp_path, VTT, "a.vtt")
    before = webvtt.from_string(VTT)
    behind = webvtt.from_string(answered(path, shouted).decode())
    assert [(one.start, one.end, one.identifier, one.voice) for one in behind] == [
        (one.start, one.end, one.identifier, one.voice) for one in before
    ]
    assert [one.text.lower().split() for one in behind] == [one.text.lower().split() for one in before]


def test_braces_that_are_no_mark_are_text(tmp_path: Path) -> None:
    path = written(tmp_path, "1\n00:00:01,000 --> 00:00:02,500\n{laughs}\n")
    assert answered(path, shouted).decode() == "1\n00:00:01,000 --> 00:00:02,500\n{LAUGHS}\n"


WORDS = st.sampled_from(
    ["I", "you.", "We", "<i>", "</i>", "<b>", "</b>", "house,", "now!", "Élan", "我们。", "\n", "\n- ", "♪", "[x]", "…", "3", "%s", "{x}"]
)
TEXTS = st.lists(WORDS, max_size=9).map(lambda words: re.sub(r"\n\s*\n", "\n", " ".join(words)).strip())
TIMES = st.tuples(st.integers(0, 359_999_999), st.integers(0, 9_999))
CUES = st.lists(st.tuples(TIMES, TEXTS, st.integers(0, 99)), min_size=1, max_size=7)


def clock(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{rest:03}"


def made(cues: list[Any], name: str, end: str) -> str:
    point, settings_of_cue = (",", " X1:1") if name == "a.srt" else (".", " align:start")
    blocks = [
        f"{number}\n{clock(start, point)} --> {clock(start + length, point)}{settings_of_cue if number % 3 == 0 else ''}\n{text}\n\n"
        for (start, length), text, number in cues
    ]
    head = "" if name == "a.srt" else "WEBVTT\n\nNOTE a note\nof two lines\n\n"
    return (head + "".join(blocks)).replace("\n", end)


def parsed(text: str) -> list[tuple[str, str, str]]:
    """Number, times and text of each cue, by blank lines alone."""
    blocks = [block.strip("\n").split("\n") for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n"))]
    return [(block[0], block[1], " ".join(block[2:])) for block in blocks if len(block) > 1 and " --> " in block[1]]


def check_round_trip(folder: Path, cues: list[Any], name: str, end: str) -> None:
    content = made(cues, name, end)
    path = written(folder, content, name)
    assert answered(path, str).decode() == content
    result = answered(path, shouted).decode()
    before, behind = parsed(content), parsed(result)
    assert [cue[:2] for cue in behind] == [cue[:2] for cue in before]
    for (_, _, old), (_, _, new) in zip(before, behind, strict=True):
        assert MARK.sub("", new).split() == MARK.sub("", old).upper().split()
        assert MARK.findall(new) == MARK.findall(old)
    # Words in another number, and no links: no mark, cue or note is lost.
    longer = parsed(answered(path, lambda source: f"so {source} to").decode())
    assert [cue[:2] for cue in longer] == [cue[:2] for cue in before]
    for mark in ("<i>", "</i>", "<b>", "</b>"):
        assert sum(cue[2].count(mark) for cue in longer) == content.count(mark)


MARK = re.compile(r"</?[ib]>")


@on_generated_files
@pytest.mark.parametrize("name", ["a.srt", "a.vtt"])
def test_generated_files_come_back(tmp_path: Path, name: str, count: int) -> None:
    def generated(cues: list[Any], end: str) -> None:
        check_round_trip(tmp_path, cues, name, end)

    over(count, generated, cues=CUES, end=st.sampled_from(["\n", "\r\n"]))
