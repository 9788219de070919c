"""Our Whisper as a CTranslate2 specification.

Unusual here: CTranslate2 knows symbols of Whisper by their names, and decides by them when to say times. What an output begins with would
have to be said where it says nothing of what it thinks, so it is there twice: once as a symbol like any other, of which we ask what the
model thinks, and once more behind all symbols, to be read and never said. The last of those is `<|notimestamps|>`, whatever it means:
behind it CTranslate2 searches freely, and in front of it nothing but it is forbidden (`engines/ctranslate2_whisper.py` says how each is
used).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from antiphon.contracts.engine import Precision
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.engines.ctranslate2_symbols import NO_TIMES, START, order_of
from antiphon.errors import ExportError
from antiphon.exporters.ctranslate2_rounding import write_spec
from antiphon.exporters.ctranslate2_transformer import array, decoder_layers, encoder_layer, linear, norm, table
from antiphon.heads.categorical import Categorical
from antiphon.layers.temporal_convolutions import STRIDE
from antiphon.models.whisper import Whisper

NEVER = -1e9
"""The logit of a symbol that is only read and never written: its probability becomes exactly 0."""
_END, _NOTHING = "<|endoftext|>", "<|nospeech|>"


def check(model: Whisper) -> None:
    """Raise ExportError for a Whisper that CTranslate2 would compute differently."""
    if not isinstance(model.head, Categorical):
        assert model.settings.head is not None, "the natural head is categorical"
        raise ExportError(
            f"`--format ctranslate2` needs `model.head` to be categorical, but it is {model.settings.head.name}. Use `--format onnx`."
        )
    if _frames(model) is None:
        raise ExportError(
            "`--format ctranslate2` holds Whispers whose recordings are all filled up to one length (`task.features.padded_seconds`), since"
            " its own knows no padding, but this one's are not. Use `--format onnx`."
        )


def write_whisper(model: Whisper, place: Path, opening: Sequence[int], precision: Precision) -> None:
    """Write CTranslate2's files; `opening` are the symbols that begin most outputs."""
    target = model.target
    assert isinstance(target, TokenSpec), "it says symbols"
    spec = whisper_spec(model, opening)
    names = [str(symbol) for symbol in order_of(target, opening)]
    names[target.size - 2], names[target.size - 1] = _END, START
    names[target.size :] = [f"again {place}" for place in range(len(names) - target.size)]
    names[-1] = NO_TIMES
    if len(opening) == 1:  # so that CTranslate2 says how likely it is
        names[names.index(str(opening[0]))] = _NOTHING
    spec.register_vocabulary(names)
    config: Any = spec.config
    config.suppress_ids = config.suppress_ids_begin = config.lang_ids = config.alignment_heads = []
    spec.validate()
    write_spec(spec, place, precision)


def whisper_spec(model: Whisper, opening: Sequence[int]) -> Any:
    """The specification with all weights."""
    from ctranslate2.specs.whisper_spec import WhisperSpec

    settings = model.settings
    spec = WhisperSpec(settings.encoder_layers, settings.heads, settings.decoder_layers, settings.heads)
    for convolution, layer in ((spec.encoder.conv1, model.frontend.widen), (spec.encoder.conv2, model.frontend.halve)):
        linear(convolution, layer)
    frames = _frames(model)
    assert frames is not None, "checked before"
    spec.encoder.position_encodings.encodings = table(-(-frames // STRIDE), settings.dim)
    for own, one in zip(spec.encoder.layer, model.encoder, strict=True):
        encoder_layer(own, one)
    norm(spec.encoder.layer_norm, model.encoder_norm)
    _decoder(spec.decoder, model, opening)
    return spec


def _decoder(spec: Any, model: Whisper, opening: Sequence[int]) -> None:
    positioned, head, target = model.decoder.positioned, model.head, model.target
    assert isinstance(target, TokenSpec), "it says symbols"
    assert positioned.frontend.embedding is not None, "it reads symbols"
    assert positioned.table is not None, "its positions are learned"
    assert isinstance(head, Categorical), "checked before"
    order = torch.tensor(order_of(target, opening))
    embedding = positioned.frontend.embedding.weight
    spec.embeddings.weight = array(embedding.detach()[order])
    spec.position_encodings.encodings = array(positioned.table.weight)
    decoder_layers(spec, model.decoder.blocks)
    norm(spec.layer_norm, model.decoder.norm)
    bias = np.zeros(len(order), dtype=np.float32) if head.bias is None else array(head.bias.detach()[order])
    bias[target.size :] = NEVER
    spec.projection.weight = spec.embeddings.weight if head.weight is embedding else array(head.weight.detach()[order])
    spec.projection.bias = bias


def _frames(model: Whisper) -> int | None:
    """The length, in frames, that all recordings are padded to."""
    assert isinstance(model.source, ValueSpec), "it hears frames"
    return model.source.length


def opening_of(task: Any) -> tuple[int, ...]:
    """The symbols with which a task's outputs begin."""
    text = getattr(task, "target_text", None)
    return tuple(text.opening) if text is not None and text.opening else ()
