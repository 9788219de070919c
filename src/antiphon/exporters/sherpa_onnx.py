"""Exports a folder for sherpa-onnx (k2-fsa.github.io/sherpa): CTC speech recognition on phones, small boards and in browsers, without
Python.

    model.onnx   frames (n, t, 80), lengths -> log-probabilities (n, s, V), lengths; with what it says of itself
    tokens.txt   the symbols (`sherpa_symbols.py`)
    README.md    how to use it

Unusual here: of the kinds of CTC that sherpa-onnx knows, `fire_red_asr` alone hears Kaldi's features as we do (16,000 Hz, 80 filter banks,
the scale of 16-bit samples, frames within the sound, no dither); others hear something else, without a word. So every model goes there,
and one with other features is refused.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Padded
from antiphon.contracts.specs import TokenSpec
from antiphon.data.collate import collate
from antiphon.errors import ExportError
from antiphon.exporters.graphs import Graph, example_source, facts_of
from antiphon.exporters.interface import ExportPlugin, TrainedModel
from antiphon.exporters.onnx import check
from antiphon.exporters.sherpa_symbols import tokens_file
from antiphon.features.audio import AudioFeature
from antiphon.features.filter_banks import kaldi_framing
from antiphon.features.text import TextFeature

_RATE, _BINS = 16_000, 80
_SMALLEST_DEVIATION = 1e-3  # as in `features/audio.py`
_NEVER = -1e9
_RECORDS = 50
_APART = 1e-3
"""The tolerance for differences of log-probabilities from the model's, in single precision."""


def export(trained: TrainedModel, folder: Path) -> Sequence[str]:
    """Write the folder; returns how sherpa-onnx's outputs will differ.

    Raises ExportError for a model without CTC, features that sherpa-onnx does not hear, and symbols that it would misread.
    """
    check(trained.architecture)
    audio, text = _features(trained)
    tokens = tokens_file(text.vocabulary)
    model = trained.model.eval()
    path = folder / "model.onnx"
    _write(model, audio, trained.precision == "int8", path)
    (folder / "tokens.txt").write_text(tokens, encoding="utf-8")
    lost = [*_lost(trained), *_compared(trained, model, path)]
    (folder / "README.md").write_text(_card(trained, lost), encoding="utf-8")
    return lost


def _features(trained: TrainedModel) -> tuple[AudioFeature, TextFeature]:
    """The features of the audio, and of the texts."""
    task = trained.task
    audio = next((one for one in task.features if isinstance(one, AudioFeature)), None)
    if audio is None or not facts_of(trained.model).frames:
        raise ExportError(
            f"sherpa-onnx reads recordings and decodes them by CTC, which this `{trained.architecture}` for `{task.name}` does not:"
            " train `model: encoder_only`, or `ctc: true`."
        )
    settings = audio.settings
    found = (settings.kind, settings.bins, audio.sample_rate, settings.padded_seconds)
    if found != ("filter_banks", _BINS, _RATE, None) or audio.framing != kaldi_framing(_RATE):
        raise ExportError(
            f"sherpa-onnx reads {_BINS} filter banks at {_RATE} Hz, not filled up, but this model has `features.kind: {settings.kind}`,"
            f" `bins: {settings.bins}`, `sample_rate: {audio.sample_rate}`, `padded_seconds: {settings.padded_seconds}`: train it so."
        )
    text = next((one for one in task.features if isinstance(one, TextFeature)), None)
    if text is None:
        raise ExportError("sherpa-onnx cannot read the vocabulary of a published model. Train with `vocabulary.kind: unigram`.")
    return audio, text


