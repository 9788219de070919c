"""Transcripts with times beside their recordings: TextGrid, CTM and STM."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from antiphon.contracts.configuration import validate
from antiphon.contracts.files import FileConfig
from antiphon.contracts.records import Records
from antiphon.data.records import open_records
from antiphon.errors import DataError
from antiphon.tasks.speech_recognition.config import SpeechRecognitionConfig
from antiphon.tasks.speech_recognition.task import SpeechRecognition
from tests.unit.data.sounds import tone

# As praatio 6.2 saves them; Praat itself writes the same, in UTF-16 where there are letters beyond ASCII.
LONG = """\
File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0 
xmax = 2 
tiers? <exists> 
size = 2 
item []: 
    item [1]:
        class = "IntervalTier" 
        name = "anna" 
        xmin = 0 
        xmax = 2 
        intervals: size = 3 
        intervals [1]:
            xmin = 0 
            xmax = 0.25 
            text = "" 
        intervals [2]:
            xmin = 0.25 
            xmax = 0.75 
            text = "sie sagt ""ja""
 laut" 
        intervals [3]:
            xmin = 0.75 
            xmax = 2 
            text = "grün" 
    item [2]:
        class = "TextTier" 
        name = "marks" 
        xmin = 0 
        xmax = 2 
        points: size = 1 
        points [1]:
            number = 0.5 
            mark = "x" 
"""  # noqa: W291
SHORT = """\
File type = "ooTextFile"
"TextGrid"

0
2
<exists>
2
"IntervalTier"
"anna"
0
2 ! seconds
3
0
0.25
""
0.25
0.75
"sie sagt ""ja"" laut"
0.75
2
"grün"
"TextTier"
"marks"
0
2
1
0.5
"x"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "talk.wav", np.stack([tone(2, 300), tone(2, 700)], 1), 16000)
    return tmp_path


def records_of(path: Path, settings: dict[str, Any] | None = None, **file: Any) -> Records:
    task = SpeechRecognition(validate(SpeechRecognitionConfig, settings or {}))
    return task.open_file(FileConfig(path=str(path), **file), Path(), task.columns)


def rows(records: Records) -> list[tuple[Any, ...]]:
    return [(record["text"], record["start"], record["end"], record["channel"], record.get("speaker")) for record in records]


