"""Imports Whisper in the format of CTranslate2, which faster-whisper uses: a folder becomes a run of our architecture `whisper`.

    model.bin  tokenizer.json       needed
    config.json                     what is never said (`suppress_ids`); without it nothing is forbidden
    vocabulary.txt or .json         names of symbols that tokenizer.json leaves out (times)

Weights in half precision or int8 become single precision, exactly. CTranslate2 stores the positions of the encoder, too, rounded to the
precision of the file; ours are computed, so outputs differ by that rounding.

Our vocabulary has two symbols more, padding and unknown, that are never said.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from antiphon.errors import CheckpointError
from antiphon.features.byte_pairs import FILE as TOKENIZER
from antiphon.features.byte_pairs import BytePairVocabulary, read_tokenizer
from antiphon.features.text import TextFeature
from antiphon.features.text_config import TextConfig
from antiphon.features.vocabulary import END, START
from antiphon.importers.ctranslate2_file import CTranslate2File
from antiphon.importers.interface import ImportedModel, ImportPlugin
from antiphon.importers.rows import NEVER, rows_at
from antiphon.layers.positions import sinusoids

_SPEC, _REVISION = "WhisperSpec", 3
_MULTILINGUAL = 51_865  # so many symbols have the models that know more than English, or more
_ENGLISH = ("<|notimestamps|>",)
_OTHERS = ("<|en|>", "<|transcribe|>", "<|notimestamps|>")
_FRAMES = 100  # a second
_ROUNDING = 0.01  # of the encoder's positions in half precision


def read(path: Path) -> ImportedModel:
    """Read the folder, or the folder that holds `model.bin`."""
    folder = path if path.is_dir() else path.parent
    model = path if path.is_file() else folder / "model.bin"
    if not (folder / TOKENIZER).is_file():
        raise CheckpointError(f"{folder} must hold `{TOKENIZER}`, Whisper's vocabulary, beside the model, but does not.")
    file = CTranslate2File(model, _SPEC, _REVISION)
    config = _config(folder / "config.json")
    settings = _settings(file)
    weights, bins, seconds = _encoder(file, settings["dim"])
    decoder, embedding = _decoder(file, settings["dim"])
    left = [name for name in file.left_over() if not name.startswith("decoder/alignment_")]
    if left:
        raise CheckpointError(f"{model} is no Whisper of a known kind: it also has `{left[0]}`.")
    vocabulary = _vocabulary(folder, len(embedding))
    table = rows_at(vocabulary.numbers, embedding)
    weights |= decoder
    weights |= {"decoder.positioned.frontend.embedding.weight": table, "head.weight": table}
    weights["head.bias"] = rows_at(vocabulary.numbers, torch.zeros(len(embedding)), NEVER)
    opening = _OTHERS if len(embedding) >= _MULTILINGUAL else _ENGLISH
    files = tuple(place for name in (model.name, TOKENIZER, "config.json") if (place := folder / name).is_file())
    settings |= {
        "encoder_layers": _depth(weights, "encoder."),
        "decoder_layers": _depth(weights, "decoder.blocks."),
        "feed_forward_dim": len(weights["encoder.0.feed_forward.expand.weight"]),
        "max_positions": len(weights["decoder.positioned.table.weight"]),
    }
    return ImportedModel(
        recipe=_recipe(settings, bins, seconds, opening, _search(config, vocabulary, settings["max_positions"], len(opening))),
        vocabularies={"vocabulary": TextFeature.of(TextConfig(kind="byte_bpe", model=folder / TOKENIZER), vocabulary)},
        weights=weights,
        files=files,
        notes=(f"Outputs begin with {' '.join(opening)} (`task.vocabulary.opening`); recordings are filled up to {seconds:g} s.",),
    )


def _config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} must be JSON, but cannot be read as such: {error}.") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path} must be a JSON object, but is not.")
    return found


def _settings(file: CTranslate2File) -> dict[str, Any]:
    """Width and number of heads, after checking that the model is a Whisper as published."""
    heads = {side: file.number(f"{side}/num_heads", 0) for side in ("encoder", "decoder")}
    if heads["encoder"] != heads["decoder"] or heads["encoder"] < 1:
        raise file.reader.refuse(f"encoder and decoder must have equally many heads, but have {heads['encoder']} and {heads['decoder']}")
    expected = {"pre_norm": 1, "scale_embeddings": 0, "alibi": 0, "start_from_zero_embedding": 0, "activation": 3}
    for name, value in expected.items():
        found = file.number(f"decoder/{name}", value)
        if found != value:
            raise file.reader.refuse(f"`decoder/{name}` must be {value}, as in Whisper, but is {found}")
    dim = file.arrays.get("encoder/layer_norm/gamma", np.zeros(0)).size
    if dim < 1 or dim % heads["encoder"]:
        raise file.reader.refuse(f"its width must be a multiple of its {heads['encoder']} heads, but is {dim}")
    return {"name": "whisper", "dim": dim, "heads": heads["encoder"], "head": {"name": "categorical", "bias": True}}


def _encoder(file: CTranslate2File, dim: int) -> tuple[dict[str, Tensor], int, float]:
    """The encoder's weights, channels of a frame, and input length in seconds."""
    weights = {}
    for place, name, channels in ((1, "widen", None), (2, "halve", dim)):
        weights[f"frontend.{name}.weight"] = file.real(f"encoder/conv{place}/weight", dim, channels, 3)
        weights[f"frontend.{name}.bias"] = file.real(f"encoder/conv{place}/bias", dim)
    positions = file.real("encoder/position_encodings/encodings", None, dim)
    if (positions - sinusoids(torch.arange(len(positions)), dim)).abs().max() > _ROUNDING:
        raise file.reader.refuse("the positions of its encoder must be sinusoids, but are others")
    layer = 0
    while f"encoder/layer_{layer}/ffn/linear_0/weight" in file.arrays:
        weights |= _layer(file, f"encoder/layer_{layer}", f"encoder.{layer}", dim)
        layer += 1
    weights |= _norm(file, "encoder/layer_norm", "encoder_norm", dim)
    return weights, weights["frontend.widen.weight"].shape[1], 2 * len(positions) / _FRAMES


