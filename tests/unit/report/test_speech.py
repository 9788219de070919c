"""The section on speech: counts, alignments, pictures and sound of the worst utterances."""

import base64
import io
import re
import struct
import zlib

import numpy as np
import pytest
import soundfile

import antiphon
from antiphon.recipe.recipe import recipe_from
from antiphon.report import speech
from antiphon.report.page import write_report
from antiphon.report.speech_picture import png, spectrogram
from antiphon.report.speech_words import word_alignment, word_pairs

ENCODER = {"name": "encoder_only", "encoder": {"name": "lstm", "dim": 8, "layers": 1}, "subsampling": 2, "subsampling_width": 2}


def sound(seconds, tone=440):
    return (0.3 * np.sin(2 * np.pi * tone * np.arange(int(8000 * seconds)) / 8000)).astype(np.float32)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    rows = ["audio\ttext\tspeaker"]
    for number in range(6):
        soundfile.write(folder / f"{number}.wav", sound(0.4 + number / 10, 300 * (number + 1)), 8000)
        rows.append(f"{number}.wav\t{'ab ' * (number % 3)}<b>\ts{number % 2}")
    (folder / "clips.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    recipe = {
        "task": {"name": "speech_recognition", "speaker": "speaker", "sample_rate": 8000, "features": {"kind": "filter_banks", "bins": 8}},
        "data": {"train": "clips.tsv", "validation": "clips.tsv", "test": "clips.tsv"},
        "model": ENCODER,
        "training": {"max_steps": 2, "device": "cpu", "batching": {"source_tokens": 200}},
        "evaluation": {"resamples": 10},
    }
    made = antiphon.train(recipe_from(recipe, folder), folder / "run")
    antiphon.evaluate(made)
    return made


def page_of(run):
    return write_report(run).read_text(encoding="utf-8")


def test_the_page_has_errors_pictures_and_sound(run):
    page = page_of(run)
    assert "img-src data:; media-src data:;" in page
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!#|data:)', page)
    assert "By speaker" in page
    assert "By length" in page
    assert page.count("<audio") == 6
    assert page.count("<image") == 6
    heard = re.search(r'src="data:audio/flac;base64,([^"]+)"', page)
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(heard[1])))
    assert rate == 8000
    assert 0.3 < len(samples) / rate < 1.1


def test_what_does_not_fit_is_said(run, monkeypatch):
    monkeypatch.setattr(speech, "_MOST_BYTES", 6_000)
    monkeypatch.setattr(speech, "_SHOWN", 4)
    page = page_of(run)
    assert page.count("<audio") < 4
    assert "have no sound" in page
    assert "the first 4 have pictures" in page
    monkeypatch.setattr(speech, "_MOST_SECONDS", 0.65)
    assert "of the first 4 have no picture" in page_of(run)


def test_recordings_that_are_gone_are_no_error(run, tmp_path):
    moved = run.parent / "0.wav"
    content = moved.read_bytes()
    moved.unlink()
    try:
        assert "The recordings cannot be read again" in page_of(run)
    finally:
        moved.write_bytes(content)


def test_without_an_evaluation_the_command_is_given(run):
    record = speech.RunRecord(run, {}, "", (), (), None, {})
    assert "antiphon evaluate" in speech.speech_section(record, "no model")


def test_words_are_aligned():
    assert list(word_pairs("a b c", "a x c d")) == [("equal", "a", "a"), ("substitute", "b", "x"), ("equal", "c", "c"), ("insert", "", "d")]
    assert list(word_pairs("a b", "b")) == [("delete", "a", ""), ("equal", "b", "b")]
    assert list(word_pairs("", "oh no")) == [("insert", "", "oh"), ("insert", "", "no")]
    assert list(word_pairs("yes", "")) == [("delete", "yes", "")]
    assert "&lt;b&gt;" in word_alignment("<b>", "<i>")


def test_a_png_says_what_it_was_given():
    values = np.array([[0.0, 0.5, 1.0], [1.0, 2.0, -1.0]])
    content = png(values)
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", content[16:24]) == (3, 2)
    place = content.index(b"IDAT")
    (length,) = struct.unpack(">I", content[place - 4 : place])
    data = content[place + 4 : place + 4 + length]
    assert zlib.decompress(data) == bytes([0, 0, 127, 255, 0, 255, 255, 0])
    assert struct.unpack(">I", content[place + 4 + length : place + 8 + length]) == (zlib.crc32(b"IDAT" + data),)


def test_words_stand_where_they_are_heard():
    words = [{"word": "late", "start": 1.0, "end": 1.5, "confidence": 0.5}, {"word": "unknown"}]
    drawn = spectrogram(np.zeros((200, 4)), 2.0, words, np.eye(3), label="x")
    assert drawn.count("<image") == 2
    assert 'class="word" x="160.0"' in drawn
    assert "late: 1.00 to 1.50 s" in drawn
    assert "unknown" not in drawn
