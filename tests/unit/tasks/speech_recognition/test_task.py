"""The task of speech recognition: records to examples and back, corpora, holding out speakers, long recordings."""

import json
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest

from antiphon.contracts.configuration import validate
from antiphon.contracts.files import FileConfig
from antiphon.contracts.limits import Limits
from antiphon.contracts.sequences import Hypothesis
from antiphon.data.mapped import MappedCorpus
from antiphon.data.records import MemoryRecords, open_records
from antiphon.errors import ConfigError, DataError
from antiphon.recipe.recipe import recipe_from
from antiphon.store import checkpoint
from antiphon.tasks.speech_recognition import plugin
from antiphon.tasks.speech_recognition.config import SpeechRecognitionConfig
from antiphon.tasks.speech_recognition.task import SpeechRecognition
from tests.unit.data.sounds import tone, write

TEXTS = ["ab", "ba", "aab", "b a"]


@pytest.fixture
def table(tmp_path):
    rows = ["audio\ttext\tspeaker"]
    for number, text in enumerate(TEXTS):
        write(tmp_path / f"{number}.wav", tone(0.3 + 0.1 * number, 200 + 100 * number))
        rows.append(f"{number}.wav\t{text}\tspeaker{number // 2}")
    path = tmp_path / "train.tsv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def task_of(**settings):
    return SpeechRecognition(validate(SpeechRecognitionConfig, {"features": {"bins": 20}, **settings}))


def fitted(table, **settings):
    task = task_of(**settings)
    records = open_records(table, required=task.columns, open_file=task.open_file)
    task.fit(records)
    return task, records


def test_a_record_becomes_frames_and_framed_symbols(table):
    task, records = fitted(table)
    example = task.encode(next(iter(records)), 7)
    assert example.source.shape == (28, 20)
    assert example.source.dtype == np.float32
    assert example.record == 7
    assert task.pieces("target", example.target) == ["<s>", "a", "b", "</s>"]
    assert task.source_spec.width == 20
    assert task.encode({"audio": str(table.parent / "0.wav")}).target is None
    for value in ((table.parent / "0.wav").read_bytes(), {"array": tone(0.3, 200), "sampling_rate": 16000}):
        np.testing.assert_allclose(task.encode({"audio": value}).source, example.source, atol=0.05)
    np.testing.assert_array_equal(
        task.encode({"audio": tone(0.3, 200), "sample_rate": 16000}).source,
        task.encode({"audio": {"array": tone(0.3, 200), "sampling_rate": 16000}}).source,
    )


@pytest.mark.parametrize("normalization", ["none", "utterance", "global"])
def test_a_loaded_task_encodes_alike(table, tmp_path, normalization):
    task, records = fitted(table, normalization=normalization)
    (tmp_path / "saved").mkdir()
    task.save(tmp_path / "saved")
    other = task_of(normalization=normalization)
    other.load(tmp_path / "saved")
    one, two = (item.encode(next(iter(records))) for item in (task, other))
    np.testing.assert_array_equal(one.source, two.source)
    np.testing.assert_array_equal(one.target, two.target)
    assert other.fingerprint == task.fingerprint
    assert checkpoint  # the folder is what a checkpoint holds as its features


def test_a_corpus_gives_back_what_was_encoded(table, tmp_path):
    task, records = fitted(table)
    for storage, tolerance in (("float32", 0.0), ("float16", 4e-3)):
        task = task_of(storage=storage)
        task.fit(records)
        corpus = task.build_corpus(records, tmp_path / storage, limits=Limits(), keep_records=True)
        assert len(corpus) == 4
        for index, record in enumerate(records):
            stored, encoded = corpus.example(index), task.encode(record)
            np.testing.assert_allclose(stored.source.astype(np.float32), encoded.source, atol=tolerance)
            np.testing.assert_array_equal(stored.target, encoded.target)
        assert corpus.source_lengths.tolist() == [28, 38, 48, 58]
    sizes = [(tmp_path / storage / "source.bin").stat().st_size for storage in ("float32", "float16")]
    assert sizes[0] == 2 * sizes[1]
    assert isinstance(task.build_corpus(records, tmp_path / "float16", limits=Limits(), keep_records=True), MappedCorpus)


def test_sounds_in_memory_can_be_kept(tmp_path):
    task = task_of()
    rows = [
        {"audio": tone(0.3, 300), "sample_rate": 16000, "text": "a"},
        {"audio": (tone(0.2) * 3e4).astype(np.int16), "sample_rate": 16000, "text": "b"},
    ]
    records = MemoryRecords(lambda: rows)
    task.fit(records)
    corpus = task.build_corpus(records, tmp_path / "corpus", limits=Limits(), keep_records=True)
    for index, row in enumerate(rows):
        assert json.dumps(corpus.record(index))
        np.testing.assert_array_equal(task.encode(corpus.record(index)).source, task.encode(row).source)


