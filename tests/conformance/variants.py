"""Every architecture in every variation, small: what the conformance tests run over.

`VARIANTS` lists settings per architecture; a registered architecture that is missing here is tested with its defaults, and fails
`test_every_architecture_has_variants`. Models are built in double precision and shaken: every parameter, also the biases and norms that
start at 0 and 1, gets a random offset. So a wrong result cannot hide behind rounding or behind a zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

from antiphon.contracts import registry
from antiphon.contracts.configuration import validate
from antiphon.contracts.model import Seq2SeqModel, StepwiseModel
from antiphon.contracts.sequences import Batch, Output, Padded, Quantiles
from antiphon.contracts.specs import Spec, TokenSpec, ValueSpec

TOKENS = TokenSpec(size=11, pad=0, unknown=1, start=2, end=3, fingerprint="test")
VALUES = ValueSpec(channels=3)
NOTHING = TokenSpec(size=5, pad=0, unknown=1, start=2, end=3, fingerprint="nothing")  # sources of one and the same symbol
SPECS: dict[str, tuple[Spec, Spec]] = {
    "tokens": (TOKENS, TOKENS),
    "values": (VALUES, VALUES),
    "values to tokens": (VALUES, TOKENS),
    "text": (NOTHING, TOKENS),
    "symbols to symbols": (TOKENS, TOKENS),  # as "tokens", of models that say something of states
}
EVERYWHERE = ("tokens", "values")
ONLY_TOKENS = ("tokens",)
ONLY_VALUES = ("values",)
SPEECH = ("values to tokens",)
TEXT = ("text",)
SEQ2SEQ = ("tokens", "values", "values to tokens")
# These say something of each state of the memory, not of each element: tested in test_frames.py and test_transducers.py.
BY_FRAMES = ("encoder_only", "transducer")
PARTIAL = ("adapted",)  # of these a part is learned and saved: tests/unit/models/test_adapted.py

# What is common to all variants of an architecture: small, and without dropout, so that results can be compared.
SMALL: dict[str, dict[str, Any]] = {
    "conformer": {
        "dim": 8,
        "heads": 2,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "feed_forward_dim": 12,
        "convolution_kernel": 3,
        "subsampling_width": 24,
        "dropout": 0.0,
    },
    "encoder_only": {"subsampling_width": 24},
    "linear": {"context_length": 8, "horizon": 6},
    "lstm": {"dim": 8, "dropout": 0.0},
    "transducer": {"subsampling_width": 24, "joiner_dim": 10},
    "transformer": {"dim": 8, "heads": 2, "encoder_layers": 2, "decoder_layers": 2, "feed_forward_dim": 12, "dropout": 0.0},
    "whisper": {"dim": 8, "heads": 2, "encoder_layers": 2, "decoder_layers": 2, "max_positions": 32},
}

BART = {
    "bos_token_id": 2,
    "encoder_layerdrop": 0.0,
    "decoder_layerdrop": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "d_model": 8,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "encoder_ffn_dim": 12,
    "decoder_ffn_dim": 12,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "max_position_embeddings": 64,
    "dropout": 0.0,
}
CHRONOS = {"context_length": 8, "input_patch_size": 4, "input_patch_stride": 4, "prediction_length": 6, "quantiles": [0.1, 0.5, 0.8]}
WHISPER = {
    **{key: value for key, value in BART.items() if key != "max_position_embeddings"},
    "num_mel_bins": 3,
    "max_source_positions": 8,
    "max_target_positions": 32,
}
T5 = {"d_model": 8, "num_layers": 1, "num_decoder_layers": 2, "num_heads": 2, "d_kv": 4, "d_ff": 12, "dropout_rate": 0.0}

NEAR = {"window": 2, "global_positions": 1}


@dataclass(frozen=True)
class Variant:
    """One architecture with some settings. `specs` names the kinds of data that these settings can be used with."""

    architecture: str
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    specs: tuple[str, ...] = EVERYWHERE

    @property
    def id(self) -> str:
        """What pytest shows."""
        return f"{self.architecture}-{self.name}"


def _adapted(kind: str, **model: Any) -> Variant:
    """Adapters on a Transformer of random weights."""
    sizes = {"name": "transformer", "dim": 8, "heads": 2, "encoder_layers": 1, "decoder_layers": 2, "feed_forward_dim": 12, "dropout": 0.0}
    settings = {"run": "none", "sha256": "none", "model": {**sizes, **model}, "adapter": {"kind": kind, "rank": 2}}
    return Variant("adapted", " ".join([kind, *map(str, model.values())]), settings)


def _chronos(name: str, **patches: Any) -> Variant:
    """A Chronos-Bolt of random weights: what a checkpoint's own configuration describes."""
    return Variant("chronos_bolt", name, {"path": "none", "description": {**T5, "chronos_config": {**CHRONOS, **patches}}}, ONLY_VALUES)


