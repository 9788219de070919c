"""A tiny checkpoint in the published format of Chronos-Bolt: the fields of its config.json, the names of its weights, random numbers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
PATCHES = {
    "context_length": 96,
    "input_patch_size": 16,
    "input_patch_stride": 16,
    "prediction_length": 8,
    "quantiles": LEVELS,
    "use_reg_token": True,
}
CONFIG = {
    "architectures": ["ChronosBoltModelForForecasting"],
    "chronos_config": PATCHES,
    "chronos_pipeline_class": "ChronosBoltPipeline",
    "classifier_dropout": 0.0,
    "d_ff": 12,
    "d_kv": 4,
    "d_model": 8,
    "decoder_start_token_id": 0,
    "dense_act_fn": "relu",
    "dropout_rate": 0.1,
    "eos_token_id": 1,
    "feed_forward_proj": "relu",
    "initializer_factor": 0.05,
    "is_encoder_decoder": True,
    "is_gated_act": False,
    "layer_norm_epsilon": 1e-06,
    "model_type": "t5",
    "n_positions": 512,
    "num_decoder_layers": 2,
    "num_heads": 2,
    "num_layers": 2,
    "pad_token_id": 0,
    "reg_token_id": 1,
    "relative_attention_max_distance": 128,
    "relative_attention_num_buckets": 32,
    "torch_dtype": "float32",
    "transformers_version": "4.39.3",
    "use_cache": True,
    "vocab_size": 2,
}


def write_chronos(folder: Path, seed: int = 1, config: dict[str, Any] | None = None, **patches: Any) -> Path:
    """Write the checkpoint; `config` replaces fields of config.json, and `patches` those of its `chronos_config`."""
    folder.mkdir(parents=True)
    described = {**CONFIG, **(config or {})}
    described["chronos_config"] = {**PATCHES, **patches}
    described["vocab_size"] = 1 + described["chronos_config"]["use_reg_token"]
    (folder / "config.json").write_text(json.dumps(described, indent=2), encoding="utf-8")
    random = np.random.default_rng(seed)
    weights = {name: _drawn(random, name, shape) for name, shape in _shapes(described).items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _drawn(random: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    drawn = 0.5 * random.standard_normal(shape)
    return (drawn + ("norm" in name)).astype(np.float32)


def _shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Every weight of the published model, by name."""
    patches, width, hidden, inner = config["chronos_config"], config["d_model"], config["d_ff"], config["num_heads"] * config["d_kv"]
    shapes: dict[str, tuple[int, ...]] = {"shared.weight": (config["vocab_size"], width)}
    said = len(patches["quantiles"]) * patches["prediction_length"]
    for block, inputs, outputs in (("input", 2 * patches["input_patch_size"], width), ("output", width, said)):
        for layer, (wide, high) in {"hidden": (inputs, hidden), "output": (hidden, outputs), "residual": (inputs, outputs)}.items():
            name = f"{block}_patch_embedding.{layer}_layer"
            shapes |= {f"{name}.weight": (high, wide), f"{name}.bias": (high,)}
    for stack, depth, attentions in (
        ("encoder", config["num_layers"], ["SelfAttention"]),
        ("decoder", config["num_decoder_layers"], ["SelfAttention", "EncDecAttention"]),
    ):
        shapes[f"{stack}.final_layer_norm.weight"] = (width,)
        table = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        shapes[table] = (config["relative_attention_num_buckets"], config["num_heads"])
        for number in range(depth):
            name = f"{stack}.block.{number}.layer"
            for place, attention in enumerate(attentions):
                shapes |= {f"{name}.{place}.{attention}.{part}.weight": (inner, width) for part in "qkv"}
                shapes[f"{name}.{place}.{attention}.o.weight"] = (width, inner)
            last = len(attentions)
            shapes |= {
                f"{name}.{last}.DenseReluDense.wi.weight": (hidden, width),
                f"{name}.{last}.DenseReluDense.wo.weight": (width, hidden),
            }
            shapes |= {f"{name}.{place}.layer_norm.weight": (width,) for place in range(last + 1)}
    return shapes