def test_waveforms_vary_by_seed_and_masks_by_seed(table, tmp_path, seed):
    varied = {"speeds": [0.8, 1.25], "noise": {"kind": "white", "share": 1.0}, "time_masks": 1, "time_share": 0.5}
    task, records = fitted(table, augmentation=varied)
    assert task.samples_encodings
    assert task.augments
    corpus = task.build_corpus(records, tmp_path / "corpus", limits=Limits(), keep_records=True)
    stored, one, same, other = corpus.example(0), corpus.example(0, seed), corpus.example(0, seed), corpus.example(0, seed + 1)
    np.testing.assert_array_equal(one.source, same.source)
    assert one.source.shape != stored.source.shape
    assert other.source.shape != one.source.shape or not np.array_equal(one.source, other.source)
    np.testing.assert_array_equal(one.target, stored.target)
    masked, again = task.augment(stored, seed), task.augment(stored, seed)
    np.testing.assert_array_equal(masked.source, again.source)
    np.testing.assert_array_equal(stored.source, corpus.example(0).source)
    plain, _ = fitted(table)
    assert not plain.augments
    assert not plain.samples_encodings
    masks_only, _ = fitted(table, augmentation={})
    assert masks_only.augments
    assert not masks_only.samples_encodings


def test_noise_comes_from_a_folder(table, tmp_path):
    (tmp_path / "noise").mkdir()
    write(tmp_path / "noise" / "hum.wav", tone(0.1, 3000))
    settings = {"noise": {"kind": "folder", "folder": str(tmp_path / "noise"), "share": 1.0, "signal_to_noise": [0, 0]}}
    task, records = fitted(table, augmentation=settings, normalization="none")
    quiet, noisy = (task.encode(next(iter(records)), seed=seed).source for seed in (None, 3))
    louder = (noisy - quiet).mean(axis=0)
    assert np.argmax(louder) == pytest.approx(20 * 1870 / 2840, abs=2)  # mels of 3,000 and 8,000 Hz
    elsewhere = ForkingPickler.loads(ForkingPickler.dumps(task))
    np.testing.assert_array_equal(elsewhere.encode(next(iter(records)), seed=3).source, noisy)  # in a worker process
    empty, _ = fitted(table, augmentation={"noise": {"kind": "folder", "folder": str(tmp_path / "none")}})
    with pytest.raises(DataError, match="has none"):
        empty.encode(next(iter(records)), seed=3)


def test_parts_of_recordings_by_start_and_end(table):
    path = table.parent / "parts.tsv"
    path.write_text("audio\ttext\tfrom\tto\n3.wav\ta\t0.1\t0.3\n3.wav\tb\t0.3\t0.55\n", encoding="utf-8")
    task, records = fitted(path, start="from", end="to")
    assert [len(task.encode(record).source) for record in records] == [18, 23]
    assert task.source_of(next(iter(records))).endswith("3.wav 0.1-0.3 s")
    with pytest.raises(DataError, match="`to` must be a time in seconds, but is 'x'"):
        task.encode({"audio": str(table.parent / "3.wav"), "from": "0", "to": "x"})


def test_what_is_kept_together():
    made = [SpeechRecognition(validate(SpeechRecognitionConfig, found)) for found in ({}, {"start": "a", "end": "b"}, {"speaker": "who"})]
    assert [task.kept_together for task in made] == [("audio",), ("audio", "a", "b"), ("who",)]


def hypothesis(task, text, **more):
    elements = task.target_text.encode(text)
    return Hypothesis(elements, -1.0, -1.0, (-0.5,) * (len(elements) + 1), **more)


def test_a_long_recording_is_predicted_in_parts_and_joined(table):
    task, _ = fitted(table, segments={"longest": 1.5}, subtitles="srt")
    samples = np.concatenate([tone(1), np.zeros(16000, dtype=np.float32), tone(1), np.zeros(8000, dtype=np.float32)])
    record = {"audio": samples, "sample_rate": 16000}
    parts = task.parts(record)
    assert len(parts) == 2
    examples = [task.encode(part) for part in parts]
    spans = np.array([[0, 10], [20, 40]])
    predictions = [
        task.decode([hypothesis(task, text, spans=spans)], example) for text, example in zip(("ab", "ba"), examples, strict=True)
    ]
    whole = task.joined(predictions, record)
    assert whole.text == "ab ba"
    assert [segment["text"] for segment in whole.details["segments"]] == ["ab", "ba"]
    assert [(word["word"], word["start"]) for word in whole.details["words"]] == [("ab", 0.0), ("ba", examples[1].context.start)]
    assert 1.8 < examples[1].context.start < 2.0
    assert whole.hypothesis.log_prob == -2.0
    assert len(whole.hypothesis.elements) == 4
    assert whole.details["subtitles"].startswith("1\n00:00:00,000 --> ")
    short = {"audio": tone(1), "sample_rate": 16000}
    assert list(task.parts(short)) == [short]
    silent = {"audio": np.zeros(48000, dtype=np.float32), "sample_rate": 16000}
    assert list(task.parts(silent)) == []
    nothing = task.joined([], silent)
    assert (nothing.text, nothing.details["segments"], nothing.hypothesis.finish_reason) == ("", [], "end")


