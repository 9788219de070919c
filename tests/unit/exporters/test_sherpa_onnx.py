"""Speech recognition for sherpa-onnx: its file of symbols, what it would misread, and that its engine says what we say."""

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from antiphon.contracts.configuration import validate
from antiphon.contracts.registry import find
from antiphon.contracts.sequences import pad
from antiphon.contracts.trust import FOREIGN
from antiphon.errors import ExportError
from antiphon.exporters.interface import TrainedModel
from antiphon.exporters.sherpa_onnx import export
from antiphon.exporters.sherpa_symbols import tokens_file
from antiphon.features.audio import AudioFeaturesConfig
from antiphon.features.text_config import TextConfig
from antiphon.features.vocabulary import BYTE_PIECES, CharacterVocabulary, WordVocabulary
from antiphon.search.ctc import CTCSearch, CTCSearchConfig
from antiphon.tasks.speech_recognition.config import SpeechRecognitionConfig
from antiphon.tasks.speech_recognition.task import SpeechRecognition
from tests.checked_shapes import unchecked

TEXTS = ["hear the bells", "who sings", "ƐƆ all of them do", "zu spät"]  # Twi's capitals, which sherpa-onnx could take for bytes
SHERPA = """
import json, sys
import numpy as np, sherpa_onnx
folder, sounds = sys.argv[1:]
recognizer = sherpa_onnx.OfflineRecognizer.from_fire_red_asr_ctc(model=f"{folder}/model.onnx", tokens=f"{folder}/tokens.txt")
def begun(samples):
    stream = recognizer.create_stream()
    stream.accept_waveform(16000, samples)
    return stream
waves = list(np.load(sounds).values())
alone = [begun(samples) for samples in waves]
for stream in alone:
    recognizer.decode_stream(stream)
together = [begun(samples) for samples in waves]
recognizer.decode_streams(together)
print(json.dumps([[stream.result.text for stream in streams] for streams in (alone, together)]))
"""


def sounds(seed: int) -> list[np.ndarray]:
    """Tones that rise and fall, in noise: three recordings of different lengths."""
    draw, found = np.random.default_rng(seed), []
    for seconds in (1.7, 0.6, 1.1):
        time = np.arange(int(16000 * seconds)) / 16000
        tone = 0.3 * np.sin(2 * np.pi * np.cumsum(300 + 2500 * np.sin(5 * time) ** 2) / 16000)
        found.append((tone + 0.02 * draw.standard_normal(len(time))).astype(np.float32))
    return found


def trained(model: dict[str, Any] | None = None, texts: list[str] = TEXTS, **settings: Any) -> TrainedModel:
    """A model of random weights for speech, as if it had been trained."""
    task = SpeechRecognition(SpeechRecognitionConfig(**{"vocabulary": TextConfig(kind="character"), **settings}))
    task.target_text.fit(texts)
    task.audio.fit(sounds(0))
    small = {"encoder": {"name": "conformer", "dim": 32, "layers": 2, "heads": 2, "feed_forward_dim": 48}, "subsampling_width": 16}
    architecture = (model or {}).get("name", "encoder_only")
    plugin = find("models", architecture)
    torch.manual_seed(3)
    built = plugin.build(validate(plugin.Config, model or small), task.source_spec, task.target_spec).eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    recipe = {"search": {"name": "ctc", "beam_size": 1}, "task": {}}
    return TrainedModel("test", architecture, built, task, recipe, FOREIGN, {}, ())


def ours(given: TrainedModel, waves: list[np.ndarray]) -> list[str]:
    """What our own search says."""
    source = pad([given.task.audio.encode(wave) for wave in waves], 0.0)  # type: ignore[attr-defined]
    found = CTCSearch(CTCSearchConfig())(given.model, source)
    return [given.task.target_text.decode(own[0].elements) for own in found]  # type: ignore[attr-defined]


def test_each_symbol_has_its_number() -> None:
    written = tokens_file(CharacterVocabulary([" ", "a", "ä"], byte_fallback=False))
    assert written.splitlines() == ["<blk> 0", "⁇ 1", "<s> 2", "</s> 3", "4", "a 5", "ä 6"]
    words = tokens_file(WordVocabulary(["hear", "them"]))
    assert words.splitlines()[4:] == ["▁hear 4", "▁them 5"]


def test_no_alphabet_looks_like_bytes() -> None:
    assert max(tokens_file(CharacterVocabulary(["Ɛ", "a"], byte_fallback=False)).encode()) > 0xC6


@pytest.mark.parametrize(
    ("vocabulary", "said"),
    [
        (CharacterVocabulary(["\t"], byte_fallback=False), "white space"),
        (CharacterVocabulary(["▁"], byte_fallback=False), r"U\+2581"),
        (CharacterVocabulary(["a"], ["<blk>"], byte_fallback=False), "leaves the symbol .* out of texts"),
        (CharacterVocabulary(["a"], ["SIL"], byte_fallback=False), "leaves the symbol .* out of texts"),
        (CharacterVocabulary(["a"], [BYTE_PIECES[3]], byte_fallback=False), "only some of them"),
        (CharacterVocabulary(["a"], ["<s>"], byte_fallback=False), "two of this vocabulary"),
        (WordVocabulary(["a"], separator="|"), "separator"),
        (WordVocabulary(["a"], punctuation=True), "separator"),
    ],
)
def test_symbols_that_would_be_misread_are_refused(vocabulary: Any, said: str) -> None:
    with pytest.raises(ExportError, match=said):
        tokens_file(vocabulary)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"sample_rate": 8000}, "sample_rate"),
        ({"features": AudioFeaturesConfig(bins=40)}, "bins"),
        ({"features": AudioFeaturesConfig(kind="whisper")}, "whisper"),
        ({"features": AudioFeaturesConfig(padded_seconds=30.0)}, "padded_seconds"),
        ({"model": {"name": "conformer", "dim": 16, "heads": 2, "encoder_layers": 1, "decoder_layers": 1}}, "CTC"),
    ],
)
def test_what_sherpa_onnx_would_not_hear_is_refused(settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    with pytest.raises(ExportError, match=said):
        export(trained(**settings), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("normalization", ["utterance", "global", "none"])
def test_sherpa_onnx_says_what_we_say(normalization: str, tmp_path: Path, seed: int) -> None:
    pytest.importorskip("onnxscript")
    if importlib.util.find_spec("sherpa_onnx") is None:
        pytest.skip("sherpa-onnx is not installed: pip install sherpa-onnx")
    given = trained(normalization=normalization, texts=TEXTS[:3])
    with unchecked():
        lost = export(given, tmp_path)
    assert any("no validation records" in sentence for sentence in lost)
    waves = sounds(seed)
    np.savez(tmp_path / "sounds.npz", *waves)
    # It ends its process where it does not like a file.
    command = [sys.executable, "-c", SHERPA, str(tmp_path), str(tmp_path / "sounds.npz")]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-2000:]
    alone, together = json.loads(found.stdout.splitlines()[-1])
    expected = [text.removeprefix(" ") for text in ours(given, waves)]
    assert alone == expected
    assert together == expected
    assert len(set("".join(expected))) > 3, "a model that says nothing proves nothing"


@pytest.mark.slow
def test_8_bits_say_how_often_they_agree(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    given = trained()
    with unchecked():
        export(replace(given, precision="int8"), tmp_path)
    from onnx import load

    assert any(node.op_type == "MatMulInteger" for node in load(tmp_path / "model.onnx").graph.node)