def _conformer(name: str, **settings: Any) -> Variant:
    return Variant("conformer", name, settings, SPEECH)


def _decoder_only(name: str, kind: str, **settings: Any) -> Variant:
    sizes = {"dim": 8, "layers": 2, "dropout": 0.0, **({"heads": 2, "feed_forward_dim": 12} if kind == "transformer" else {})}
    return Variant("decoder_only", name, {"decoder": {"name": kind, **sizes, **settings}}, TEXT)


def _encoder_only(name: str, encoder: Mapping[str, Any], **settings: Any) -> Variant:
    sizes = {"dim": 8, "layers": 2, "dropout": 0.0}
    attending = {} if encoder["name"] == "lstm" else {"heads": 2, "feed_forward_dim": 12}
    return Variant("encoder_only", name, {"encoder": {**sizes, **attending, **encoder}, **settings}, SPEECH)


def _linear(name: str, **settings: Any) -> Variant:
    return Variant("linear", name, settings, ONLY_VALUES)


def _lstm(name: str, specs: tuple[str, ...] = EVERYWHERE, **settings: Any) -> Variant:
    return Variant("lstm", name, settings, specs)


def _transducer(name: str, encoder: Mapping[str, Any], specs: tuple[str, ...] = SPEECH, **settings: Any) -> Variant:
    sizes = {"dim": 8, "layers": 2, "dropout": 0.0}
    attending = {} if encoder["name"] == "lstm" else {"heads": 2, "feed_forward_dim": 12}
    predictor = {"dim": 6, "dropout": 0.0, **settings.pop("predictor", {})}
    return Variant("transducer", name, {"encoder": {**sizes, **attending, **encoder}, "predictor": predictor, **settings}, specs)


def _transformer(name: str, specs: tuple[str, ...] = EVERYWHERE, **settings: Any) -> Variant:
    return Variant("transformer", name, settings, specs)


def _whisper(name: str, **settings: Any) -> Variant:
    return Variant("whisper", name, settings, SPEECH)


def _pretrained(family: str, settings: Mapping[str, Any], specs: tuple[str, ...] = ONLY_TOKENS) -> Variant:
    """A published architecture of random weights: what a checkpoint's own configuration describes."""
    return Variant("pretrained", family, {"path": "none", "description": {"model_type": family, **settings}}, specs)