def test_details_count_errors_by_kind_speaker_and_length(table):
    task, records = fitted(table, speaker="speaker")
    items = list(records)
    said = ["ab", "bb", "aab", "b a b"]
    predictions = [
        task.joined([task.decode([hypothesis(task, text)], task.encode(item))], item) for text, item in zip(said, items, strict=True)
    ]
    details = task.details(items, predictions, [[task.reference(item)] for item in items], {})
    assert {name: details["errors"][name] for name in ("substitutions", "deletions", "insertions", "reference_words")} == {
        "substitutions": 1,
        "deletions": 0,
        "insertions": 1,
        "reference_words": 5,
    }
    assert details["errors"]["word_error_rate"] == pytest.approx(40)
    assert [(row["speaker"], round(row["word_error_rate"], 1)) for row in details["speakers"]] == [("speaker0", 50.0), ("speaker1", 33.3)]
    assert [row["utterances"] for row in details["lengths"]] == [1, 1, 1, 1]
    assert [entry["prediction"] for entry in details["worst"]] == ["bb", "b a b"]
    assert "REF" in details["worst"][0]["alignment"]
    assert json.dumps(details)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"start": "from"}, "`start` and `end` go together"),
        ({"features": {"kind": "whisper"}, "sample_rate": 8000}, "must be 16000"),
        ({"augmentation": {"volume": [-6, 6]}}, "no effect"),
        ({"features": {"padded_seconds": 5}}, "`segments.longest` must be at most"),
        ({"features": {"kind": "mfcc"}}, "features"),
    ],
)
def test_settings_that_clash_are_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        validate(SpeechRecognitionConfig, settings)


def test_wrong_records_are_named(table, tmp_path):
    task, _ = fitted(table)
    for record, said in (
        ({"audio": None}, "`audio` must name a recording, but is missing"),
        ({"audio": ""}, "is empty"),
        ({"audio": str(table.parent / "0.wav"), "text": 3}, "`text` must be a text, but is 3"),
        ({"audio": np.zeros(100), "sample_rate": 16000}, "at least one frame"),
    ):
        with pytest.raises(DataError, match=said):
            task.encode(record)
    (tmp_path / "bad.tsv").write_text("audio\ttext\n0.wav\ta\nnone.wav\tb\n", encoding="utf-8")
    records = open_records(tmp_path / "bad.tsv", required=task.columns, open_file=task.open_file)
    with pytest.raises(DataError, match=r"bad.tsv:3: There is no file `.*none.wav`"):
        task.build_corpus(records, tmp_path / "corpus", limits=Limits(), keep_records=False)
    assert task.open_file(FileConfig(path=str(table)), tmp_path, task.columns).count() == 4


def test_batches_are_bounded_by_frames_unless_a_recipe_says_otherwise():
    values = {"task": "speech_recognition", "model": {"name": "lstm"}, "training": {"max_steps": 1}}
    assert recipe_from(values).training.batching.source_tokens == 12_000
    other = {**values, "training": {"max_steps": 1, "batching": {"source_tokens": 900}}}
    assert recipe_from(other).training.batching.source_tokens == 900
    assert plugin.metrics == ("word_error_rate", "character_error_rate")


def test_what_a_record_asks_of_its_text(table):
    task, _ = fitted(table, segments={"longest": 1.0})
    record = {"audio": tone(0.5, 200), "sample_rate": 16000, "prefix": "a", "required": ["b", ""], "banned": "ba"}
    symbols = {letter: task.target_text.phrase(letter) for letter in ("a", "b", "ba")}
    asked = task.request(record)
    assert (asked.prefix, asked.required, asked.banned) == (symbols["a"], (symbols["b"],), (symbols["ba"],))
    assert task.request({"audio": tone(0.5, 200)}).prefix == ()
    with pytest.raises(DataError, match=r"`banned` must be a text or a list of texts, but holds 3\."):
        task.request({**record, "banned": [3]})
    assert task.parts(record) == (record,)
    long = {**record, "audio": np.concatenate([tone(0.8, 200), np.zeros(9600, np.float32), tone(0.8, 200)])}
    with pytest.raises(DataError, match=r"`prefix` must be left out of a recording that is cut at silence, .* \(1 s\)\. Cut it yourself"):
        task.parts(long)
    assert len(task.parts({**long, "prefix": None, "required": None})) == 2