def _decoder(file: CTranslate2File, dim: int) -> tuple[dict[str, Tensor], Tensor]:
    """The decoder's weights, and the embedding, which is the output layer, too."""
    if not file.same("decoder/projection/weight", "decoder/embeddings/weight"):
        raise file.reader.refuse("its output layer must be its embedding, but is another")
    embedding = file.real("decoder/embeddings/weight", None, dim)
    weights = {"decoder.positioned.table.weight": file.real("decoder/position_encodings/encodings", None, dim)}
    layer = 0
    while f"decoder/layer_{layer}/ffn/linear_0/weight" in file.arrays:
        theirs, ours = f"decoder/layer_{layer}", f"decoder.blocks.{layer}"
        weights |= _layer(file, theirs, ours, dim)
        weights |= _norm(file, f"{theirs}/attention/layer_norm", f"{ours}.cross_residual.norm", dim)
        for place, (name, width) in enumerate((("query", dim), ("key_value", 2 * dim), ("out", dim))):
            weights |= _linear(file, f"{theirs}/attention/linear_{place}", f"{ours}.cross.{name}", width, dim)
        layer += 1
    return weights | _norm(file, "decoder/layer_norm", "decoder.norm", dim), embedding


def _layer(file: CTranslate2File, theirs: str, ours: str, dim: int) -> dict[str, Tensor]:
    """The weights of self-attention and feed-forward, which encoder and decoder have in common."""
    weights = _norm(file, f"{theirs}/self_attention/layer_norm", f"{ours}.attention_residual.norm", dim)
    weights |= _linear(file, f"{theirs}/self_attention/linear_0", f"{ours}.attention.query_key_value", 3 * dim, dim)
    weights |= _linear(file, f"{theirs}/self_attention/linear_1", f"{ours}.attention.out", dim, dim)
    weights |= _norm(file, f"{theirs}/ffn/layer_norm", f"{ours}.feed_forward_residual.norm", dim)
    weights |= _linear(file, f"{theirs}/ffn/linear_0", f"{ours}.feed_forward.expand", None, dim)
    return weights | _linear(file, f"{theirs}/ffn/linear_1", f"{ours}.feed_forward.contract", dim, None)


def _linear(file: CTranslate2File, theirs: str, ours: str, width: int | None, channels: int | None) -> dict[str, Tensor]:
    return {f"{ours}.weight": file.real(f"{theirs}/weight", width, channels), f"{ours}.bias": file.real(f"{theirs}/bias", width)}


