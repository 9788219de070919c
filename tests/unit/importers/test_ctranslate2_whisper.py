"""Whisper from CTranslate2's format gives the logits that its weights give by hand; what is no such model is refused in a sentence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import antiphon
from antiphon.contracts.sequences import Padded
from antiphon.errors import CheckpointError
from antiphon.features.text import TextFeature
from antiphon.importers import ctranslate2_whisper
from antiphon.recipe.assembly import load_trained
from tests.unit.importers.foreign_models import BINS, FLAGS, STATES, Arrays, whisper_logits, write_ctranslate2, write_whisper

FRAMES = 2 * STATES


def _compared(run: Path, arrays: Arrays, tolerance: float) -> None:
    """Our logits for some frames and symbols, against those of the reference."""
    trained = load_trained(run)
    generator = np.random.default_rng(5)
    numbers = np.array([262, *generator.integers(0, 261, 6)])  # in the file's order; 262 is the start symbol
    text = trained.task.target_text
    assert isinstance(text, TextFeature)
    theirs = text.vocabulary.numbers
    ours = np.array([theirs.tolist().index(number) for number in numbers])
    frames = generator.normal(size=(FRAMES, BINS)).astype(np.float32)
    with torch.inference_mode():
        memory = trained.model.encode(Padded(torch.from_numpy(frames).unsqueeze(0), torch.tensor([FRAMES])))
        logits = trained.model.decode(Padded(torch.from_numpy(ours).unsqueeze(0), torch.tensor([len(ours)])), memory).values[0].numpy()
    expected = whisper_logits(arrays, frames.astype(np.float64), numbers.tolist())
    known = theirs >= 0
    np.testing.assert_allclose(logits[:, known], expected[:, theirs[known]], atol=tolerance)
    assert (logits[:, ~known] == -100).all(), "symbols that Whisper does not have"


def test_logits(tmp_path: Path) -> None:
    arrays = write_whisper(tmp_path / "model")
    run = antiphon.import_model("ctranslate2_whisper", tmp_path / "model", tmp_path / "run")
    _compared(run, arrays, 1e-4)


def test_logits_in_half_precision_and_8_bits(tmp_path: Path) -> None:
    arrays = write_whisper(tmp_path / "model")
    stored: Arrays = {}
    for name, array in arrays.items():
        if array.ndim == 2 and "position" not in name:
            scale = 127 / np.abs(array).max(axis=1).astype(np.float32)
            stored[name] = np.round(array * scale[:, None]).astype(np.int8)
            stored[f"{name}_scale"] = scale
            arrays[name] = stored[name] / scale[:, None]
        else:
            stored[name] = array.astype(np.float16)
            arrays[name] = stored[name].astype(np.float32)
    write_ctranslate2(tmp_path / "model" / "model.bin", stored)
    run = antiphon.import_model("ctranslate2_whisper", tmp_path / "model" / "model.bin", tmp_path / "run")
    _compared(run, arrays, 0.02)  # the encoder's positions in half precision


def test_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Predictions, with what is forbidden and what they begin with; the run needs the model's folder no more, and may move."""
    write_whisper(tmp_path / "model")
    antiphon.import_model("ctranslate2_whisper", tmp_path / "model", tmp_path / "first")
    (tmp_path / "model").rename(tmp_path / "gone")
    (tmp_path / "first").rename(tmp_path / "run")
    model = antiphon.load(tmp_path / "run")
    sound = (np.random.default_rng(2).normal(size=8000) * 0.1).astype(np.float32)
    found = model.predict({"audio": sound, "sample_rate": 16000})
    processors = model.recipe.search.processors
    assert found.hypothesis.elements[0] == model.task.target_text.opening[0], "<|notimestamps|>"
    assert not set(processors.forbidden) & set(found.hypothesis.elements.tolist())
    assert found.hypothesis.elements[1] not in processors.forbidden_first
    assert len(found.hypothesis.elements) <= 1 + 12, "half of the positions"
    pieces = model.task.target_text.pieces(np.array(processors.forbidden_first))
    assert pieces == ["</s>", "\u0120"] or pieces == ["</s>", "\u00dc"], "the end, and the number 220 of the file"
    text = model.task.target_text
    assert text.pieces(text.encode("the a")) == ["<|notimestamps|>", "\u0120the", "\u0120a"]
    assert text.decode(text.encode("the a")) == "the a"
    monkeypatch.setattr(ctranslate2_whisper, "_MULTILINGUAL", 100)
    other = antiphon.load(antiphon.import_model("ctranslate2_whisper", tmp_path / "gone", tmp_path / "many"))
    assert other.task.target_text.pieces(np.array(other.task.target_text.opening)) == ["<|en|>", "<|transcribe|>", "<|notimestamps|>"]


def _refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        antiphon.import_model("ctranslate2_whisper", folder, folder.parent / "run")
    assert not (folder.parent / "run").exists()
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"version": 99}, "its version must be 4, 5, 6, but is 99."),
        ({"spec": "TransformerSpec"}, "it must hold a WhisperSpec, but holds a 'TransformerSpec'."),
        ({"revision": 4}, "its WhisperSpec must have a revision up to 3, but has 4."),
        ({"aliases": {}}, "its output layer must be its embedding, but is another."),
        ({"flags": {**FLAGS, "decoder/pre_norm": (np.int8, 0)}}, "`decoder/pre_norm` must be 1, as in Whisper, but is 0."),
        ({"flags": {**FLAGS, "decoder/num_heads": (np.int16, 4)}}, "must have equally many heads, but have 2 and 4."),
        ({"flags": {**FLAGS, "decoder/gate": (np.int8, 1)}}, "is no Whisper of a known kind: it also has `decoder/gate`."),
    ],
)
def test_another_model(tmp_path: Path, changes: Any, sentence: str) -> None:
    write_whisper(tmp_path / "model", **changes)
    assert sentence in _refusal(tmp_path / "model")


def test_damaged_files(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    arrays = write_whisper(folder)
    whole = (folder / "model.bin").read_bytes()
    for length in (0, 3, 15, 300, len(whole) // 2, len(whole) - 1):
        (folder / "model.bin").write_bytes(whole[:length])
        assert "is no complete CTranslate2 model: it ends too soon" in _refusal(folder)
    write_ctranslate2(folder / "model.bin", {name: array for name, array in arrays.items() if "conv1/bias" not in name})
    assert "it lacks `encoder/conv1/bias`." in _refusal(folder)
    write_ctranslate2(folder / "model.bin", {**arrays, "encoder/conv2/bias": arrays["encoder/conv2/bias"][1:]})
    assert "`encoder/conv2/bias` must have the shape (8,), but has (7,)." in _refusal(folder)
    write_ctranslate2(folder / "model.bin", {**arrays, "encoder/position_encodings/encodings": np.zeros((STATES, 8), np.float32)})
    assert "the positions of its encoder must be sinusoids, but are others." in _refusal(folder)


def test_a_vocabulary_that_is_missing_or_does_not_fit(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    write_whisper(folder)
    (folder / "vocabulary.txt").unlink()
    assert "must name all 268 symbols of the model, but tokenizer.json names 266." in _refusal(folder)
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    (folder / "tokenizer.json").write_text(json.dumps({**tokenizer, "model": {"type": "WordPiece"}}), encoding="utf-8")
    assert "must be a byte-level BPE (model `BPE`, pre-tokenizer `ByteLevel`), but is another tokenizer." in _refusal(folder)
    (folder / "tokenizer.json").unlink()
    assert "must hold `tokenizer.json`, Whisper's vocabulary, beside the model, but does not." in _refusal(folder)
