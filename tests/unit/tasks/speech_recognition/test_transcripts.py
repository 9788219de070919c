"""Transcripts with times: what is written is what was said, and other programs and our own readers read it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.contracts.configuration import validate
from antiphon.contracts.files import FileConfig
from antiphon.data.records import open_records
from antiphon.tasks.speech_recognition.config import SpeechRecognitionConfig
from antiphon.tasks.speech_recognition.places import Heard, heard_in, without_part
from antiphon.tasks.speech_recognition.transcripts import FORMATS, transcript
from tests.judges import judge

HEARD = Heard("my talk", 2, None)
DETAILS = {
    "segments": [{"start": 0.5, "end": 1.5, "text": 'er sagt "ja"'}, {"start": 1.5, "end": 2.25, "text": "so"}],
    "words": [
        {"word": "er", "start": 0.5, "end": 0.7, "confidence": 0.5},
        {"word": "sagt", "start": 0.7, "end": 0.7, "confidence": 0.25},
        {"word": '"ja"', "start": 0.7, "end": 1.4, "confidence": 1.0},
        {"word": "so", "start": 2.0, "end": 2.25, "confidence": 1.0},
    ],
}


def test_a_ctm_has_a_line_for_each_word() -> None:
    assert transcript(DETAILS, HEARD, ".ctm").splitlines() == [
        "my_talk 2 0.500 0.200 er 0.5000",
        "my_talk 2 0.700 0.000 sagt 0.2500",
        'my_talk 2 0.700 0.700 "ja" 1.0000',
        "my_talk 2 2.000 0.250 so 1.0000",
    ]
    untimed = {"segments": DETAILS["segments"], "words": [{"word": word["word"], "confidence": 0.5} for word in DETAILS["words"]]}
    lines = transcript(untimed, HEARD, ".ctm").splitlines()
    assert [line.split()[4:] for line in lines] == [["er", "0.5000"], ["sagt", "0.5000"], ['"ja"', "0.5000"], ["so", "0.5000"]]
    starts = [float(line.split()[2]) for line in lines]
    assert starts == sorted(starts)
    assert (starts[0], starts[-1]) == (0.5, 1.5)


def test_an_stm_has_a_line_for_each_segment() -> None:
    assert transcript(DETAILS, HEARD._replace(speaker="eva k"), ".stm").splitlines() == [
        'my_talk 2 eva_k 0.500 1.500 er sagt "ja"',
        "my_talk 2 eva_k 1.500 2.250 so",
    ]
    silent = {"segments": [{"start": 0.0, "end": 1.0, "text": ""}], "words": []}
    assert transcript(silent, HEARD, ".stm") == "my_talk 2 unknown 0.000 1.000\n"


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_could_not_be_used_is_silent(suffix: str) -> None:
    assert "error" not in transcript({"error": "error"}, HEARD, suffix)


def test_our_readers_read_what_is_written(tmp_path: Path) -> None:
    def read(suffix: str, **file: Any) -> list[tuple[Any, ...]]:
        path = tmp_path / f"my_talk{suffix}"
        path.write_text(transcript(DETAILS, HEARD, suffix.lower()), encoding="utf-8")
        records = open_records(FileConfig(path=str(path), **file), source_column="audio", target_column="text")
        return [(record["audio"], record["start"], record["end"], record["text"]) for record in records]

    segments = [("my_talk", 0.5, 1.5, 'er sagt "ja"'), ("my_talk", 1.5, 2.25, "so")]
    assert read(".stm") == segments
    assert read(".ctm") == [("my_talk", 0.5, 1.4, 'er sagt "ja"'), ("my_talk", 2.0, 2.25, "so")]
    assert read(".TextGrid", columns=("segments",)) == segments


def test_a_textgrid_covers_all_of_the_time(tmp_path: Path) -> None:
    textgrid = judge("praatio.textgrid", extra="dev")
    path = tmp_path / "a.TextGrid"
    for details in (DETAILS, {}):
        path.write_text(transcript(details, HEARD, ".textgrid"), encoding="utf-8")
        found = textgrid.openTextgrid(str(path), includeEmptyIntervals=True, reportingMode="error")
        assert found.validate(reportingMode="error")
        for name in found.tierNames:
            ends = [(entry.start, entry.end) for entry in found.getTier(name).entries]
            assert all(start < end for start, end in ends)
            assert [start for start, _ in ends[1:]] == [end for _, end in ends[:-1]]
            assert not ends or (ends[0][0], ends[-1][1]) == (0, found.maxTimestamp)
    path.write_text(transcript(DETAILS, HEARD, ".textgrid"), encoding="utf-8")
    words = textgrid.openTextgrid(str(path), includeEmptyIntervals=False).getTier("words").entries
    assert [entry.label for entry in words] == ["er", "sagt", '"ja"', "so"]


def test_how_a_transcript_names_a_recording() -> None:
    plain = validate(SpeechRecognitionConfig, {})
    parted = validate(SpeechRecognitionConfig, {"channel": "side", "start": "from", "end": "to"})
    record = {"audio": {"path": "x/wav.ark:17", "start": 1.0, "channel": 2}, "recording": "sw0201"}
    assert heard_in(record, plain, 7) == Heard("sw0201", 2, "7")
    assert heard_in({"audio": "x/a.b.wav", "from": 1, "to": "2.5", "side": "mix"}, parted) == Heard("a.b", 1, None)
    assert heard_in({"recording": "x/a.wav"}, validate(SpeechRecognitionConfig, {"audio": "recording"})) == Heard("a", 1, None)
    assert without_part("a 1.wav channel 2 0.5-end s") == "a 1.wav"


LETTERS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=12)
TEXTS = LETTERS.map(lambda text: " ".join(text.split())).filter(bool)
GAPS = st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 5000), TEXTS), min_size=1, max_size=8)


def check_round_trip(folder: Path, gaps: list[tuple[int, int, str]]) -> None:
    """Segments in milliseconds, as (silence before, length, text), are the same in a TextGrid and, but for labels, in an STM."""
    segments, end = [], 0
    for silence, length, text in gaps:
        start = end + silence
        end = start + length
        segments.append({"start": start / 1000, "end": end / 1000, "text": text})
    for suffix, columns in ((".textgrid", ("segments",)), (".stm", ())):
        path = folder / f"a{suffix}"
        path.write_text(transcript({"segments": segments, "words": []}, HEARD, suffix), encoding="utf-8")
        found = open_records(FileConfig(path=str(path), columns=columns), source_column="audio", target_column="text")
        assert [{name: record[name] for name in ("start", "end", "text")} for record in found] == segments


@settings(max_examples=25, deadline=None, derandomize=True)
@given(gaps=GAPS)
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, gaps: list[tuple[int, int, str]]) -> None:
    check_round_trip(tmp_path_factory.mktemp("texts"), gaps)


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(gaps=GAPS)
def test_any_text_comes_back_from_500_files(tmp_path_factory: pytest.TempPathFactory, gaps: list[tuple[int, int, str]]) -> None:
    check_round_trip(tmp_path_factory.mktemp("texts"), gaps)
