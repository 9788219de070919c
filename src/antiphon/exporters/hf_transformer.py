"""Exports our own Transformer as a checkpoint of transformers, where an equal architecture exists there:

    norm_position   positions                 there
    post            sinusoidal                Marian (MarianMTModel)
    post            learned                   BART (BartForConditionalGeneration)
    pre             sinusoidal or learned     Pegasus (PegasusForConditionalGeneration)

All of them read the tokenizer of Marian, which is sentencepiece itself with numbers of our own.

Unusual here: our sinusoids fall from 1 to 1/10,000 within the width, theirs a little less. So ours are written as weights, which Marian's
and Pegasus' classes take from a file that has them.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from antiphon.contracts.limits import least
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ExportError
from antiphon.exporters.generation import generation_settings
from antiphon.exporters.interface import TrainedModel
from antiphon.exporters.model_card import model_card
from antiphon.exporters.sentencepiece_texts import lost_of_texts, model_for_sources
from antiphon.features.published import need_transformers, without_progress
from antiphon.features.subwords import SubwordVocabulary
from antiphon.features.text import TextFeature
from antiphon.importers.rows import NEVER
from antiphon.layers.positions import sinusoids
from antiphon.layers.transformer_config import TransformerConfig
from antiphon.models.transformer import Transformer
from antiphon.store.json_text import json_text

_POSITIONS = 1024  # of sinusoids, which have no end here
_OFFSET = 2  # BART's learned positions begin at the third row
# What a setting must be, and why.
_REQUIRED: tuple[tuple[str, object, str], ...] = (
    ("decoder", "attention", "no decoder there is recurrent"),
    ("norm", "layer", "the architectures that are otherwise equal have LayerNorm"),
    ("gated", False, "the architectures that are otherwise equal have no gate"),
    ("window", None, "the encoder there sees the whole source"),
    ("chunk_length", None, "the encoder there sees the whole source"),
    ("wait_k", None, "the whole source is read first there"),
)


def export_transformer(trained: TrainedModel, model: Transformer, folder: Path) -> Sequence[str]:
    """Write the folder; returns how `generate` will differ. Raises ExportError when transformers has no equal architecture."""
    text, vocabulary = _checked(trained, model)
    need_transformers()
    import transformers

    settings, spec = model.settings, model.target
    assert isinstance(spec, TokenSpec), "checked"
    kind = _kind(settings)
    tied = settings.tied_embeddings == "all"
    config = getattr(transformers, f"{kind}Config")(**_config(settings, spec), tie_word_embeddings=tied)
    with torch.device("meta"):
        network: Any = getattr(transformers, _CLASSES[kind])(config)
    weights = _weights(model, kind, tied)
    network.load_state_dict(weights, strict=True, assign=True)
    network.tie_weights()
    network._keys_to_ignore_on_save = None  # of Marian: positions, which are ours
    longest = least(trained.recipe["data"]["limits"]["max_source_length"], model.longest_source)
    generation, lost = generation_settings(trained.recipe["search"], spec, (), longest, model.longest_target or _POSITIONS)
    network.generation_config = transformers.GenerationConfig(**generation)
    lost += _lost(trained, model, text, kind)
    with without_progress():
        network.eval().save_pretrained(folder)
    _write_tokenizer(folder, text, vocabulary)
    (folder / "README.md").write_text(model_card(trained, lost, None), encoding="utf-8")
    return lost


_CLASSES = {"Marian": "MarianMTModel", "Bart": "BartForConditionalGeneration", "Pegasus": "PegasusForConditionalGeneration"}


def _kind(settings: TransformerConfig) -> str:
    if settings.norm_position == "pre":
        return "Pegasus"
    return "Bart" if settings.positions == "learned" else "Marian"


def _checked(trained: TrainedModel, model: Transformer) -> tuple[TextFeature, SubwordVocabulary]:
    settings = model.settings
    for name, wanted, reason in _REQUIRED:
        found = getattr(settings, name)
        if found != wanted:
            shown = "null" if wanted is None else str(wanted).lower()
            raise ExportError(f"`model.{name}` must be {shown} for `--format hf`, but is {str(found).lower()}: {reason}.")
    if settings.positions not in ("sinusoidal", "learned"):
        raise ExportError(
            f"`model.positions` must be sinusoidal or learned for `--format hf`, but is {settings.positions}: no"
            " architecture of transformers"
            " that is otherwise equal has others."
        )
    if settings.key_value_heads not in (None, settings.heads):
        raise ExportError(
            f"`model.key_value_heads` must be `heads` ({settings.heads}) for `--format hf`, but is {settings.key_value_heads}."
        )
    if settings.norm_epsilon not in (None, 1e-5):
        raise ExportError(
            f"`model.norm_epsilon` must be 1e-05 for `--format hf`, but is {settings.norm_epsilon:g}: see what that changes with"
            " `antiphon evaluate RUN --set model.norm_epsilon=1e-5`, and export with the same `--set`."
        )
    if not (isinstance(model.source, TokenSpec) and isinstance(model.target, TokenSpec) and model.source.has_symbols_of(model.target)):
        raise ExportError("`--format hf` writes Transformers that read and write texts with one `task.vocabulary`, but there are two.")
    head = settings.head
    if model.source.factors or (head is not None and head.name != "categorical"):
        what = f"`model.head: {head.name}`" if head is not None and not model.source.factors else "`task.source_factors`"
        raise ExportError(f"{what} must be left out for `--format hf`: no architecture of transformers that is otherwise equal has it.")
    text = trained.task.features[0]
    if not (isinstance(text, TextFeature) and isinstance(text.vocabulary, SubwordVocabulary)):
        raise ExportError("`--format hf` writes Transformers with a vocabulary of subwords (`task.vocabulary.kind` unigram or bpe).")
    return text, text.vocabulary


def _config(settings: TransformerConfig, spec: TokenSpec) -> dict[str, Any]:
    inside = settings.feed_forward_dim
    return {
        "vocab_size": spec.size,
        "d_model": settings.dim,
        "encoder_layers": settings.encoder_layers,
        "decoder_layers": settings.decoder_layers,
        "encoder_attention_heads": settings.heads,
        "decoder_attention_heads": settings.heads,
        "encoder_ffn_dim": inside,
        "decoder_ffn_dim": settings.decoder_feed_forward_dim or inside,
        "activation_function": settings.activation,
        "max_position_embeddings": settings.max_positions if settings.positions == "learned" else _POSITIONS,
        "scale_embedding": settings.scale_embeddings,
        "dropout": settings.dropout,
        "attention_dropout": settings.attention_dropout,
        "activation_dropout": settings.activation_dropout,
        "pad_token_id": spec.pad,
        "bos_token_id": spec.start,
        "eos_token_id": spec.end,
        "decoder_start_token_id": spec.start,
        "forced_eos_token_id": None,
    }


def _weights(model: Transformer, kind: str, tied: bool) -> dict[str, Tensor]:
    ours = {name: tensor.detach().float() for name, tensor in model.state_dict().items()}
    settings, found = model.settings, dict[str, Tensor]()

    def put(theirs: str, name: str) -> None:
        """Store a linear layer or a norm; a bias that ours lacks becomes zeros."""
        weight = ours[f"{name}.weight"]
        found[f"{theirs}.weight"], found[f"{theirs}.bias"] = weight, ours.get(f"{name}.bias", weight.new_zeros(len(weight)))

    def split(theirs: str, parts: str, name: str) -> None:
        weight = ours[f"{name}.weight"]
        bias = ours.get(f"{name}.bias", weight.new_zeros(len(weight)))
        for part, one, other in zip(parts, weight.chunk(len(parts)), bias.chunk(len(parts)), strict=True):
            found[f"{theirs}.{part}_proj.weight"], found[f"{theirs}.{part}_proj.bias"] = one.contiguous(), other.contiguous()

    for side, depth in (("encoder", settings.encoder_layers), ("decoder", settings.decoder_layers)):
        for layer in range(depth):
            theirs, name = f"model.{side}.layers.{layer}", f"{side}.{layer}"
            split(f"{theirs}.self_attn", "qkv", f"{name}.attention.query_key_value")
            put(f"{theirs}.self_attn.out_proj", f"{name}.attention.out")
            put(f"{theirs}.self_attn_layer_norm", f"{name}.attention_residual.norm")
            if side == "decoder":
                split(f"{theirs}.encoder_attn", "q", f"{name}.cross.query")
                split(f"{theirs}.encoder_attn", "kv", f"{name}.cross.key_value")
                put(f"{theirs}.encoder_attn.out_proj", f"{name}.cross.out")
                put(f"{theirs}.encoder_attn_layer_norm", f"{name}.cross_residual.norm")
            put(f"{theirs}.fc1", f"{name}.feed_forward.expand")
            put(f"{theirs}.fc2", f"{name}.feed_forward.contract")
            put(f"{theirs}.final_layer_norm", f"{name}.feed_forward_residual.norm")
        positioned = "source_positioned" if side == "encoder" else "target_positioned"
        found[f"model.{side}.embed_positions.weight"] = _positions(ours, settings, positioned, kind)
        if kind == "Bart":
            put(f"model.{side}.layernorm_embedding", f"{positioned}.norm")
        if kind == "Pegasus":
            put(f"model.{side}.layer_norm", f"{side}_norm")
    return found | _symbols(model, ours, tied)


def _positions(ours: dict[str, Tensor], settings: TransformerConfig, positioned: str, kind: str) -> Tensor:
    if settings.positions == "sinusoidal":
        return sinusoids(torch.arange(_POSITIONS), settings.dim)
    table = ours[f"{positioned}.table.weight"]
    return torch.cat([table.new_zeros(_OFFSET, settings.dim), table]) if kind == "Bart" else table


def _symbols(model: Transformer, ours: dict[str, Tensor], tied: bool) -> dict[str, Tensor]:
    """Embeddings and output layer; where our decoder begins with zeros, the start symbol's row becomes 0, and the symbol is never
    output."""
    assert isinstance(model.target, TokenSpec), "checked"
    source = ours["source_positioned.frontend.embedding.weight"]
    target = ours["target_positioned.frontend.embedding.weight"].clone()
    head = ours["head.weight"]
    bias = ours.get("head.bias", head.new_zeros(len(head))).clone()
    if model.settings.start_embedding == "zeros":
        target[model.target.start] = 0
        bias[model.target.start] = NEVER if tied else bias[model.target.start]
    source, head = (target, target) if tied else (source, head)
    shared = source if tied else source.clone()  # a tensor of two names would be written once
    names = {"model.shared": shared, "model.encoder.embed_tokens": source, "model.decoder.embed_tokens": target, "lm_head": head}
    return {f"{name}.weight": tensor for name, tensor in names.items()} | {"final_logits_bias": bias[None]}


def _lost(trained: TrainedModel, model: Transformer, text: TextFeature, kind: str) -> list[str]:
    lost = [
        "The tokenizer leaves out blanks at the ends of a text, and reads `</s>` in one as the end (unless `split_special_tokens=True`).",
        *lost_of_texts(trained.recipe["task"], text, "the tokenizer"),
    ]
    if model.settings.positions == "sinusoidal":
        lost.append(f"Sources and outputs have at most {_POSITIONS:,} symbols.")
    if kind == "Marian":
        lost.append("`save_pretrained` of transformers leaves out positions, and makes others when it reads: copy the folder instead.")
    return lost


def _write_tokenizer(folder: Path, text: TextFeature, vocabulary: SubwordVocabulary) -> None:
    """Write a Marian tokenizer: sentencepiece models for both sides, and the number of each piece."""
    from transformers import MarianTokenizer

    (folder / "source.spm").write_bytes(model_for_sources(text, vocabulary))
    (folder / "target.spm").write_bytes(vocabulary.model_proto)
    numbers = {piece: number for number, piece in enumerate(vocabulary.pieces)}
    assert len(numbers) == vocabulary.size, "pieces differ"
    (folder / "vocab.json").write_text(json_text(numbers), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Recommended: pip install sacremoses")  # which it never asks to normalize
        tokenizer = MarianTokenizer(
            str(folder / "source.spm"),
            str(folder / "target.spm"),
            str(folder / "vocab.json"),
            pad_token=vocabulary.pieces[0],
            unk_token=vocabulary.pieces[1],
            eos_token=vocabulary.pieces[3],
            clean_up_tokenization_spaces=False,
        )
        tokenizer.save_pretrained(folder)