VARIANTS: dict[str, list[Variant]] = {
    "adapted": [_adapted("lora"), _adapted("dora"), _adapted("lora", decoder="ssru")],
    "chronos_bolt": [_chronos("default", use_reg_token=True), _chronos("rolling on, no register", prediction_length=2)],
    "conformer": [
        _conformer("default"),
        _conformer("relative", positions="relative", subsampling=2),
        _conformer("ctc", ctc=True, tied_embeddings="none"),
        _conformer("intermediate ctc, batch norm", ctc=True, intermediate_ctc=[1], convolution_norm="batch", subsampling=1),
        _conformer("stacked frames, shallow decoder", subsampling_kind="stack", subsampling=4, encoder_layers=3, decoder_layers=1),
        _conformer("wide kernel", subsampling=2, convolution_kernel=9),
        _conformer("recurrent decoder", decoder="ssru"),
        _conformer("checkpointed activations", checkpoint_activations=True),
    ],
    "decoder_only": [
        _decoder_only("default", "transformer"),
        _decoder_only("relative, swiglu", "transformer", positions="relative", gated=True, activation="silu", norm="rms"),
        _decoder_only("learned, checkpointed activations", "transformer", positions="learned", checkpoint_activations=True),
        _decoder_only("lstm", "lstm"),
        _decoder_only("gru", "lstm", cell="gru", layers=1),
    ],
    "encoder_only": [
        _encoder_only("conformer", {"name": "conformer", "convolution_kernel": 3}),
        _encoder_only(
            "conformer, batch norm, intermediate ctc",
            {"name": "conformer", "convolution_kernel": 5, "convolution_norm": "batch"},
            intermediate_ctc=[1],
            subsampling=2,
        ),
        _encoder_only("conformer in chunks", {"name": "conformer", "convolution_kernel": 3}, chunk=2, subsampling=2),
        _encoder_only(
            "conformer in chunks, one before", {"name": "conformer", "convolution_kernel": 5}, chunk=2, left_chunks=1, subsampling=2
        ),
        _encoder_only("transformer", {"name": "transformer"}, subsampling=8),
        _encoder_only("transformer, relative", {"name": "transformer", "positions": "relative"}, subsampling_kind="stack"),
        _encoder_only("transformer in chunks, relative", {"name": "transformer", "positions": "relative"}, chunk=1, subsampling=4),
        _encoder_only("lstm", {"name": "lstm"}),
        _encoder_only("gru, one direction, in chunks", {"name": "lstm", "cell": "gru", "bidirectional": False}, chunk=1, subsampling=2),
    ],
    "linear": [
        _linear("default"),
        _linear("short window", context_length=3),
        _linear("trend", decomposition="trend", kernel_size=3),
        _linear("seasonal, a map for each channel", decomposition="seasonal", kernel_size=3, season=2, shared=False),
    ],
    "lstm": [
        _lstm("default", SEQ2SEQ),
        _lstm("gru", cell="gru"),
        _lstm("unidirectional", bidirectional=False),
        _lstm("gru unidirectional deep", cell="gru", bidirectional=False, encoder_layers=2, decoder_layers=2),
        _lstm("no attention", attention="none"),
        _lstm("dot", attention="dot"),
        _lstm("additive", attention="additive"),
        _lstm("multi-head", attention="multi_head", attention_heads=2),
        _lstm("input feeding", input_feeding=True),
        _lstm("input feeding, gru, deep, multi-head", input_feeding=True, cell="gru", decoder_layers=2, attention="multi_head"),
        _lstm("bridge copy", bridge="copy"),
        _lstm("bridge copy, deeper decoder", bridge="copy", encoder_layers=1, decoder_layers=3),
        _lstm("bridge copy, deeper encoder", bridge="copy", encoder_layers=3, decoder_layers=1, attention="none"),
        _lstm("bridge dense, deeper decoder", bridge="dense", decoder_layers=2, attention="none"),
        _lstm("bridge zero", bridge="zero", encoder_layers=2),
        _lstm("variational dropout", variational_dropout=True, encoder_layers=2, decoder_layers=2),
        _lstm("narrow embeddings", ONLY_TOKENS, embedding_dim=5),
        _lstm("tied decoder", ONLY_TOKENS, tied_embeddings="decoder"),
        _lstm("tied all", ONLY_TOKENS, tied_embeddings="all"),
        _lstm("head with bias", ONLY_TOKENS, head={"name": "categorical", "bias": True}),
        _lstm("coverage", coverage=True),
        _lstm("coverage, additive, input feeding", coverage=True, attention="additive", input_feeding=True),
        _lstm("location", SEQ2SEQ, attention="location", location_kernel=3, location_filters=2),
        _lstm("location, input feeding", attention="location", location_kernel=5, input_feeding=True),
        _lstm("listen, attend and spell", SPEECH, subsampling=4, attention="location", location_kernel=3, ctc=True, encoder_layers=2),
        _lstm(
            "stacked frames, one direction", ("values", "values to tokens"), subsampling=2, subsampling_kind="stack", bidirectional=False
        ),
        _lstm("pointer", ONLY_TOKENS, head={"name": "pointer"}),
        _lstm(
            "pointer, coverage, additive, tied all", ONLY_TOKENS, head="pointer", coverage=True, attention="additive", tied_embeddings="all"
        ),
    ],
    "pretrained": [
        _pretrained("bart", BART),
        _pretrained("marian", BART),
        _pretrained("m2m_100", BART),
        _pretrained("t5", T5),
        _pretrained("whisper", WHISPER, SPEECH),
    ],
    "transducer": [
        _transducer("conformer", {"name": "conformer", "convolution_kernel": 3}, ctc=True),
        _transducer("conformer in chunks, lstm", {"name": "conformer", "convolution_kernel": 3}, chunk=2, predictor={"name": "lstm"}),
        _transducer("inner ctc, wide context", {"name": "transformer"}, ctc=True, intermediate_ctc=[1], predictor={"context": 4}),
        _transducer("lstm, one symbol", {"name": "lstm"}, subsampling=2, predictor={"context": 1}),
        _transducer(
            "gru in chunks, deep lstm",
            {"name": "lstm", "cell": "gru", "bidirectional": False},
            chunk=3,
            subsampling=1,
            predictor={"name": "lstm", "layers": 2},
        ),
        _transducer("symbols", {"name": "transformer"}, ("symbols to symbols",), predictor={"name": "lstm"}),
        _transducer("symbols, stacked", {"name": "lstm"}, ("symbols to symbols",), subsampling_kind="stack"),
    ],
    "transformer": [
        _transformer("default", SEQ2SEQ),
        _transformer("post-norm", norm_position="post"),
        _transformer("rms", norm="rms"),
        _transformer("rms, post-norm", norm="rms", norm_position="post"),
        _transformer("embeddings as they are, small epsilon", norm_epsilon=1e-9, scale_embeddings=False),
        _transformer("learned", positions="learned", max_positions=32),
        _transformer("learned, post-norm", positions="learned", norm_position="post", max_positions=32),
        _transformer("rotary", positions="rotary"),
        _transformer("relative", positions="relative"),
        _transformer("multi-query", key_value_heads=1),
        _transformer("grouped, relative", heads=4, key_value_heads=2, positions="relative"),
        _transformer("grouped, rotary", heads=4, key_value_heads=2, positions="rotary"),
        _transformer("swiglu without bias", gated=True, activation="silu", bias=False),
        _transformer("gelu", activation="gelu"),
        _transformer("deep encoder, shallow decoder", encoder_layers=3, decoder_layers=1, decoder_feed_forward_dim=7),
        _transformer("shallow encoder, deep decoder", encoder_layers=1, decoder_layers=3),
        _transformer("untied", ONLY_TOKENS, tied_embeddings="none"),
        _transformer("tied all", ONLY_TOKENS, tied_embeddings="all"),
        _transformer("zeros to start with", ONLY_TOKENS, start_embedding="zeros", tied_embeddings="all", norm_position="post"),
        _transformer("checkpointed activations", checkpoint_activations=True),
        _transformer("pointer", ONLY_TOKENS, head={"name": "pointer", "bias": True}),
        _transformer("pointer, tied all, one layer", ONLY_TOKENS, head="pointer", tied_embeddings="all", decoder_layers=1),
        _transformer("window", SEQ2SEQ, window=2),
        _transformer("window and global positions, learned", window=1, global_positions=2, positions="learned", max_positions=32),
        _transformer("window and global position, relative, grouped", heads=4, key_value_heads=2, **NEAR, positions="relative"),
        _transformer("window and global position, rotary", **NEAR, positions="rotary"),
        _transformer("window, checkpointed activations", window=2, checkpoint_activations=True),
        _transformer("window over patches", ONLY_VALUES, window=1, patch_length=2, patch_stride=1),
        _transformer("chunks", SEQ2SEQ, chunk_length=3),
        _transformer("chunks, relative", chunk_length=2, positions="relative"),
        _transformer("chunks, rotary, checkpointed activations", chunk_length=3, positions="rotary", checkpoint_activations=True),
        _transformer("chunks of patches", ONLY_VALUES, chunk_length=2, patch_length=2),
        _transformer("ssru", SEQ2SEQ, decoder="ssru"),
        _transformer("ssru as in marian", norm_position="post", encoder_layers=3, decoder="ssru"),
        _transformer("ssru, relative, without bias", decoder="ssru", positions="relative", bias=False),
        _transformer("ssru, rotary, checkpointed activations", decoder="ssru", positions="rotary", checkpoint_activations=True),
        _transformer("channel-independent ssru", ONLY_VALUES, channels="independent", decoder="ssru"),
        _transformer("patches", ONLY_VALUES, patch_length=3),
        _transformer("overlapping patches, relative", ("values", "values to tokens"), patch_length=3, patch_stride=1, positions="relative"),
        _transformer("channel-independent", ONLY_VALUES, channels="independent"),
        _transformer("subsampling, ctc", SPEECH, subsampling=4, subsampling_width=8, ctc=True),
        _transformer("stacked frames", ("values", "values to tokens"), subsampling=2, subsampling_kind="stack", positions="rotary"),
        _transformer("subsampling, window, ctc", SPEECH, subsampling=2, subsampling_width=8, window=1, ctc=True),
        _transformer("channel-independent patches, rotary", ONLY_VALUES, channels="independent", patch_length=2, positions="rotary"),
        _transformer("wait-k", wait_k=2, specs=ONLY_TOKENS),
        _transformer("wait-k, relative, one group", wait_k=3, positions="relative", key_value_heads=1, specs=ONLY_TOKENS),
        _transformer("wait-k, ssru, pointer", wait_k=2, decoder="ssru", head="pointer", specs=ONLY_TOKENS),
    ],
    "whisper": [
        _whisper("default"),
        _whisper("one layer, head with bias", decoder_layers=1, head={"name": "categorical", "bias": True}),
        _whisper("checkpointed activations", checkpoint_activations=True, feed_forward_dim=12),
    ],
}