def _norm(file: CTranslate2File, theirs: str, ours: str, dim: int) -> dict[str, Tensor]:
    return {f"{ours}.weight": file.real(f"{theirs}/gamma", dim), f"{ours}.bias": file.real(f"{theirs}/beta", dim)}


def _depth(weights: dict[str, Tensor], stack: str) -> int:
    return sum(name.startswith(stack) and name.endswith(".feed_forward.expand.weight") for name in weights)


def _vocabulary(folder: Path, size: int) -> BytePairVocabulary:
    """The vocabulary with a name for each of `size` embeddings, and with a space in front of every text, as in Whisper."""
    content = read_tokenizer(folder / TOKENIZER)
    known = BytePairVocabulary(content, f"`{folder / TOKENIZER}`")
    count = int(known.numbers.max()) + 1
    names = _names(folder)
    if count < size and len(names) != size:
        raise CheckpointError(
            f"{folder} must name all {size:,} symbols of the model, but {TOKENIZER} names {count:,}. Put its `vocabulary.txt` beside it."
        )
    if count > size:
        raise CheckpointError(f"{folder / TOKENIZER} must fit the model's {size:,} embeddings, but has {count:,} pieces.")
    more = [{"id": number, "content": names[number], "special": True} for number in range(count, size)]
    content["added_tokens"] = [*(content.get("added_tokens") or []), *more]
    content["pre_tokenizer"] = {**content["pre_tokenizer"], "add_prefix_space": True}
    vocabulary = BytePairVocabulary(content, f"`{folder / TOKENIZER}`")
    for piece, number in (("start", START), ("end", END)):
        if vocabulary.numbers[number] < 0:
            raise CheckpointError(f"{folder / TOKENIZER} must have Whisper's {piece} symbol, but has none.")
    return vocabulary


def _names(folder: Path) -> list[str]:
    """The names of all symbols, if a file has them."""
    try:
        if (folder / "vocabulary.json").is_file():
            names = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
            return [str(name) for name in names] if isinstance(names, list) else []
        if (folder / "vocabulary.txt").is_file():
            return (folder / "vocabulary.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"The vocabulary in {folder} cannot be read: {error}.") from error
    return []


def _search(config: dict[str, Any], vocabulary: BytePairVocabulary, positions: int, opening: int) -> dict[str, Any]:
    """Greedy search with the symbols that Whisper's generation config forbids; a text takes up at most half of the positions, as in
    Whisper."""
    symbols = {number: symbol for symbol, number in enumerate(vocabulary.numbers.tolist())}

    def ours(name: str) -> list[int]:
        listed = config.get(name) or []
        if not isinstance(listed, list) or not all(number in symbols for number in listed):
            raise CheckpointError(f"`{name}` in config.json must be numbers of symbols, but is not.")
        return sorted(symbols[number] for number in listed)

    processors = {"allow_unknown": False, "forbidden": ours("suppress_ids"), "forbidden_first": ours("suppress_ids_begin")}
    return {
        "name": "greedy",
        "limits": {"max_ratio": 0, "max_offset": opening + min(positions // 2, positions - opening - 1)},
        "processors": processors,
    }


def _recipe(settings: dict[str, Any], bins: int, seconds: float, opening: Sequence[str], search: dict[str, Any]) -> dict[str, Any]:
    return {
        "task": {
            "name": "speech_recognition",
            "features": {"kind": "whisper", "bins": bins, "padded_seconds": seconds},
            "normalization": "none",
            "vocabulary": {"opening": list(opening)},
            "storage": "float16",
            "segments": {"longest": seconds},
        },
        "data": {"limits": {"max_target_length": settings["max_positions"]}},
        "model": settings,
        "training": {
            "max_epochs": 3,
            "batching": {"source_tokens": round(16 * seconds * _FRAMES)},
            "optimizer": {"name": "adamw", "learning_rate": 1e-5},
            "best": "wer_normalized",
        },
        "search": search,
        # Each recording is filled up to 30 s: more of them at once take gigabytes, and are no faster on a CPU.
        "evaluation": {"metrics": ["wer_normalized", "word_error_rate", "character_error_rate"], "batch_size": 4},
    }


plugin = ImportPlugin(name="ctranslate2_whisper", summary="Whisper as CTranslate2 and faster-whisper store it: a folder", read=read)
