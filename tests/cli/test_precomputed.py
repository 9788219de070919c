"""A recipe that learns from the features of a Kaldi directory, without its recordings: looked at, trained, scored, used and exported."""

import json

import numpy as np
import pytest

import antiphon as package
from antiphon.recipe.recipe import read_recipe
from tests.unit.data.kaldi_files import plain, write_ark

LETTERS = "abcd"
RECIPE = """\
task:
  name: speech_recognition
  speaker: speaker
  features: {kind: precomputed, bins: 8, frame_shift: 0.02}
  normalization: cmvn
  augmentation: {frequency_masks: 0, time_masks: 1, time_share: 0.02}
data: {train: train, validation: 16, test: test}
model: {name: encoder_only, encoder: {name: lstm, dim: 48, layers: 1, dropout: 0}, subsampling: 2, subsampling_width: 4}
training:
  max_steps: 6
  validate_every: 6
  batching: {source_tokens: 1200}
  optimizer: {name: adamw, learning_rate: 1e-2}
  device: cpu
evaluation: {metrics: [character_error_rate], resamples: 20}
"""


def write_directory(folder, count, seed):
    """Utterances of letters, each a bump over two channels, between silences; each speaker has another level and loudness."""
    generator = np.random.default_rng(seed)
    matrices, texts, gathered = {}, {}, {}
    for number in range(count):
        speaker = f"s{number % 4}"
        text = "".join(generator.choice(list(LETTERS), generator.integers(2, 5)))
        pieces = [np.zeros((3, 8))]
        for letter in text:
            bump = np.zeros((generator.integers(4, 8), 8))
            bump[:, 2 * LETTERS.index(letter) : 2 * LETTERS.index(letter) + 2] = 3
            pieces += [bump, np.zeros((generator.integers(3, 5), 8))]
        frames = np.concatenate(pieces)
        frames = (5 * (number % 4) + (1 + number % 4) * (frames + 0.3 * generator.standard_normal(frames.shape))).astype(np.float32)
        name = f"{speaker}-{number:03}"
        matrices[name], texts[name] = frames, text
        gathered.setdefault(speaker, []).append(frames.astype(np.float64))
    folder.mkdir()
    joined = {speaker: np.concatenate(parts) for speaker, parts in gathered.items()}
    sums = {
        speaker: np.stack([np.append(all_.sum(0), len(all_)), np.append(np.square(all_).sum(0), 0)]) for speaker, all_ in joined.items()
    }
    for table, entries in (("feats", matrices), ("cmvn", sums)):
        places = write_ark(folder / f"{table}.ark", {name: plain(one) for name, one in entries.items()})
        (folder / f"{table}.scp").write_text("".join(f"{name} {place}\n" for name, place in places.items()))
    (folder / "text").write_text("".join(f"{name} {text}\n" for name, text in texts.items()))
    (folder / "utt2spk").write_text("".join(f"{name} {name[:2]}\n" for name in texts))
    (folder / "segments").write_text("".join(f"{name} call {n}.5 {n}.9\n" for n, name in enumerate(texts)))
    return matrices, texts


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    write_directory(folder / "train", 160, 0)
    given = write_directory(folder / "test", 20, 1)
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    return folder, *given


@pytest.mark.slow
def test_letters_are_learned_from_features(project, tmp_path):
    """With the statistics of each speaker, who are told apart by level and loudness; none of those scored was heard with these texts."""
    folder, *_ = project
    recipe = read_recipe(folder / "recipe.yaml", ["training.max_steps=300", "training.validate_every=300"])
    run = package.train(recipe, tmp_path / "run")
    scores = {score.name: score.value for score in package.evaluate(run).scores}
    print(scores)
    assert scores["character_error_rate"] < 5


def test_features_are_looked_at_learned_from_and_predicted(antiphon, project, tmp_path):
    folder, matrices, texts = project
    shown = antiphon("inspect", folder / "recipe.yaml")
    assert shown.status == 0, shown.err
    assert "s of precomputed features (" in shown.out
    result = antiphon("train", folder / "recipe.yaml", "--out", folder / "run")
    assert result.status == 0, result.err
    scored = antiphon("evaluate", folder / "run", "--by", "speaker", "--json")
    assert scored.status == 0, scored.err
    assert {row["speaker"] for row in json.loads(scored.out)["details"]["speakers"]} == {"s0", "s1", "s2", "s3"}

    (folder / "test" / "text").unlink()
    result = antiphon("predict", folder / "run", "--input", folder / "test", "--output", "said.jsonl", "--set", "search.spans=true")
    assert result.status == 0, result.err
    said = [json.loads(line) for line in (tmp_path / "said.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in said] == list(texts)
    lengths = [round(len(one) * 0.02, 3) for one in matrices.values()]
    assert [row["seconds"] for row in said] == pytest.approx(lengths, abs=2e-3)
    assert [row["segments"][0]["start"] for row in said] == [n + 0.5 for n in range(20)], "as `segments` says"
    times = antiphon("predict", folder / "run", "--input", folder / "test", "--output", "said.ctm", "--set", "search.spans=true")
    assert times.status == 0, times.err
    assert all(line.startswith("call 1 ") for line in (tmp_path / "said.ctm").read_text().splitlines())

    np.save(tmp_path / "one.npy", matrices["s0-000"])
    one = antiphon("predict", folder / "run", "one.npy")
    assert "has no statistics for `normalization: cmvn`" in one.err + one.out
    refused = antiphon("export", folder / "run", "--format", "sherpa_onnx", "--out", tmp_path / "x")
    assert "but this model has `features.kind: precomputed`" in refused.err