def variants() -> list[Variant]:
    """All variants of all registered architectures."""
    return [variant for name in registry.names("models") for variant in VARIANTS.get(name, [Variant(name, "default")])]


def every_variant(*, whole: bool = False) -> pytest.MarkDecorator:
    """Run a test for each variant with symbols on both sides; `whole` leaves out those of which only a part is learned and saved."""
    chosen = [variant for variant in variants() if "tokens" in variant.specs and not (whole and variant.architecture in PARTIAL)]
    return pytest.mark.parametrize("variant", chosen, ids=lambda variant: variant.id)


def every_variant_and_data(*, whole: bool = False) -> pytest.MarkDecorator:
    """Run a test for each variant with each kind of data that it can be used with; `whole` as for `every_variant`.

    The fast tests take each variant with the first kind of its data, and the first variant of each architecture with all of them.
    """
    left_out = (*BY_FRAMES, *(PARTIAL if whole else ()))
    firsts = {variant.architecture: variant.id for variant in reversed(variants())}
    pairs = [
        pytest.param(
            variant,
            kind,
            id=f"{variant.id}-{kind}",
            marks=[pytest.mark.slow] * (kind != next(iter(variant.specs)) and firsts[variant.architecture] != variant.id),
        )
        for variant in variants()
        if variant.architecture not in left_out
        for kind in variant.specs
    ]
    return pytest.mark.parametrize(("variant", "kind"), pairs)