@pytest.mark.parametrize("content", [LONG, SHORT, SHORT.replace("\n", "\r\n")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_textgrid(folder: Path, content: str, encoding: str) -> None:
    (folder / "talk.TextGrid").write_bytes(content.encode(encoding))
    records = records_of(folder / "talk.TextGrid", {"speaker": "speaker"})
    assert rows(records) == [('sie sagt "ja" laut', 0.25, 0.75, None, "anna"), ("grün", 0.75, 2.0, None, "anna")]
    assert [record["audio"] for record in records] == [
        {"path": str(folder / "talk.wav"), "start": 0.25, "end": 0.75},
        {"path": str(folder / "talk.wav"), "start": 0.75, "end": 2.0},
    ]
    assert records.skipped()["point"].count == 1
    lines = content.splitlines()
    assert '""' in lines[int(records.place(0).rpartition(":")[2]) - 1]
    assert "grün" in lines[int(records.place(1).rpartition(":")[2]) - 1]


def tier(name: str, *texts: str) -> str:
    """A tier of intervals of a second, as in the short form."""
    intervals = "".join(f'{number}\n{number + 1}\n"{text}"\n' for number, text in enumerate(texts))
    return f'"IntervalTier"\n"{name}"\n0\n{len(texts)}\n{len(texts)}\n{intervals}'


def textgrid(path: Path, *tiers: str) -> Path:
    content = f'File type = "ooTextFile"\n"TextGrid"\n\n0\n2\n<exists>\n{len(tiers)}\n{"".join(tiers)}'
    path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())
    return path


def test_words_of_a_forced_aligner_are_joined_until_a_pause(folder: Path) -> None:
    """The tiers of the Montreal Forced Aligner: words and phones of each speaker."""
    tiers = (tier("eva - words", "ja", "so", "<eps>", "na"), tier("eva - phones", "j", "s", "", "n"), tier("words", "", "eh"))
    path = textgrid(folder / "talk.TextGrid.gz", *tiers)
    records = records_of(path)
    assert rows(records) == [("ja so", 0.0, 2.0, None, "eva"), ("na", 3.0, 4.0, None, "eva"), ("eh", 1.0, 2.0, None, None)]
    assert next(iter(records))["audio"]["path"] == str(folder / "talk.wav")
    assert [record["text"] for record in records_of(path, columns=["eva - phones"])] == ["j", "s", "n"]
    with pytest.raises(DataError, match=r"has no tier 'eva'; it has: eva - words, eva - phones, words"):
        list(records_of(path, columns=["eva"]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (SHORT.replace('"TextGrid"', '"PitchTier"'), "must be a TextGrid, but is ooTextFile PitchTier"),
        (SHORT[:90], r"talk\.TextGrid:12 must be followed by a number of a TextGrid, but the file ends"),
        (SHORT.replace("0.25\n", '"0.25"\n', 1), r"talk\.TextGrid:13 must be followed by a number of a TextGrid, but '\"0\.25\"' is there"),
    ],
)
def test_a_damaged_textgrid_is_refused(folder: Path, content: str, message: str) -> None:
    (folder / "talk.TextGrid").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        list(records_of(folder / "talk.TextGrid"))


STM = """\
;; CATEGORY "0" "" ""
talk 1 anna 0.25 0.75 <o,f0,female> guten morgen
talk B ben 0.75 2.0 <unk> {NOISE} ja
talk A inter_segment_gap 0 0.25 <o,,> ignore_time_segment_in_scoring
talk A anna 1.5 1.5 weg

talk A anna 1.5 1.75
"""


def test_an_stm(folder: Path) -> None:
    (folder / "a.stm").write_text(STM, encoding="utf-8")
    records = records_of(folder / "a.stm", {"channel": "channel"})
    assert rows(records) == [
        ("guten morgen", 0.25, 0.75, 1, "anna"),
        ("<unk> {NOISE} ja", 0.75, 2.0, 2, "ben"),
        ("", 1.5, 1.75, 1, "anna"),
    ]
    assert {reason: one.count for reason, one in records.skipped().items()} == {
        "segment that is to be ignored": 1,
        "segment without length": 1,
    }
    assert next(iter(records))["audio"] == {"path": str(folder / "talk.wav"), "start": 0.25, "end": 0.75}


CTM = """\
talk A 0.25 0.20 guten 0.9
talk A 0.50 0.25 morgen 0.8
talk A * * <ALT_BEGIN>
talk A 1.50 0.25 uh
talk A * * <ALT>
talk A 1.50 0.25 ah
talk A * * <ALT_END>
talk A 1.80 0.20 ja
talk 2 0.10 0.10 nein
"""


def test_a_ctm(folder: Path) -> None:
    (folder / "a.ctm").write_text(CTM, encoding="utf-8")
    records = records_of(folder / "a.ctm")
    assert rows(records) == [("guten morgen", 0.25, 0.75, 1, None), ("uh ja", 1.5, 2.0, 1, None), ("nein", 0.1, 0.2, 2, None)]
    assert records.skipped()["other alternative of words"].first == (f"{folder / 'a.ctm'}:6",)
    assert records.place(1).endswith("a.ctm:4")


def test_an_utterance_of_words_has_an_end(folder: Path) -> None:
    (folder / "a.ctm").write_text("".join(f"talk 1 {n} 1 w{n}\n" for n in range(50)), encoding="utf-8")
    assert [(start, end) for _, start, end, _, _ in rows(records_of(folder / "a.ctm"))] == [(0, 20), (20, 40), (40, 50)]


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("a.stm", "talk 1 anna 0.25", "must have recording, channel, speaker, start, end and text, but is 'talk 1 anna 0.25'"),
        ("a.stm", "talk 0 anna 0 1 x", "must have a channel that is a number from 1, or a letter from A, but has '0'"),
        ("a.stm", "talk 1 anna 0 nan x", "must have a time in seconds from 0 up, but has 'nan'"),
        ("a.ctm", "talk 1 0.25 0.5", "must have recording, channel, start, duration and word"),
        ("a.ctm", "talk 1 x 0.5 y", "must have a time in seconds from 0 up, but has 'x'"),
    ],
)
def test_a_faulty_line_is_refused(folder: Path, name: str, line: str, message: str) -> None:
    (folder / name).write_text(f"{line}\n")
    with pytest.raises(DataError, match=rf"{name}:1 {message}"):
        list(open_records(folder / name, required=("source",)))
