"""CTranslate2 with our weights: the folder that `encoding.write_model` wrote, converted for the benchmark."""

import argparse
import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from ctranslate2.specs import transformer_spec
from safetensors.numpy import load_file
from worker import Task, serve

POSITIONS = 1024
SUPPORTED = {"activation": "relu", "gated": False, "norm": "layer", "norm_position": "pre", "positions": "sinusoidal", "bias": True}


def convert(folder: Path, out: Path) -> list[str]:
    """Write a CTranslate2 model; returns its symbols as strings."""
    described = json.loads((folder / "model.json").read_text())
    settings, target = described["settings"], described["target"]
    for name, value in SUPPORTED.items():
        if settings[name] != value:
            raise SystemExit(f"`model.{name}` must be {value} for this benchmark, but is {settings[name]}.")
    weights = load_file(folder / "weights.safetensors")
    heads = settings["heads"]
    spec = transformer_spec.TransformerSpec(
        transformer_spec.TransformerEncoderSpec(settings["encoder_layers"], heads),
        transformer_spec.TransformerDecoderSpec(settings["decoder_layers"], heads),
    )
    embeddings = {name: weight for name, weight in weights.items() if name.endswith(("embedding.weight", "head.weight"))}
    shared = next(iter(embeddings.values()))  # a tied weight is stored once

    def embedding(name: str) -> np.ndarray:
        return embeddings.get(name, embeddings.get("target_positioned.frontend.embedding.weight", shared))

    spec.encoder.embeddings[0].weight = embedding("source_positioned.frontend.embedding.weight")
    spec.decoder.embeddings.weight = embedding("target_positioned.frontend.embedding.weight")
    spec.decoder.projection.weight = embedding("head.weight")
    for name, side in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        side.position_encodings.encodings = sinusoids(settings["dim"])
        _norm(side.layer_norm, weights, f"{name}_norm")
        for number, layer in enumerate(side.layer):
            _layer(layer, weights, f"{name}.{number}")
    symbols = [str(number) for number in range(target["size"])]
    for office, word in (("unknown", "<unk>"), ("pad", "<blank>"), ("start", "<s>"), ("end", "</s>")):
        symbols[target[office]] = word
    spec.register_source_vocabulary(symbols)
    spec.register_target_vocabulary(symbols)
    spec.config.layer_norm_epsilon = 1e-5
    spec.config.add_source_eos = False  # our sources hold their end
    spec.config.decoder_start_token = symbols[target["start"]]
    spec.validate()
    spec.save(str(out))
    return symbols


def sinusoids(dim: int) -> np.ndarray:
    """Our table of positions."""
    half = dim // 2
    rates = np.exp(np.arange(half) * (-math.log(10_000) / max(half - 1, 1)))
    angles = np.arange(POSITIONS)[:, None] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def _layer(layer: Any, weights: Mapping[str, np.ndarray], name: str) -> None:
    _norm(layer.self_attention.layer_norm, weights, f"{name}.attention_residual.norm")
    _linear(layer.self_attention.linear[0], weights, f"{name}.attention.query_key_value")
    _linear(layer.self_attention.linear[1], weights, f"{name}.attention.out")
    if hasattr(layer, "attention"):
        _norm(layer.attention.layer_norm, weights, f"{name}.cross_residual.norm")
        for place, part in enumerate(("query", "key_value", "out")):
            _linear(layer.attention.linear[place], weights, f"{name}.cross.{part}")
    _norm(layer.ffn.layer_norm, weights, f"{name}.feed_forward_residual.norm")
    _linear(layer.ffn.linear_0, weights, f"{name}.feed_forward.expand")
    _linear(layer.ffn.linear_1, weights, f"{name}.feed_forward.contract")


def _linear(spec: Any, weights: Mapping[str, np.ndarray], name: str) -> None:
    spec.weight, spec.bias = weights[f"{name}.weight"], weights[f"{name}.bias"]


def _norm(spec: Any, weights: Mapping[str, np.ndarray], name: str) -> None:
    spec.gamma, spec.beta = weights[f"{name}.weight"], weights[f"{name}.bias"]


def set_up(settings: argparse.Namespace) -> Mapping[str, Task]:
    """The translator, and one warm-up of each task."""
    with tempfile.TemporaryDirectory() as out:
        symbols = convert(settings.model, Path(out))
        translator = ctranslate2.Translator(out, device="cpu", compute_type=settings.compute_type, intra_threads=settings.threads)
    with np.load(settings.sources, allow_pickle=False) as file:
        sources = [
            [symbols[symbol] for symbol in row[:length]] for row, length in zip(file["values"].tolist(), file["lengths"], strict=True)
        ]

    def task(beams: int, batch: int, count: int) -> Task:
        def decode() -> float:
            for first in range(0, count, batch):
                rows = sources[first : first + batch]
                if settings.forced is None:  # as many steps as our limits allow
                    longest = max(2 * len(row) + 16 for row in rows)
                    translator.translate_batch(rows, beam_size=beams, max_decoding_length=longest, min_decoding_length=0)
                else:  # one more, since it counts the end
                    steps = settings.forced + 1
                    found = translator.translate_batch(rows, beam_size=beams, max_decoding_length=steps, min_decoding_length=steps)
                    assert all(len(result.hypotheses[0]) == steps for result in found), "a length was not kept"
            return float(count)

        return decode

    tasks = {"greedy, batch 1": task(1, 1, 8), "greedy, batch 32": task(1, 32, 64), "beam 5, batch 32": task(5, 32, 32)}
    for run in tasks.values():
        run()
    return tasks


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("--compute-type", default="float32")
    parser.add_argument("--forced", type=int, default=None)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    serve(lambda: set_up(chosen))