def architectures() -> pytest.MarkDecorator:
    """Run a test for the first variant of each architecture that can have symbols on both sides."""
    firsts = {variant.architecture: variant for variant in reversed(variants()) if "tokens" in variant.specs}
    return pytest.mark.parametrize("variant", firsts.values(), ids=firsts.keys())


def fresh(variant: Variant, seed: int, source: Spec = TOKENS, target: Spec = TOKENS, **changes: Any) -> Seq2SeqModel:
    """A model as training starts with it, in single precision."""
    plugin = registry.find("models", variant.architecture)
    if variant.architecture == "pretrained" and isinstance(target, TokenSpec):
        sizes = {"vocab_size": target.size, "pad_token_id": target.pad, "eos_token_id": target.end}
        changes["description"] = {**variant.settings["description"], **sizes, "decoder_start_token_id": target.start}
    settings = validate(plugin.Config, {**SMALL.get(variant.architecture, {}), **variant.settings, **changes})
    torch.manual_seed(seed)
    model: Seq2SeqModel = plugin.build(settings, source, target)
    return model


def build(variant: Variant, seed: int, kind: str = "tokens", **changes: Any) -> Seq2SeqModel:
    """A shaken model in double precision, not training."""
    return shaken(fresh(variant, seed, *SPECS[kind], **changes), seed).double().eval()


