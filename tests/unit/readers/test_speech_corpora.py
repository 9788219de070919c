"""Corpora of speech as other programs lay them out: each becomes records whose part of a recording is found and heard."""

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from antiphon.contracts.configuration import validate
from antiphon.contracts.files import FileConfig
from antiphon.contracts.records import Record, Records
from antiphon.data.audio import open_audio
from antiphon.data.records import open_records
from antiphon.errors import ConfigError, DataError
from antiphon.tasks.speech_recognition.config import SpeechRecognitionConfig
from antiphon.tasks.speech_recognition.places import called, opened
from antiphon.tasks.speech_recognition.task import SpeechRecognition
from tests.judges import judge
from tests.unit.data.kaldi_files import write_ark
from tests.unit.data.sounds import tone

RATE = 8000


def records_of(path: Path, settings: dict[str, Any] | None = None, *, learn: bool = True, **file: Any) -> tuple[SpeechRecognition, Records]:
    task = SpeechRecognition(validate(SpeechRecognitionConfig, settings or {}))
    required = task.columns if learn else task.source_columns
    return task, task.open_file(FileConfig(path=str(path), **file), Path(), required)


def pitch(task: SpeechRecognition, record: Record) -> tuple[float, int]:
    """(seconds, loudest frequency) of what is heard of a record."""
    recording, start, end = opened(record, task.settings)
    samples = recording.read(RATE, start, end)
    loudest = np.abs(np.fft.rfft(samples, n=RATE)).argmax()
    return round(len(samples) / RATE, 2), round(int(loudest), -1)