def test_what_global_normalization_cannot_learn_from_is_named(table, tmp_path):
    write(tmp_path / "3.wav", tone(0.3, 200)[:100])
    with pytest.raises(DataError, match=r"3\.wav`?: The audio must have at least one frame"):
        fitted(table, normalization="global")
    (tmp_path / "3.wav").unlink()
    with pytest.raises(DataError, match=r"^(?!: ).*3\.wav"):
        fitted(table, normalization="global")


def test_what_must_say_something_or_is_too_short_is_not_taken_for_silence(table):
    for longest in (2.0, None):
        task, _ = fitted(table, segments={"longest": longest})
        quiet = {"audio": 1e-4 * tone(1), "sample_rate": 16000}
        assert list(task.parts(quiet)) == []
        for asked in ({**quiet, "prefix": "a"}, {**quiet, "required": ["a"]}, {**quiet, "audio": quiet["audio"][:300]}):
            assert list(task.parts(asked)) == [asked]
        with pytest.raises(DataError, match="has no samples"):
            task.parts({"audio": np.zeros(0), "sample_rate": 16000})


@pytest.mark.parametrize("table_has", ["cells", "files"])
def test_recordings_in_which_nothing_is_said_can_be_learned_from(table, tmp_path, table_has):
    if table_has == "cells":
        table.write_text("audio\ttext\n0.wav\ta\n1.wav\t\n2.wav\tb\n", encoding="utf-8")
        source = table
    else:
        source = tmp_path / "folder"
        source.mkdir()
        for number, text in enumerate(["a", "", "b\n"]):
            write(source / f"{number}.wav", tone(0.5))
            (source / f"{number}.txt").write_text(text, encoding="utf-8")
    task, records = fitted(source)
    kept = task.build_corpus(records, tmp_path / "kept", limits=Limits(empty="keep"), keep_records=True)
    assert [task.pieces("target", kept.example(index).target) for index in range(3)] == [
        ["<s>", "a", "</s>"],
        ["<s>", "</s>"],
        ["<s>", "b", "</s>"],
    ]
    assert kept.tally["dropped"] == {}
    left = task.build_corpus(records, tmp_path / "left", limits=Limits(), keep_records=True)
    assert len(left) == 2
    assert left.tally["dropped"] == {"empty target": 1}


def test_each_row_of_a_call_hears_its_channel(tmp_path):
    samples = np.stack([tone(1, 300), tone(1, 2000)], axis=1)
    write(tmp_path / "call.wav", samples)
    table = tmp_path / "train.tsv"
    table.write_text("audio\ttext\tchannel\ncall.wav\ta\t1\ncall.wav\tb\t2\ncall.wav\tc\tmix\ncall.wav\td\t\n", encoding="utf-8")
    task, records = fitted(table, channel="channel", normalization="none")
    rows = list(records)
    heard = [task.sound(row).waveform for row in rows]
    for waveform, wanted in zip(heard, (samples[:, 0], samples[:, 1], samples.mean(axis=1), samples.mean(axis=1)), strict=True):
        np.testing.assert_allclose(waveform, wanted, atol=1e-4)
    assert not np.allclose(task.encode(rows[0]).source, task.encode(rows[1]).source, atol=1)
    names = [task.source_of(row) for row in rows]
    assert names[:2] == [f"{tmp_path / 'call.wav'} channel 1", f"{tmp_path / 'call.wav'} channel 2"]
    assert not task.notes
    long, _ = fitted(table, channel="channel", segments={"longest": 1.0})
    longer = {"audio": np.concatenate([samples] * 2), "sample_rate": 16000, "channel": 2}
    assert all(np.argmax(np.abs(np.fft.rfft(long.sound(part).waveform[:8000]))) == 1000 for part in long.parts(longer))
    with pytest.raises(DataError, match="`channel` must be a channel, counted from 1"):
        task.encode({**rows[0], "channel": "A"})
    second, _ = fitted(table, channel=2, normalization="none")
    np.testing.assert_array_equal(second.encode(rows[0]).source, task.encode(rows[1]).source)
    mixed, _ = fitted(table, normalization="none")
    assert "The data has a column `channel`, but the mix of all channels is heard" in mixed.notes[0]
    assert len({item.fingerprint for item in (task, second, mixed)}) == 3