def build_stepwise(variant: Variant, seed: int, kind: str = "tokens") -> StepwiseModel:
    """The same; the test is skipped when the model cannot decode step by step."""
    model = build(variant, seed, kind)
    if not isinstance(model, StepwiseModel):
        pytest.skip(f"{variant.architecture} does not decode step by step")
    return model


def shaken(model: Seq2SeqModel, seed: int, amount: float = 0.3) -> Seq2SeqModel:
    """Move every parameter by a random offset."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += amount * torch.randn(parameter.shape, generator=generator)
    return model


def elements(spec: Spec, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Random symbols that are no special ones, or random values."""
    if isinstance(spec, TokenSpec):
        return torch.randint(4, spec.size, shape, generator=generator)
    return torch.randn(*shape, spec.channels, generator=generator, dtype=torch.float64)


def sequences(spec: Spec, lengths: tuple[int, ...], generator: torch.Generator, *, begin: bool = False) -> Padded:
    """Random sequences of these lengths, padded as `collate` does; `begin` puts the start symbol first."""
    values = elements(spec, (len(lengths), max(lengths)), generator)
    if begin and isinstance(spec, TokenSpec):
        values[:, 0] = spec.start
    padded = Padded(values, torch.tensor(lengths))
    filling = spec.pad if isinstance(spec, TokenSpec) else 0
    values[~padded.mask] = filling
    return padded


def batch(kind: str, seed: int, source: tuple[int, ...] = (5, 2, 7), target: tuple[int, ...] = (4, 6, 2)) -> Batch:
    """A ragged batch; `target` counts the start element."""
    generator = torch.Generator().manual_seed(seed)
    source_spec, target_spec = SPECS[kind]
    sides = sequences(source_spec, source, generator), sequences(target_spec, target, generator, begin=True)
    return Batch(*sides, tuple(range(len(source))))


def widened(padded: Padded, columns: int, spec: Spec, generator: torch.Generator) -> Padded:
    """The same sequences with more padding, all of it filled with what could be real elements."""
    more = elements(spec, (padded.values.shape[0], columns), generator)
    values = torch.cat([padded.values, more], dim=1)
    wider = Padded(values, padded.lengths)
    filling = elements(spec, tuple(values.shape[:2]), generator)
    values[~wider.mask] = filling[~wider.mask]
    return wider


def loss_of(output: Output, labels: Padded) -> torch.Tensor:
    """The summed loss over real elements: cross-entropy for symbols, squared error for values; nothing of the package in it."""
    real = said(output)[labels.mask]
    if labels.values.dim() == 2:
        return torch.nn.functional.cross_entropy(real, labels.values[labels.mask], reduction="sum") + frame_loss(output)
    truth = labels.values[labels.mask]
    return ((real.unflatten(-1, (truth.shape[-1], -1)) - truth.unsqueeze(-1)) ** 2).sum()  # of quantiles, the error of each


def said(output: Output) -> torch.Tensor:
    """What the head says as one tensor; quantiles (..., C, Q) as (..., C * Q)."""
    return output.values.values.flatten(-2) if isinstance(output.values, Quantiles) else output.values


def frame_loss(output: Output) -> torch.Tensor:
    """The summed cross-entropy of saying symbol 4 at every frame, also of inner layers; 0 of a model that says nothing of frames."""
    frames = output.frames
    if frames is None:
        return torch.zeros(())
    features = [features[frames.mask] for features in (frames.features, *frames.inner)]
    return sum((frames.head(part).log_softmax(-1)[:, 4].neg().sum() for part in features), torch.zeros(()))


def gradients(model: Seq2SeqModel, data: Batch) -> dict[str, torch.Tensor]:
    """The gradient of the summed loss for each parameter."""
    model.zero_grad(set_to_none=True)
    loss_of(model(data.source, data.inputs), data.labels).backward()
    return {name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}


def close(found: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-9) -> None:
    """Fail unless two tensors are equal up to rounding."""
    if found.shape == expected.shape and found.dtype == expected.dtype and torch.allclose(found, expected, tolerance, tolerance):
        return  # ten times as quick as what says how they differ
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def symbols(*items: list[int]) -> list[np.ndarray]:
    """Targets as arrays."""
    return [np.array(item, dtype=np.int64) for item in items]
