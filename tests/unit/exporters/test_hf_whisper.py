"""A fine-tuned Whisper that is exported says under transformers, with its own processor, what it says here."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import antiphon
from antiphon.recipe.recipe import recipe_from
from tests.pretrained_checkpoints import WHISPER_SECONDS, write_whisper


def recording(number: int) -> np.ndarray:
    """Noise with a tone that moves; the seed is the number."""
    draw = np.random.default_rng(number)
    time = np.arange((8000, 32000, 20001)[number % 3]) / 16000
    return (0.3 * np.sin(2 * np.pi * (200 + 400 * number) * time**1.5) + 0.1 * draw.standard_normal(len(time))).astype(np.float32)


TEXTS = ["der hund sat", "the mat und nicht langsam", "weg", "baum lief", "haus", "und"]
DATA = [{"audio": recording(number), "sample_rate": 16000, "text": text} for number, text in enumerate(TEXTS)]


def trained(folder: Path, languages: list[str] | None, adapter: dict[str, Any] | None) -> Path:
    base = write_whisper(folder / "base", english=languages is None)
    recipe = recipe_from(
        {
            "task": {
                "name": "speech_recognition",
                "features": {"kind": "whisper", "padded_seconds": WHISPER_SECONDS},
                "normalization": "none",
                "segments": {"longest": WHISPER_SECONDS},
                "vocabulary": {"kind": "pretrained", "model": str(base), "languages": languages},
            },
            "model": {"name": "pretrained", "path": str(base), "adapter": adapter},
            "data": {"validation": 2},
            "training": {"max_steps": 2, "samples": 0, "optimizer": {"name": "adamw", "learning_rate": 1e-3}},
            "search": {"name": "beam", "beam_size": 3},
        }
    )
    return antiphon.train(recipe, folder / "run", data={"train": DATA})


@pytest.mark.parametrize(
    ("languages", "adapter"),
    [(None, None), (["de", "en"], {"kind": "lora", "rank": 2}), pytest.param(["de", "de"], {"kind": "dora"}, marks=pytest.mark.slow)],
)
def test_the_same_frames_logits_and_texts(languages: list[str] | None, adapter: dict[str, Any] | None, tmp_path: Path) -> None:
    run = trained(tmp_path, languages, adapter)
    folder = antiphon.export(run, out=tmp_path / "exported")
    written = json.loads((folder / "preprocessor_config.json").read_text())
    published = json.loads((tmp_path / "base" / "preprocessor_config.json").read_text())
    assert written == published
    predictor = antiphon.load(run)
    ours: Any = predictor.model
    processor = transformers.AutoProcessor.from_pretrained(folder)
    model = transformers.AutoModelForSpeechSeq2Seq.from_pretrained(folder).eval()
    if languages is not None:
        assert (model.generation_config.language, model.generation_config.task) == (
            "<|de|>",
            "translate" if "en" in languages else "transcribe",
        )
    frames = processor([item["audio"] for item in DATA], sampling_rate=16000, return_tensors="pt").input_features
    said = torch.arange(4, 10).view(1, 6).expand(len(DATA), 6)
    with torch.inference_mode():
        expected = ours.network(input_features=frames, decoder_input_ids=said).logits
        torch.testing.assert_close(model(input_features=frames, decoder_input_ids=said).logits, expected, rtol=1e-3, atol=1e-3)
        rows = model.generate(frames, force_unique_generate_call=True).tolist()
    spec, compared = predictor.task.target_spec, 0
    for prediction, row in zip(predictor.predict(DATA), rows, strict=True):
        if prediction.hypothesis.finish_reason == "end" and spec.end in row:
            assert row[: row.index(spec.end)] == [spec.start, *prediction.hypothesis.elements.tolist()]
            text = processor.decode(row, skip_special_tokens=True)
            assert text.removeprefix(" ") == prediction.text
            compared += 1
    assert compared >= 2, "too few outputs ended by themselves to say anything"
    card = (folder / "README.md").read_text()
    assert "pipeline_tag: automatic-speech-recognition" in card
    assert "AutoModelForSpeechSeq2Seq" in card
    assert str(tmp_path) not in card
