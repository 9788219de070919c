"""Features that Kaldi made, and those of other programs: each becomes a record whose frames are learned from as they are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.contracts.configuration import validate
from antiphon.contracts.files import FileConfig
from antiphon.contracts.records import Records
from antiphon.errors import ConfigError, DataError
from antiphon.tasks.speech_recognition.config import SpeechRecognitionConfig
from antiphon.tasks.speech_recognition.task import SpeechRecognition
from tests.unit.data.kaldi_files import plain, write_ark

READY = {"features": {"kind": "precomputed", "bins": 4, "frame_shift": 0.01}, "normalization": "none"}


def records_of(path: Path, *, learn: bool = True, **settings: Any) -> tuple[SpeechRecognition, Records]:
    task = SpeechRecognition(validate(SpeechRecognitionConfig, {**READY, **settings}))
    return task, task.open_file(FileConfig(path=str(path)), Path(), task.columns if learn else task.source_columns)


def matrix(frames: int, seed: int = 0, level: float = 0.0) -> np.ndarray:
    return (level + np.random.default_rng(seed).standard_normal((frames, 4))).astype(np.float32)


def sums(frames: np.ndarray) -> np.ndarray:
    """What `compute-cmvn-stats` gathers."""
    wide = frames.astype(np.float64)
    return np.stack([np.append(wide.sum(0), len(wide)), np.append(np.square(wide).sum(0), 0)])


MATRICES = {"a-1": matrix(30, 1, 5), "a-2": matrix(20, 2, 5), "b-1": matrix(10, 3), "b-9": matrix(5, 4)}


@pytest.fixture
def kaldi(tmp_path: Path) -> Path:
    places = write_ark(tmp_path / "feats.ark", {name: plain(one) for name, one in MATRICES.items()})
    places["a-2"] += "[5:14]"
    statistics = {"s1": sums(np.concatenate([MATRICES["a-1"], MATRICES["a-2"]])), "b-1": sums(MATRICES["b-1"])}
    known = write_ark(tmp_path / "cmvn.ark", {name: plain(one) for name, one in statistics.items()})
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "feats.scp").write_text("".join(f"{name} {place}\n" for name, place in places.items()))
    (folder / "cmvn.scp").write_text("".join(f"{name} ../{Path(place).name}\n" for name, place in known.items()))
    (folder / "text").write_text("a-1 eins\na-2 zwei\nb-1 drei\nc-1 lost\n")
    (folder / "utt2spk").write_text("a-1 s1\na-2 s1\nb-1 s2\nb-9 s2\n")
    (folder / "segments").write_text("a-1 a 0.5 0.8\na-2 a 2 2.1\n")
    (folder / "utt2num_frames").write_text("a-1 30\na-2 10\n")
    return folder


def test_a_directory_of_features_without_recordings(kaldi: Path) -> None:
    task, records = records_of(kaldi, speaker="speaker")
    found = [(record["id"], record["text"], record["speaker"], record["recording"]) for record in records]
    assert found == [("a-1", "eins", "s1", "a"), ("a-2", "zwei", "s1", "a"), ("b-1", "drei", "s2", "b-1")]
    assert {reason: one.count for reason, one in records.skipped().items()} == {"no text": 1, "text without features": 1}
    task.fit(records)
    for record, frames in zip(records, (MATRICES["a-1"], MATRICES["a-2"][5:15], MATRICES["b-1"]), strict=True):
        np.testing.assert_array_equal(task.encode(record).source, frames)
    contexts = [task.encode(record).context for record in records]
    assert [(round(one.start, 3), round(one.end, 3)) for one in contexts if one] == [(0.5, 0.8), (2.0, 2.1), (0.0, 0.1)], "of the recording"
    assert [record["id"] for record in records_of(kaldi, learn=False)[1]] == ["a-1", "a-2", "b-1", "b-9"]
    assert task.parts(next(iter(records))) == (next(iter(records)),), "features are not cut at silence"


def test_features_are_taken_beside_recordings_only_where_they_are_asked_for(kaldi: Path) -> None:
    with pytest.raises(
        DataError, match=r"has features \(feats\.scp\), but no recordings .* Learn from the features, by `task\.features: {kind"
    ):
        list(records_of(kaldi, features={"bins": 4})[1])
    (kaldi / "wav.scp").write_text("a a.wav\n")
    assert [Path(record["audio"]["path"]).name for record in records_of(kaldi, features={"bins": 4}, learn=False)[1]] == ["a.wav", "a.wav"]
    (kaldi / "feats.scp").unlink()
    with pytest.raises(DataError, match=r"has no features \(feats\.scp\), which `task\.features\.kind: precomputed` learns from"):
        list(records_of(kaldi)[1])


def test_statistics_are_of_the_speaker_or_else_of_the_utterance(kaldi: Path) -> None:
    task, records = records_of(kaldi, normalization="cmvn")
    task.fit(records)
    first, second, third = (task.encode(record).source for record in records)
    together = np.concatenate([MATRICES["a-1"], MATRICES["a-2"]])
    np.testing.assert_allclose(first, (MATRICES["a-1"] - together.mean(0)) / together.std(0), atol=1e-4)
    assert abs(first.mean()) < 0.2 > abs(second.mean())
    np.testing.assert_allclose(third.std(0), 1, atol=1e-4)
    before = records.signature()
    (kaldi.parent / "cmvn.ark").write_bytes(b"x" + (kaldi.parent / "cmvn.ark").read_bytes())
    assert records_of(kaldi, normalization="cmvn")[1].signature() != before
    (kaldi / "cmvn.scp").unlink()
    task, records = records_of(kaldi, normalization="cmvn")
    with pytest.raises(DataError, match=r"feats\.ark:4` has no statistics for `normalization: cmvn`\. Run Kaldi's steps/compute_cmvn"):
        task.encode(next(iter(records)))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("feats.scp", "a-1 copy-feats x.ark ark:- |\n", r"feats\.scp:1 must name a place .*, but is a command .* Let Kaldi run all"),
        ("feats.scp", "a-1\n", r"feats\.scp:1 must name a place in an archive, but names none"),
        ("utt2num_frames", "a-1 31\n", r"must have as many frames as `utt2num_frames` says \(31\), but has 30"),
        ("utt2num_frames", "a-1 x\n", r"utt2num_frames:1 must be an utterance and its number of frames, but the number is `x`"),
        ("frame_shift", "0.02\n", r"`task\.features\.frame_shift` must be 0\.02, as the file `frame_shift` of the data says"),
        ("frame_shift", "ten\n", r"frame_shift` must be a number of seconds"),
    ],
)
def test_a_faulty_directory_is_refused(kaldi: Path, name: str, content: str, message: str) -> None:
    (kaldi / name).write_text(content)
    task, records = records_of(kaldi)
    with pytest.raises(DataError, match=message):
        task.encode(next(iter(records)))


def test_numpy_files_in_a_table_and_in_a_folder(tmp_path: Path) -> None:
    for name in ("a-1", "a-2"):
        np.save(tmp_path / f"{name}.npy", MATRICES[name])
        (tmp_path / f"{name}.txt").write_text(f"says {name}")
    (tmp_path / "all.tsv").write_text("audio\ttext\tfrom\tto\na-1.npy\teins\t0.1\t0.25\na-2.npy\tzwei\t0\t0.2\n")
    task, records = records_of(tmp_path / "all.tsv", start="from", end="to")
    task.fit(records)
    first, second = (task.encode(record) for record in records)
    np.testing.assert_array_equal(first.source, MATRICES["a-1"][10:25])
    np.testing.assert_array_equal(second.source, MATRICES["a-2"])
    assert first.context is not None
    assert (first.context.start, round(first.context.end, 3)) == (0.1, 0.25)
    with pytest.raises(DataError, match=r"`start` and `end` must lie within .*a-1\.npy`, from 0 to 0\.30 seconds.* are 0\.2 and 9\."):
        task.encode({**next(iter(records)), "from": "0.2", "to": "9"})
    task, records = records_of(tmp_path)
    assert [record["text"] for record in records] == ["says a-1", "says a-2"]
    _, records = records_of(tmp_path / "a-1.npy", learn=False)
    assert [record["audio"] for record in records] == [str(tmp_path / "a-1.npy")]
    assert task.encode({"audio": MATRICES["a-1"].tolist()}).source.shape == (30, 4)
    with pytest.raises(DataError, match=r"`task\.features\.bins` must be the number of channels .* which is 3 here, but is 4"):
        task.encode({"audio": [[1.0, 2.0, 3.0]]})
    with pytest.raises(DataError, match=r"`audio` must name a matrix of features, but is missing"):
        task.encode({})
    with pytest.raises(DataError, match="There is no sound to be heard: features are precomputed"):
        task.sound(next(iter(records)))
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=r"must have features \(\.npy\) in it, but has none"):
        records_of(tmp_path / "none")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features": {"kind": "precomputed"}}, "`frame_shift` must say how many seconds"),
        ({"features": {"kind": "precomputed", "frame_shift": 0.01, "padded_seconds": 30}}, "`padded_seconds` must be left out"),
        ({"features": {"frame_shift": 0.01}}, "`frame_shift` goes with `kind: precomputed`"),
        ({"features": {"bins": 600}}, "`bins` must be at most 512"),
        ({"augmentation": {"speeds": [0.9, 1.1]}, **READY}, "`augmentation.speeds`, `volume` and `noise` must be left out"),
        ({"sample_rate": 8000, **READY}, "`sample_rate` must be left out with precomputed features"),
        ({"segments": {"longest": 5}, **READY}, "`segments` must be left out with precomputed features"),
        ({"normalization": "cmvn"}, "`normalization: cmvn` needs `features.kind: precomputed`"),
    ],
)
def test_settings_that_need_a_sound_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(SpeechRecognitionConfig, settings)


def test_global_normalization_and_what_is_told_of_features(kaldi: Path) -> None:
    task, records = records_of(kaldi, normalization="global")
    task.fit(records)
    frames = np.concatenate([task.encode(record).source for record in records])
    np.testing.assert_allclose(frames.mean(0), 0, atol=1e-5)
    assert task.source_spec.kind == "precomputed, normalization global"
    assert task.pieces("source", frames) == ["0.50 s of precomputed features (50 frames)"]
