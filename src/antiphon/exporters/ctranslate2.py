"""Exports a Transformer or a Whisper of ours for the engine `ctranslate2`, in single precision or with 8-bit weights.

    engine/model.bin  config.json  *vocabulary.json     CTranslate2's own; symbols are numbers, those of sources with an `s` in front

It holds what computes the same. What CTranslate2 would load and compute otherwise, without a word, is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from antiphon.contracts.engine import Facts, Precision
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ExportError, MissingPackageError
from antiphon.exporters import ctranslate2_whisper, engine_folder
from antiphon.exporters.ctranslate2_rounding import write_spec
from antiphon.exporters.ctranslate2_transformer import epsilon, transformer_spec
from antiphon.exporters.graphs import facts_of
from antiphon.exporters.interface import ExportPlugin, TrainedModel
from antiphon.heads.categorical import Categorical
from antiphon.models.transformer import Transformer
from antiphon.models.whisper import Whisper

POSITIONS = 2048  # sinusoids are a table there; longer ones where the recipe's limits allow them
_REMEDY = "Use `--format onnx`."


def export(trained: TrainedModel, folder: Path) -> Sequence[str]:
    """Write the folder. Raises ExportError for what CTranslate2 does not support, MissingPackageError when it is not installed."""
    version, model = _version(), trained.model
    if isinstance(model, Whisper):
        return _whisper(trained, model, folder, version)
    if not isinstance(model, Transformer):
        raise ExportError(
            f"`--format ctranslate2` holds `model.name: transformer` and `whisper`, but {trained.name} is a `{trained.architecture}`."
            f" {_REMEDY}"
        )
    check(model)
    facts, longest = facts_of(model), positions(trained.recipe)
    if model.settings.positions == "sinusoidal":
        facts = replace(facts, longest_source=longest, longest_target=longest)

    def files(place: Path) -> None:
        write_transformer(model, place, longest, trained.precision)

    engine_folder.write(trained, folder, "ctranslate2", facts, files, versions={"ctranslate2": version})
    return _differences(facts) if model.settings.positions == "sinusoidal" else []


def _whisper(trained: TrainedModel, model: Whisper, folder: Path, version: str) -> Sequence[str]:
    ctranslate2_whisper.check(model)
    opening = ctranslate2_whisper.opening_of(trained.task)
    facts = replace(facts_of(model), gives_attention=False, pool=None)

    def files(place: Path) -> None:
        ctranslate2_whisper.write_whisper(model, place, opening, trained.precision)

    details = {"model": "whisper", "opening": list(opening)}
    engine_folder.write(trained, folder, "ctranslate2", facts, files, versions={"ctranslate2": version}, details=details)
    return ["CTranslate2 does not say where a Whisper listens: no alignments, and no times of words by attention."]


def check(model: Transformer) -> None:
    """Raise ExportError for a model that CTranslate2 would compute differently."""
    settings, refused = model.settings, {}
    if not isinstance(model.source, TokenSpec) or not isinstance(model.target, TokenSpec):
        raise ExportError(f"`--format ctranslate2` holds models that turn symbols into symbols, but this one has values. {_REMEDY}")
    if not isinstance(model.head, Categorical):
        refused["head"] = "categorical"
    if model.source.factors:
        raise ExportError(f"`--format ctranslate2` holds no `task.source_factors`, but this model reads them. {_REMEDY}")
    if settings.decoder != "attention":
        refused["decoder"] = "attention"
    if settings.positions == "relative":
        refused["positions"] = "sinusoidal, learned or rotary"
    refused |= {name: "null" for name in ("window", "chunk_length", "wait_k", "patch_length") if getattr(settings, name) is not None}
    if settings.subsampling != 1:
        refused["subsampling"] = "1"
    if settings.ctc:
        refused["ctc"] = "false"
    for name, allowed in refused.items():
        value = settings.head.name if name == "head" and settings.head is not None else getattr(settings, name)
        raise ExportError(f"`--format ctranslate2` needs `model.{name}` to be {allowed}, but it is {value}. {_REMEDY}")


def write_transformer(model: Transformer, place: Path, longest: int, precision: Precision) -> None:
    """Write CTranslate2's files; tables of sinusoidal positions have `longest` rows."""
    assert isinstance(model.source, TokenSpec), "checked before"
    assert isinstance(model.target, TokenSpec)
    spec, target = transformer_spec(model, longest), model.target
    spec.register_source_vocabulary([f"s{number}" for number in range(model.source.size)])
    spec.register_target_vocabulary([str(number) for number in range(target.size)])
    config: Any = spec.config
    config.layer_norm_epsilon = epsilon(model.settings)
    config.add_source_bos = config.add_source_eos = False  # our sources hold what they need
    config.unk_token, config.bos_token, config.eos_token = str(target.unknown), str(target.start), str(target.end)
    config.decoder_start_token = str(target.start)
    spec.validate()
    write_spec(spec, place, precision)


def positions(recipe: Mapping[str, Any]) -> int:
    """The number of sinusoidal positions needed for the lengths that the recipe allows."""
    limits = recipe.get("data", {}).get("limits", {})
    return max(POSITIONS, *((limits.get(name) or 0) + 1 for name in ("max_source_length", "max_target_length")))


def _differences(facts: Facts) -> list[str]:
    return [
        f"CTranslate2 keeps sinusoids in a table: the exported model reads and says at most {facts.longest_source:,} symbols"
        " (`data.limits.max_source_length` and `max_target_length` of the run make it longer)."
    ]


def _version() -> str:
    try:
        import ctranslate2
    except ImportError as error:
        raise MissingPackageError("`--format ctranslate2`", "ctranslate2", "ctranslate2") from error
    return str(ctranslate2.__version__)


plugin = ExportPlugin(
    name="ctranslate2",
    summary="a folder for the engine `ctranslate2`: Transformers and Whisper in fp32, bf16 or int8, opened like a run",
    export=export,
    precisions=("fp32", "bf16", "int8"),
    engine=True,
)