def shard(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def heard(path: Path, settings: dict[str, Any] | None = None, **more: Any) -> list[tuple[Any, ...]]:
    """(text, seconds, loudest frequency) of each record."""
    task, records = records_of(path, settings, **more)
    return [(record.get("text"), *pitch(task, record)) for record in records]


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """`two.wav`: 2 seconds, 300 Hz on the first channel and 700 Hz on the second; `one.flac`: 1 second of 500 Hz."""
    soundfile.write(tmp_path / "two.wav", np.stack([tone(2, 300, RATE), tone(2, 700, RATE)], 1), RATE)
    soundfile.write(tmp_path / "one.flac", tone(1, 500, RATE), RATE)
    return tmp_path


# --------------------------------------------------------------------------------------------------------------- Kaldi


@pytest.fixture
def kaldi(calls: Path) -> Path:
    folder = calls / "data"
    folder.mkdir()
    (folder / "wav.scp").write_text("one ../one.flac\ntwo  ../two.wav\n")
    (folder / "text").write_text("one-1 eins\ntwo-1 zwei drei \ntwo-3\ntwo-9 lost\n")
    (folder / "segments").write_text("one-1 one 0.25 -1\ntwo-1 two 0.5 1.25 1\ntwo-2 two 0 1\ntwo-3 two 1 2 0\nx-1 x 0 1\n")
    (folder / "utt2spk").write_text("one-1 s1\ntwo-1 s2\ntwo-2 s2\ntwo-3 s2\nx-1 x\n")
    return folder


SEGMENTS = [("eins", 0.75, 500), ("zwei drei", 0.75, 700), ("", 1.0, 300)]


def test_segments_of_a_kaldi_directory(kaldi: Path) -> None:
    assert heard(kaldi) == SEGMENTS
    columns = {"start": "start", "end": "end", "channel": "channel", "speaker": "speaker"}
    assert heard(kaldi, columns) == SEGMENTS, "the same with columns of their own"
    task, records = records_of(kaldi, columns)
    assert [(record["id"], record["speaker"], record["start"], record["end"], record["channel"]) for record in records] == [
        ("one-1", "s1", 0.25, None, None),
        ("two-1", "s2", 0.5, 1.25, 2),
        ("two-3", "s2", 1.0, 2.0, 1),
    ]
    assert {reason: one.count for reason, one in records.skipped().items()} == {
        "no text": 1,
        "segment without a recording": 1,
        "text without a recording": 1,
    }
    two = list(records)[1]
    assert task.source_of(two).endswith("data/../two.wav channel 2 0.5-1.25 s")
    assert records.label(1) == f"{kaldi}: utterance 2"


def test_a_kaldi_directory_is_answered_whole(kaldi: Path) -> None:
    assert [text for text, *_ in heard(kaldi, learn=False)] == ["eins", "zwei drei", None, ""]
    (kaldi / "segments").unlink()
    (kaldi / "text").unlink()
    (kaldi / "utt2spk").unlink()
    task, records = records_of(kaldi, {"channel": 2}, learn=False)
    first, second = records
    assert first["audio"] == str(kaldi / "../one.flac")
    assert pitch(task, second) == (2.0, 700)
    with pytest.raises(DataError, match="has no file `text`, which has the texts of the utterances"):
        list(records_of(kaldi)[1])
    (kaldi / "text").write_text("one eins\n")
    with pytest.raises(DataError, match=r"has no column `speaker`; it has: audio, id, recording, start, end, channel, text\."):
        list(records_of(kaldi, {"speaker": "speaker"})[1])


def test_a_setting_says_which_channel_of_all_is_heard(kaldi: Path) -> None:
    (kaldi / "segments").write_text("two-1 two 0 1 1\n")
    assert heard(kaldi, {"channel": 1}) == [("zwei drei", 1.0, 300)]


def sound(samples: np.ndarray, kind: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format=kind)
    return file.getvalue()


def test_sounds_in_archives(tmp_path: Path) -> None:
    """The layout of `wav-copy` (a WAV file as it is), and of kaldiio 2.18.1 with `write_function="soundfile"`."""
    flac = sound(tone(0.75, 500, RATE), "FLAC")
    size = len(flac).to_bytes(2, "little")
    plain = {"a": sound(tone(0.5, 300, RATE), "WAV"), "b": sound(tone(1, 700, RATE), "WAV"), "c": b"AUDIO\x02" + size + flac}
    places = write_ark(tmp_path / "wav.ark", {**plain, "d": b"\0BFM \4", "e": b"RIFF\xff\xff\xff\xffWAVE"})
    (tmp_path / "wav.scp").write_text("".join(f"{key} {places[key]}\n" for key in plain))
    assert heard(tmp_path, learn=False) == [(None, 0.5, 300), (None, 1.0, 700), (None, 0.75, 500)]
    signature = records_of(tmp_path, learn=False)[1].signature()
    with pytest.raises(DataError, match=r"must have a sound at byte .* but has numbers, such as features, there"):
        open_audio(places["d"])
    with pytest.raises(DataError, match="does not say how long it is"):
        open_audio(places["e"])
    with pytest.raises(DataError, match=r"There is no file .*other\.ark"):
        open_audio(tmp_path / "other.ark:3")
    (tmp_path / "wav.ark").write_bytes((tmp_path / "wav.ark").read_bytes()[:20000])
    with pytest.raises(DataError, match=r"is cut off: [\d,]+ of 16,044 bytes are there"):
        open_audio(places["b"])
    assert records_of(tmp_path, learn=False)[1].signature() != signature


def test_what_kaldiio_wrote_is_heard(tmp_path: Path) -> None:
    kaldiio = judge("kaldiio", extra="dev")
    whole = (tone(0.5, 300, RATE) * 32767).astype(np.int16)
    with kaldiio.WriteHelper(f"ark,scp:{tmp_path}/a.ark,{tmp_path}/a.scp") as writer:
        writer("a", (RATE, whole))
        writer("b", (RATE, np.stack([whole, whole // 2], 1)))
    with kaldiio.WriteHelper(f"ark,scp:{tmp_path}/c.ark,{tmp_path}/c.scp", write_function="soundfile") as writer:
        writer("c", (RATE, tone(1, 700, RATE)))
    (tmp_path / "wav.scp").write_text((tmp_path / "a.scp").read_text() + (tmp_path / "c.scp").read_text())
    assert heard(tmp_path, learn=False) == [(None, 0.5, 300), (None, 0.5, 300), (None, 1.0, 700)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "wav.scp",
            "a sph2pipe -f wav -c 1 x/a.sph |\n",
            r"scp:1 must name a recording, but is a command .* Write the name of a file",
        ),
        ("wav.scp", "a flac -c -d -s 'x/a.flac' |\n", r"none is run\. Write the name of its file, x/a\.flac, or let Kaldi"),
        ("wav.scp", "a b.wav\na c.wav\n", r"wav\.scp:2 has the id `a`, which line 1 has, too"),
        ("segments", "a-1 one 0.5\n", r"segments:1 must be an utterance, a recording.* but is `a-1 one 0\.5`"),
        ("utt2spk", "one-1 s1\n", r"does not say the speaker of the utterance `two-1`"),
        ("text", "one eins\n\n", r"text:2 must begin with an id"),
    ],
)
def test_a_faulty_kaldi_directory_is_refused(kaldi: Path, name: str, content: str, message: str) -> None:
    (kaldi / name).write_text(content)
    if name == "wav.scp":
        (kaldi / "segments").unlink()
        (kaldi / "utt2spk").unlink()
        (kaldi / "text").write_text("a b\n")
    with pytest.raises(DataError, match=message):
        list(records_of(kaldi)[1])


def test_names_that_start_from_another_folder(kaldi: Path) -> None:
    (kaldi / "wav.scp").write_text("one one.flac\ntwo two.wav\n")
    with pytest.raises(DataError, match=rf"Name that folder: `folder: {kaldi.parent}` of this file"):
        list(records_of(kaldi)[1])
    assert heard(kaldi, folder=str(kaldi.parent)) == SEGMENTS
    with pytest.raises(DataError, match=r"`folder` must be the folder that names of recordings are relative to, but `.*none` is none"):
        records_of(kaldi, folder="none")


def test_a_folder_is_named_for_a_table_too(calls: Path, tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "a.tsv").write_text("audio\ttext\none.flac\teins\n")
    assert heard(tmp_path / "lists" / "a.tsv", folder=str(calls)) == [("eins", 1.0, 500)]


# ---------------------------------------------------------------------------------------------------------------- NeMo


def manifest(path: Path, *rows: Any) -> Path:
    content = "".join(f"{json.dumps(row)}\n" for row in rows)
    path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())
    return path


NEMO = (
    {"audio_filepath": "one.flac", "duration": 0.5, "text": "eins"},
    {"audio_filepath": "two.wav", "duration": 0.75, "offset": 1.1, "text": "zwei", "lang": "de"},
    {"audio_filepath": "two.wav", "text": "drei"},
    {"audio_filepath": "two.wav", "duration": 2.0},
)


@pytest.mark.parametrize("name", ["train.json", "train.jsonl", "train.jsonl.gz"])
def test_a_manifest_of_nemo(calls: Path, name: str) -> None:
    path = manifest(calls / name, *NEMO)
    assert heard(path, {"channel": 1}) == [("eins", 0.5, 500), ("zwei", 0.75, 300), ("drei", 2.0, 300)]
    _task, records = records_of(path, {"start": "start", "end": "end"})
    assert [(record["start"], record["end"]) for record in records] == [(0.0, 0.5), (1.1, 1.85), (None, None)]
    assert records.skipped()["no text"].first == (f"{path}:4",)
    assert records.place(2) == f"{path}:3"
    assert len(heard(path, learn=False)) == 4
    assert "lang" in list(records)[1]


def test_a_duration_is_no_end(calls: Path) -> None:
    path = manifest(calls / "train.jsonl", *NEMO)
    settings = {"audio": "audio_filepath", "start": "offset", "end": "duration"}
    with pytest.raises(ConfigError, match=r"`task\.start` must be `start`, or be left out, to read .* \(nemo\) tells it, but is `offset`"):
        records_of(path, settings)
    task, records = records_of(path, {"audio": "audio_filepath"}, learn=False)
    assert [pitch(task, record)[0] for record in records] == [0.5, 0.75, 2.0, 2.0]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"audio_filepath": ["a", "b"], "text": ""}, r"a\.json:1 must name one recording in `audio_filepath`, but has \['a', 'b'\]"),
        ({"audio_filepath": "a", "duration": "2"}, r"a\.json:1 must have seconds from 0 up in `duration`, but has '2'"),
    ],
)
def test_a_faulty_manifest_of_nemo_is_refused(tmp_path: Path, row: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(records_of(manifest(tmp_path / "a.json", row))[1])


# -------------------------------------------------------------------------------------------------------------- Lhotse

# As lhotse 1.33.0 writes them: `Recording.from_file`, `CutSet.from_manifests`, `trim_to_supervisions`.
RECORDING = {
    "id": "two",
    "sources": [{"type": "file", "channels": [0, 1], "source": "two.wav"}],
    "sampling_rate": 8000,
    "num_samples": 16000,
    "duration": 2.0,
    "channel_ids": [0, 1],
}
SAID = (
    {"id": "two-1", "recording_id": "two", "start": 0.25, "duration": 0.5, "channel": 0, "text": "low", "speaker": "s1"},
    {"id": "two-2", "recording_id": "two", "start": 1.0, "duration": 0.75, "channel": 1, "text": "high", "speaker": "s2"},
)
CUT = {"id": "c", "start": 0, "duration": 2.0, "channel": [0, 1], "supervisions": SAID, "recording": RECORDING, "type": "MultiCut"}
HEARD = [("low", 0.5, 300), ("high", 0.75, 700)]


def test_manifests_of_lhotse(calls: Path) -> None:
    assert heard(manifest(calls / "de_cuts.jsonl.gz", CUT)) == HEARD
    manifest(calls / "de_recordings_dev.jsonl.gz", RECORDING)
    named = manifest(calls / "de_supervisions_dev.jsonl.gz", *SAID)
    assert heard(named) == HEARD
    _task, records = records_of(named, {"speaker": "speaker", "channel": "channel", "start": "start", "end": "end"})
    assert [(record["id"], record["speaker"], record["channel"], record["end"]) for record in records] == [
        ("two-1", "s1", 1, 0.75),
        ("two-2", "s2", 2, 1.75),
    ]
    assert heard(calls / "de_recordings_dev.jsonl.gz", {"channel": 2}, learn=False) == [(None, 2.0, 700)]
    with pytest.raises(DataError, match=r"has recordings without their texts.*de_supervisions_dev\.jsonl\.gz"):
        heard(calls / "de_recordings_dev.jsonl.gz")
    (calls / "de_recordings_dev.jsonl.gz").rename(calls / "recordings.jsonl.gz")
    with pytest.raises(DataError, match=r"whose recordings must be beside it, in `de_recordings_dev\.jsonl\.gz`"):
        heard(named)
    named.rename(calls / "supervisions.jsonl.gz")
    signature = records_of(calls)[1].signature()
    assert heard(calls) == HEARD, "the folder of both"
    manifest(calls / "recordings.jsonl.gz", {**RECORDING, "duration": 3})
    assert records_of(calls)[1].signature() != signature


def test_what_is_no_part_of_a_file_of_lhotse_is_counted(calls: Path) -> None:
    trimmed = {**CUT, "start": 1.0, "duration": 1.0, "supervisions": [{**SAID[1], "start": 0.0}, {**SAID[1], "start": 0.5}]}
    mono = {**CUT, "channel": 1, "type": "MonoCut", "supervisions": []}
    no_text = {**CUT, "supervisions": [{key: value for key, value in SAID[0].items() if key != "text"}]}
    task, records = records_of(manifest(calls / "cuts.jsonl", trimmed, {"type": "MixedCut", "id": "m"}, no_text, mono))
    assert [pitch(task, record) for record in records] == [(0.75, 700)]
    assert {reason: one.count for reason, one in records.skipped().items()} == {
        "supervision reaches out of its cut": 1,
        "mixed or padded, not in any file": 1,
        "no text": 2,
    }
    assert heard(calls / "cuts.jsonl", learn=False)[1:] == [(None, 0.5, 300), (None, 2.0, 700)]


@pytest.mark.parametrize(
    ("recording", "message"),
    [
        ({"sources": [{"type": "command", "channels": [0, 1], "source": "x |"}]}, "its source is a command, and none is run"),
        ({"sources": [{"type": "url", "channels": [0, 1], "source": "x"}]}, "is of the type url"),
        ({"transforms": [{"name": "Speed", "kwargs": {"factor": 1.1}}]}, r"is changed \(Speed\) while Lhotse reads it"),
        ({"sources": [{"type": "file", "channels": [0], "source": "a"}, {"type": "file", "channels": [1], "source": "b"}]}, "in 2 files"),
        ({"sources": [{"type": "file", "channels": [0, 1, 2], "source": "a"}]}, r"has the channels \[0, 1\] of \[0, 1, 2\]"),
    ],
)
def test_a_recording_of_lhotse_that_is_in_no_file_is_refused(tmp_path: Path, recording: Any, message: str) -> None:
    cut = {**CUT, "recording": {**RECORDING, **recording}, "supervisions": []}
    with pytest.raises(DataError, match=rf"cuts\.jsonl:1 .*{message}"):
        list(records_of(manifest(tmp_path / "cuts.jsonl", cut), learn=False)[1])


def test_a_channel_in_a_file_of_its_own(calls: Path) -> None:
    sources = [{"type": "file", "channels": [0], "source": "x.wav"}, {"type": "file", "channels": [1], "source": "one.flac"}]
    cut = {**CUT, "recording": {**RECORDING, "sources": sources}, "supervisions": [SAID[1] | {"start": 0.2}]}
    assert heard(manifest(calls / "cuts.jsonl", cut)) == [("high", 0.75, 500)]


def test_shards_of_lhotse(tmp_path: Path) -> None:
    """Lhotse Shar, by the layout of lhotse 1.33.0: the cuts of a shard begin at 0, and its sounds are called by their ids."""
    source = {"type": "shar", "channels": [1], "source": ""}
    cut = {**CUT, "id": "two-2.a", "duration": 0.75, "channel": 1, "type": "MonoCut", "recording": {**RECORDING, "sources": [source]}}
    cut["supervisions"] = [{**SAID[1], "start": 0.0}]
    manifest(tmp_path / "cuts.000007.jsonl.gz", cut)
    with pytest.raises(DataError, match=r"There is no file .*recording\.000007\.tar"):
        heard(tmp_path / "cuts.000007.jsonl.gz")
    shard(tmp_path / "recording.000007.tar", {"two-2.a.flac": sound(tone(0.75, 700, RATE), "FLAC"), "two-2.a.json": b"{}"})
    assert heard(tmp_path / "cuts.000007.jsonl.gz") == [("high", 0.75, 700)]
    manifest(tmp_path / "cuts.000007.jsonl.gz", {**cut, "id": "x"})
    with pytest.raises(DataError, match=r"jsonl\.gz:1 has the cut `x`, whose sound must be in .*tar`, but is not"):
        heard(tmp_path / "cuts.000007.jsonl.gz")


def test_shards_of_nemo(tmp_path: Path) -> None:
    shard(tmp_path / "audio_3.tar", {"d_one.flac": sound(tone(1, 500, RATE), "FLAC")})
    row = {"audio_filepath": "d_one.flac", "duration": 1.0, "text": "eins", "shard_id": 3}
    assert heard(manifest(tmp_path / "tarred_audio_manifest.json", row)) == [("eins", 1.0, 500)]


def test_what_lhotse_wrote_is_read(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lhotse = judge("lhotse")
    monkeypatch.chdir(calls)
    recordings = lhotse.RecordingSet.from_recordings([lhotse.Recording.from_file("two.wav", recording_id="two")])
    said = lhotse.SupervisionSet.from_segments([lhotse.SupervisionSegment.from_dict(dict(one)) for one in SAID])
    cuts = lhotse.CutSet.from_manifests(recordings, said)
    cuts.to_file("cuts.jsonl.gz")
    cuts.trim_to_supervisions(keep_overlapping=False).to_file("trimmed.jsonl")
    assert heard(calls / "cuts.jsonl.gz") == heard(calls / "trimmed.jsonl") == HEARD
    (calls / "shar").mkdir()
    cuts.trim_to_supervisions(keep_overlapping=False).to_shar("shar", fields={"recording": "flac"}, shard_size=1)
    assert [row for path in sorted((calls / "shar").glob("cuts.*")) for row in heard(path)] == HEARD


# ---------------------------------------------------------------------------------- Common Voice and LibriSpeech


def test_common_voice_as_downloaded(calls: Path) -> None:
    clips = calls / "cv" / "de" / "clips"
    clips.mkdir(parents=True)
    soundfile.write(clips / "common_voice_de_1.mp3", tone(0.5, 300, RATE), RATE)
    head = "client_id\tpath\tsentence_id\tsentence\tsentence_domain\tup_votes\tdown_votes\tage\tgender\taccents\tvariant\tlocale\tsegment"
    row = 'f00\t{}\t1\tEr sagt "ja\t\t2\t0\t\t\t\t\tde\t'
    for name, clip in (("train", "common_voice_de_1.mp3"), ("test", "common_voice_de_1")):
        (clips.parent / f"{name}.tsv").write_text(f"{head}\n{row.format(clip)}\n", encoding="utf-8")
    (clips.parent / "clip_durations.tsv").write_text("clip\tduration[ms]\n")
    task, records = records_of(clips.parent / "train.tsv", {"speaker": "speaker"})
    ((_, record),) = records()
    assert (record["text"], record["speaker"], record["audio"]) == ('Er sagt "ja', "f00", str(clips / "common_voice_de_1.mp3"))
    assert pitch(task, record)[1] == 300
    for split in ("train", "test"):
        assert [one["audio"] for one in records_of(clips.parent, split=split)[1]] == [record["audio"]]
    with pytest.raises(DataError, match=r"`split` of .* must be named: test, train\."):
        list(records_of(clips.parent)[1])
    with pytest.raises(DataError, match=r"must be one that is there, but is 'dev': test, train\."):
        list(records_of(clips.parent, split="dev")[1])
    (old,) = records_of(clips.parent / "train.tsv", {"audio": "path", "text": "sentence"})[1]
    assert old["path"] == record["audio"], "also under the names that the table has"


def test_librispeech_as_downloaded(tmp_path: Path) -> None:
    for split, speaker in (("train-clean-5", "19"), ("dev-clean-2", "20")):
        chapter = tmp_path / split / speaker / "198"
        chapter.mkdir(parents=True)
        lines = []
        for number, text in enumerate(("NORTHANGER ABBEY", "THIS LITTLE WORK")):
            name = f"{speaker}-198-{number:04}"
            soundfile.write(chapter / f"{name}.flac", tone(0.5, 300 + 200 * number, RATE), RATE)
            lines.append(f"{name} {text}\n")
        (chapter / f"{speaker}-198.trans.txt").write_text("".join(lines))
    task, records = records_of(tmp_path / "train-clean-5", {"speaker": "speaker"})
    assert [(record["id"], record["speaker"], record["text"], *pitch(task, record)) for record in records] == [
        ("19-198-0000", "19", "NORTHANGER ABBEY", 0.5, 300),
        ("19-198-0001", "19", "THIS LITTLE WORK", 0.5, 500),
    ]
    assert [record["id"] for record in records_of(tmp_path, split="dev-clean-2")[1]] == ["20-198-0000", "20-198-0001"]
    with pytest.raises(DataError, match=r"`split` of .* must be named: dev-clean-2, train-clean-5\."):
        list(records_of(tmp_path)[1])
    (tmp_path / "dev-clean-2/20/198/20-198-0001.flac").unlink()
    with pytest.raises(DataError, match=r"20-198\.trans\.txt:2 names `20-198-0001`, but there is no 20-198-0001\.flac beside it"):
        list(records_of(tmp_path / "dev-clean-2")[1])


def test_a_folder_of_recordings_and_texts_is_what_it_was(calls: Path) -> None:
    (calls / "one.txt").write_text("eins")
    (calls / "two.txt").write_text("zwei")
    assert heard(calls, {"channel": 1}) == [("eins", 1.0, 500), ("zwei", 2.0, 300)]
    (calls / "two.po").write_text('msgid "two"\nmsgstr ""\n')
    task = SpeechRecognition(SpeechRecognitionConfig())
    named = open_records(calls, required=task.source_columns, source_column="audio", open_file=task.open_file)
    assert [Path(record["audio"]).name for record in named] == ["one.flac", "two.wav"], "not the other file, which could come back"


def test_a_sphere_file(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.sph", tone(0.5, 300, RATE), RATE, format="NIST")
    (tmp_path / "a.txt").write_text("eins")
    assert heard(tmp_path) == [("eins", 0.5, 300)]


def test_what_a_part_is_called() -> None:
    settings = validate(SpeechRecognitionConfig, {})
    assert called({"audio": {"path": "a.wav", "start": 0.5}}, settings) == "a.wav 0.5-end s"
    assert called({"audio": {"path": "a.wav", "channel": 2}}, settings) == "a.wav channel 2"
    assert called({"audio": b""}, settings) == "(audio)"