@final
class _Heard(nn.Module):
    """From frames as computed by sherpa-onnx to log-probabilities for each state."""

    never: Tensor

    def __init__(self, model: Seq2SeqModel, *, normalizes: bool):
        super().__init__()
        assert isinstance(model.target, TokenSpec), "CTC says symbols"
        self.model, self.normalizes = model, normalizes
        never = torch.zeros(model.target.size)
        never[[model.target.start, model.target.end]] = _NEVER
        self.register_buffer("never", never)

    def forward(self, x: Float[Tensor, "B T C"], x_lens: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B S V"], Int[Tensor, " B"]]:
        """(log-probabilities, lengths). A recording is normalized here if its own mean and deviation are used for it."""
        source = Padded(self._normalized(x, x_lens) if self.normalizes else x, x_lens)
        memory = self.model.encode(source)
        frames = self.model.frames(memory)
        assert frames is not None, "asked only of models with CTC"
        return frames.logits.log_softmax(-1) + self.never, memory.mask.sum(1)

    @staticmethod
    def _normalized(x: Float[Tensor, "B T C"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "B T C"]:
        real = (torch.arange(x.shape[1]) < lengths.unsqueeze(1)).unsqueeze(2).to(x.dtype)
        count = lengths.clamp(min=1)[:, None, None].to(x.dtype)
        x = x - (x * real).sum(1, keepdim=True) / count
        deviation = ((x * real).square().sum(1, keepdim=True) / count).sqrt()
        return x / deviation.clamp(min=_SMALLEST_DEVIATION)


def _write(model: Seq2SeqModel, audio: AudioFeature, small: bool, path: Path) -> None:
    """Write the ONNX file, with the metadata that sherpa-onnx reads."""
    import onnx

    from antiphon.exporters.onnx_file import save
    from antiphon.exporters.onnx_int8 import quantize
    from antiphon.exporters.onnx_recurrent import with_operators

    heard = _Heard(copy.deepcopy(model), normalizes=audio.normalization == "utterance").eval()
    source = example_source(model.source)
    with_operators(heard)
    sizes = ({0: "batch", 1: "source"}, {0: "batch"})
    save(Graph(heard, (source.values, source.lengths), ("x", "x_lens"), ("log_probs", "log_probs_lens"), sizes), path, "encode")
    if small and not quantize(path):
        raise ExportError("No matrix of this model is large enough to be worth 8 bits. Export it with `--precision fp32`.")
    mean = np.zeros(_BINS) if audio.mean is None else audio.mean
    deviation = np.ones(_BINS) if audio.deviation is None else np.maximum(audio.deviation, _SMALLEST_DEVIATION)
    saved = onnx.load(path)
    facts = {
        "model_type": "fire-red-asr-2-ctc",
        "subsampling_factor": str(model.stride),
        "cmvn_mean": ",".join(f"{value:.9g}" for value in mean),
        "cmvn_inv_stddev": ",".join(f"{1 / value:.9g}" for value in deviation),
    }
    onnx.helper.set_model_props(saved, facts)
    onnx.save(saved, path)


def _lost(trained: TrainedModel) -> list[str]:
    """How sherpa-onnx's outputs will differ."""
    search = trained.recipe["search"]
    lost = ["sherpa-onnx drops a space at the beginning of a text."]
    if search["name"] != "ctc" or search.get("beam_size", 1) > 1:
        lost.append(
            f"`search.name: {search['name']}`: sherpa-onnx says the likeliest symbol of each state (CTC, greedy), whatever else ours did."
        )
    lost.extend(f"`search.{name}` has no counterpart in sherpa-onnx's CTC." for name in ("language_model",) if search.get(name) is not None)
    if search.get("hot_words", {}).get("phrases"):
        lost.append("`search.hot_words` has no counterpart in sherpa-onnx's CTC.")
    return [*lost, "Long recordings are not cut at silence: cut them before, with a detector of sherpa-onnx (VAD)."]


@torch.inference_mode()
def _compared(trained: TrainedModel, model: Seq2SeqModel, path: Path) -> list[str]:
    """How often the most probable symbol is the same in the file, on validation records. Raises ExportError where single precision
    differs."""
    import onnxruntime

    task = trained.task
    encoded = [task.encode(record) for record in list(trained.samples())[:_RECORDS]]
    if not encoded:
        return ["Nothing was compared, since there are no validation records."]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    same, states, apart = 0, 0, 0.0
    for example in encoded:
        source = collate([example], task.source_spec, task.target_spec).source
        expected = _Heard(model, normalizes=False)(source.values, source.lengths)[0][0]
        found = torch.from_numpy(session.run(None, {"x": source.values.numpy(), "x_lens": source.lengths.numpy()})[0][0])
        same += int((found.argmax(-1) == expected.argmax(-1)).sum())
        states += found.shape[0]
        sayable = expected > _NEVER / 2
        apart = max(apart, float((found - expected)[sayable].abs().nan_to_num(nan=torch.inf).max()))
    if trained.precision == "fp32" and not apart < _APART:
        raise ExportError(
            f"The export is refused: on {len(encoded):,} validation records, what the file says differs by {apart:.2g} in log-probability"
            " from the run. This is a fault of the exporter; please report it."
        )
    return [f"The likeliest symbol is the run's at {same / states:.2%} of {states:,} states of {len(encoded):,} validation records."]


def _card(trained: TrainedModel, lost: Sequence[Any]) -> str:
    differences = "\n".join(f"* {sentence}" for sentence in lost)
    return f"""\
# {trained.name}

A model for speech recognition with [sherpa-onnx](https://k2-fsa.github.io/sherpa/onnx/) ({trained.precision}), trained with Antiphon.

```python
import sherpa_onnx

recognizer = sherpa_onnx.OfflineRecognizer.from_fire_red_asr_ctc(model="model.onnx", tokens="tokens.txt")
stream = recognizer.create_stream()
stream.accept_waveform(16000, samples)  # float32 between -1 and 1
recognizer.decode_stream(stream)
print(stream.result.text)
```

Other sample rates than 16,000 Hz are resampled by sherpa-onnx, in another way than the run does it: resample them before (with soxr) to
read what the run says. It is the kind FireRedASR CTC whatever the architecture is, since that hears the features
that this model learned from. Programs in other languages name it so, too.

## What is different there

{differences}
"""


plugin = ExportPlugin(
    name="sherpa_onnx",
    summary="a folder for sherpa-onnx (speech recognition on phones and small boards): models with CTC; needs the extra `onnx`",
    export=export,
    precisions=("fp32", "int8"),
)
