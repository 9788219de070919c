"""Exports a folder that transformers can load, with the same outputs: weights as safetensors, configuration, tokenizer, a model card.

    config.json  generation_config.json  model.safetensors  tokenizer files  README.md  preprocessor_config.json (of Whisper)

Adapters are merged into the weights, so nobody needs peft. Our own Transformer becomes an equal architecture where there is one
(`hf_transformer.py`). `generation_config.json` asks `generate` for what our search does.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from antiphon.contracts.abilities import WritesText
from antiphon.contracts.limits import least
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.errors import ExportError
from antiphon.exporters.generation import for_speech, generation_settings
from antiphon.exporters.hf_transformer import export_transformer
from antiphon.exporters.interface import ExportPlugin, TrainedModel
from antiphon.exporters.model_card import model_card
from antiphon.features.pretrained_text import PretrainedText
from antiphon.features.published import without_progress
from antiphon.models.adapters import merge
from antiphon.models.pretrained import Pretrained
from antiphon.models.pretrained_speech import extractor
from antiphon.models.transformer import Transformer


def export(trained: TrainedModel, folder: Path) -> Sequence[str]:
    """Write the folder; returns how the outputs of `generate` will differ.

    Raises ExportError when transformers has no such architecture, or the weights are not all there in full precision.
    """
    if isinstance(trained.model, Transformer):
        return export_transformer(trained, trained.model, folder)
    model, text = _checked(trained)
    from transformers import GenerationConfig

    network: Any = model.network
    if model.settings.adapter is not None:
        merge(network)
    longest = least(trained.recipe["data"]["limits"]["max_source_length"], model.longest_source)
    listens = isinstance(model.source, ValueSpec)
    settings, lost = generation_settings(trained.recipe["search"], model.target, text.opening, longest, model.longest_target)
    prefix = trained.recipe["task"].get("target_prefix")
    if prefix:
        lost.append(f"`task.target_prefix`: outputs are not made to begin with {prefix!r}, and it is not removed from them.")
    if text.by_sentencepiece:
        lost.append("`task.vocabulary`: the tokenizer of transformers reads some texts otherwise than the sentencepiece model here.")
    if listens:
        settings = for_speech(settings, text.kept, text.opening, text.languages)
        extractor(network.config.to_dict()).save_pretrained(folder)
    network.generation_config = GenerationConfig(**settings)
    with without_progress():
        network.eval().save_pretrained(folder)
    text.publish(folder)
    (folder / "README.md").write_text(model_card(trained, lost, text.languages), encoding="utf-8")
    return lost


def _checked(trained: TrainedModel) -> tuple[Pretrained, PretrainedText]:
    """The model and its tokenizer. Raises ExportError for those that the format does not support."""
    model = trained.model
    if not isinstance(model, Pretrained):
        raise ExportError(
            f"The exporter `hf` writes models of transformers (`model.name: pretrained`) and Transformers, but {trained.name} is a"
            f" `{trained.architecture}` of our own, which transformers does not know. `--format onnx` or `torch` may hold it;"
            " `antiphon list exporters` names all."
        )
    if model.settings.trust_remote_code:
        raise ExportError(f"The exporter `hf` writes models of transformers' own code, but {trained.name} runs code of its checkpoint.")
    if model.settings.adapter is not None and model.settings.adapter.base_precision != "fp32":
        raise ExportError(
            "The exporter `hf` merges an adapter into weights in full precision, but the base is kept in"
            f" {model.settings.adapter.base_precision}: add `--set model.adapter.base_precision=fp32`. Outputs then differ by the rounding."
        )
    text = trained.task.target_text if isinstance(trained.task, WritesText) else None
    if not isinstance(text, PretrainedText):
        raise ExportError(
            f"The exporter `hf` writes models whose targets are texts of a published tokenizer, but {trained.name} has another."
        )
    if len(text.opening) > 1 and isinstance(model.source, TokenSpec):
        raise ExportError(
            f"The exporter `hf` can force one symbol at the beginning of outputs, but {trained.name} needs {len(text.opening)}."
        )
    return model, text


plugin = ExportPlugin(name="hf", summary="a folder for transformers: weights, tokenizer, generation settings, model card", export=export)
