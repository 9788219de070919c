"""Speech recognition from the command line and from Python: a tiny run on tones, each of which is a letter."""

import io
import json
import re
import zipfile

import numpy as np
import pytest
import soundfile

import antiphon as package
from antiphon.recipe.recipe import read_recipe

LETTERS = {"a": 300, "b": 700, "c": 1500}
RECIPE = """\
task:
  name: speech_recognition
  speaker: speaker
  sample_rate: 8000
  features: {kind: filter_banks, bins: 12}
  augmentation: {frequency_masks: 1, frequency_width: 2, time_masks: 1, time_share: 0.1, speeds: [0.9, 1.0, 1.1]}
  segments: {longest: 2}
data: {train: clips.tsv, validation: 6, test: clips.tsv}
model: MODEL
training: {max_steps: 6, validate_every: 3, batching: {source_tokens: 600}, optimizer: {name: adamw, learning_rate: 3e-3}, device: cpu}
evaluation: {metrics: [wer_normalized, word_error_rate], resamples: 20}
"""


def spell(text, rate=8000):
    """A tenth of a second for each letter, and quiet between words."""
    time = np.arange(rate // 10) / rate
    return np.concatenate([0.3 * np.sin(2 * np.pi * LETTERS.get(letter, 0) * time) for letter in text]).astype(np.float32)


def write_clips(folder, count=24):
    generator = np.random.default_rng(0)
    rows = ["audio\ttext\tspeaker"]
    with zipfile.ZipFile(folder / "clips.zip", "w") as archive:
        for number in range(count):
            text = " ".join("".join(generator.choice(list(LETTERS), 2)) for _ in range(1 + number % 2))
            content = io.BytesIO()
            soundfile.write(content, spell(text), 8000, format="FLAC")
            archive.writestr(f"{number}.flac", content.getvalue())
            rows.append(f"clips.zip/{number}.flac\t{text}\ts{number % 4}")
    (folder / "clips.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def project(folder, model):
    write_clips(folder)
    (folder / "recipe.yaml").write_text(RECIPE.replace("MODEL", model), encoding="utf-8")
    soundfile.write(folder / "talk.mp3", spell("ab ca"), 16000)
    soundfile.write(folder / "long.wav", np.concatenate([spell("abcabcabcabc"), np.zeros(8000), spell("abcabcabcabc")]), 8000)
    return folder / "recipe.yaml"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    recipe = project(folder, "{name: encoder_only, encoder: {name: lstm, dim: 16, layers: 1}, subsampling: 2, subsampling_width: 4}")
    return package.train(recipe, folder / "run")


def test_given_texts_are_scored_over_all_alignments(antiphon, run, tmp_path):
    write_clips(tmp_path, count=4)
    rows = (tmp_path / "clips.tsv").read_text(encoding="utf-8") + f"clips.zip/0.flac\t{'ab' * 200}\ts9\n"
    (tmp_path / "clips.tsv").write_text(rows, encoding="utf-8")
    result = antiphon("score", run, "--data", "clips.tsv", "--output", "scored.jsonl")
    assert result.status == 0, result.err
    scored = [json.loads(line) for line in (tmp_path / "scored.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["speaker"] for row in scored] == ["s0", "s1", "s2", "s3", "s9"]
    assert all(row["log_prob"] < 0 and len(row["token_scores"]) == len(row["text"]) + 1 for row in scored[:4])
    assert scored[4]["log_prob"] is None, "more symbols than frames"
    assert "Word alignments need texts on both sides" in antiphon("score", run, "--data", "clips.tsv", "--alignment").err


def test_the_template_is_a_recipe(antiphon, tmp_path):
    assert antiphon("new", "speech-recognition", tmp_path / "speech.yaml").status == 0
    recipe = read_recipe(tmp_path / "speech.yaml")
    assert recipe.task.name == "speech_recognition"
    assert recipe.training.batching.source_tokens == 3000


def test_recordings_are_predicted_from_the_command_line(antiphon, run):
    folder = run.parent
    several = antiphon("predict", run, folder / "talk.mp3", folder / "long.wav", "--json")
    assert several.status == 0, several.err
    short, long = json.loads(several.out)
    assert short["audio"].endswith("talk.mp3")
    assert short["seconds"] == pytest.approx(0.25, abs=0.01)
    assert len(long["segments"]) == 2
    assert long["prediction"] == " ".join(segment["text"] for segment in long["segments"] if segment["text"])
    for arguments in ((folder / "clips.zip",), ("--input", folder / "clips.zip"), ("--input", folder / "clips.tsv")):
        result = antiphon("predict", run, *arguments)
        assert result.status == 0, result.err
        assert len(result.out.splitlines()) == 24
    member = antiphon("predict", run, folder / "clips.zip" / zipfile.ZipFile(folder / "clips.zip").namelist()[0])
    assert (member.status, len(member.out.splitlines())) == (0, 1), member.err
    assert "There is no file talks.mp3 to predict" in antiphon("predict", run, "talks.mp3").err
    assert f"`--input {folder}`" in antiphon("predict", run, folder).err
    wrong = antiphon("predict", run, folder / "recipe.yaml")
    assert wrong.status == 1
    assert "recipe.yaml" in wrong.err
    twice = antiphon("predict", run, folder / "talk.mp3", "--input", folder / "talk.mp3")
    assert "named once" in twice.err
    assert "needs a run" in antiphon("predict", folder / "talk.mp3").err
    lost = antiphon("predict", run, "--input", folder, "--output", folder / "talk.mp3")
    assert f"`--output` must be another file than the input {folder / 'talk.mp3'}" in lost.err


def test_subtitles_are_written(antiphon, run, tmp_path):
    folder = run.parent
    settings = ("--set", "task.subtitles=vtt", "--set", "search.spans=true")
    one = antiphon("predict", run, folder / "long.wav", *settings)
    assert one.status == 0, one.err
    assert one.out.startswith("WEBVTT\n")
    refused = antiphon("predict", run, folder / "long.wav", folder / "talk.mp3", *settings)
    assert "--output FOLDER" in refused.err
    (tmp_path / "subtitles").mkdir()
    both = antiphon("predict", run, folder / "long.wav", folder / "talk.mp3", *settings, "--output", tmp_path / "subtitles")
    assert both.status == 0, both.err
    assert {path.name for path in (tmp_path / "subtitles").iterdir()} == {"long.vtt", "talk.vtt"}
    (tmp_path / "again").mkdir()
    one = folder / "talk.mp3"
    assert antiphon("predict", run, one, one, *settings, "--output", tmp_path / "again").status == 0  # as of two folders
    assert {path.name for path in (tmp_path / "again").iterdir()} == {"talk.vtt", "talk-2.vtt"}


def test_the_suffix_of_the_output_chooses_a_transcript(antiphon, run, tmp_path):
    folder, spans = run.parent, ("--set", "search.spans=true")
    for name, begins in (
        ("a.TextGrid", "File type"),
        ("a.srt", "1\n00:00:0"),
        ("a.vtt", "WEBVTT"),
        ("a.ctm", "long 1 "),
        ("a.stm", "long 1 "),
    ):
        result = antiphon("predict", run, folder / "long.wav", *spans, "--output", tmp_path / name)
        assert result.status == 0, result.err
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(begins)
    both = ("predict", run, folder / "long.wav", folder / "talk.mp3", *spans)
    assert antiphon(*both, "--output", tmp_path / "both.stm").status == 0
    rows = [line.split(maxsplit=5) for line in (tmp_path / "both.stm").read_text(encoding="utf-8").splitlines()]
    assert [row[:3] for row in rows] == [["long", "1", "unknown"], ["long", "1", "unknown"], ["talk", "1", "unknown"]]
    assert "both.TextGrid has room for one recording" in antiphon(*both, "--output", tmp_path / "both.TextGrid").err
    into = antiphon(*both, "--set", "task.subtitles=textgrid", "--output", f"{tmp_path}/grids/")
    assert into.status == 0, into.err
    assert {path.name for path in (tmp_path / "grids").iterdir()} == {"long.TextGrid", "talk.TextGrid"}
    refused = antiphon(*both, "--output", tmp_path / "a.po").err
    assert "but predictions are written as .srt, .vtt, .textgrid, .ctm, .stm, or bare lines" in refused


def test_a_kaldi_directory_is_learned_from_and_predicted(antiphon, run, tmp_path):
    """Segments of a recording, for a recipe that names no columns of their times."""
    folder = tmp_path / "data"
    folder.mkdir()
    soundfile.write(tmp_path / "all.wav", spell("abc" * 20), 8000)
    (folder / "wav.scp").write_text("all ../all.wav\n")
    (folder / "segments").write_text("".join(f"all-{n:02} all {n * 0.3:.1f} {n * 0.3 + 0.3:.1f}\n" for n in range(20)))
    (folder / "text").write_text("".join(f"all-{n:02} abc\n" for n in range(19)))
    (folder / "utt2spk").write_text("".join(f"all-{n:02} s{n % 4}\n" for n in range(20)))
    result = antiphon("predict", run, "--input", folder, "--output", "said.jsonl")
    assert result.status == 0, result.err
    said = [json.loads(line) for line in (tmp_path / "said.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in said] == [f"all-{n:02}" for n in range(20)]
    assert (said[2]["audio"], said[2]["speaker"]) == (f"{folder}/../all.wav 0.6-0.9 s", "s2")
    assert [segment["start"] for row in said for segment in row["segments"]] == pytest.approx([n * 0.3 for n in range(20)])
    recipe = read_recipe(run.parent / "recipe.yaml", [f"data.train={folder}", "training.max_steps=2"])
    trained = package.train(recipe, tmp_path / "run")
    assert antiphon("evaluate", trained, "--data", folder).status == 0
    inspected = antiphon("inspect", trained)
    assert "no text" in inspected.out, inspected.err


def test_errors_by_speaker_and_by_length(antiphon, run):
    result = antiphon("evaluate", run, "--by", "speaker", "--json")
    assert result.status == 0, result.err
    found = json.loads(result.out)
    assert {score["name"] for score in found["scores"]} >= {"wer_normalized", "word_error_rate"}
    assert {row["speaker"] for row in found["details"]["speakers"]} == {"s0", "s1", "s2", "s3"}
    shown = antiphon("evaluate", run, "--by", "length")
    assert "Errors by length" in shown.out
    assert "needs a run that forecasts series" in antiphon("evaluate", run, "--by", "series").err


def test_a_run_of_speech_has_a_report_and_an_inspection(antiphon, run):
    assert antiphon("report", run).status == 0
    inspected = antiphon("inspect", run)
    assert inspected.status == 0, inspected.err
    assert "s of sound" in inspected.out


def test_runs_without_decoder_are_an_ensemble(antiphon, run, tmp_path):
    alone = antiphon("predict", run, run.parent / "talk.mp3")
    together = antiphon("predict", run, run, run.parent / "talk.mp3")
    assert together.status == 0, together.err
    assert together.out == alone.out
    scored = antiphon("evaluate", run, run / "last", "--json")
    assert scored.status == 0, scored.err
    assert {score["name"] for score in json.loads(scored.out)["scores"]} >= {"word_error_rate", "loss"}
    recipe = run.parent / "recipe.yaml"
    other = package.train(
        read_recipe(recipe, ["task.sample_rate=16000", "task.augmentation=null", "training.max_steps=1"]), tmp_path / "other"
    )
    assert "must read recordings in the same way" in antiphon("predict", run, other, run.parent / "talk.mp3").err


def test_the_same_sound_is_predicted_alike_however_it_is_given(run):
    model = package.load(run)
    path = run.parent / "talk.mp3"
    samples, rate = soundfile.read(path, dtype="float32")
    given = [path, str(path), path.read_bytes(), {"audio": samples, "sample_rate": rate}, {"audio": str(path)}]
    assert len({model.predict(one).text for one in given}) == 1
    assert len(model.predict(given)) == 5
    silent = np.zeros(4000, dtype=np.float32)  # an array is one sound, at the model's rate
    assert model.predict(silent).text == model.predict({"audio": silent, "sample_rate": 8000}).text
    kept = model.predict([str(path), "nothing.mp3", {"audio": np.zeros(8000 * 5, dtype=np.float32), "sample_rate": 8000}], on_error="keep")
    assert [prediction.hypothesis.finish_reason for prediction in kept][1] == "refused"
    assert kept[2].text == ""
    assert kept[2].details["segments"] == []


def test_resuming_is_exact_with_augmentation(tmp_path):
    recipe = project(tmp_path, "{name: lstm, dim: 12, attention: dot}")
    whole = package.train(recipe, tmp_path / "whole")
    half = read_recipe(recipe, ["training.max_steps=3"])
    package.train(half, tmp_path / "parts")
    parts = package.train(recipe, tmp_path / "parts", resume=True)
    one, two = ((folder / "last" / "model.safetensors").read_bytes() for folder in (whole, parts))
    assert one == two


def test_all_recordings_that_cannot_be_heard_are_named_at_once(antiphon, tmp_path):
    recipe = project(tmp_path, "{name: lstm, dim: 12, attention: dot}")
    table = (tmp_path / "clips.tsv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "noise.wav").write_bytes(b"no sound at all")
    broken = [row.replace(row.split("\t")[0], "noise.wav") if 3 <= number < 10 else row for number, row in enumerate(table)]
    (tmp_path / "clips.tsv").write_text("\n".join(broken) + "\n", encoding="utf-8")
    said = antiphon("inspect", recipe).err
    assert re.match(r"antiphon: [2-7] of \d+ records of `data\.train` cannot be used: \S*clips\.tsv:\d+: ", said), said
    assert said.endswith("Mend or remove them.\n")
