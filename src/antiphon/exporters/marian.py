"""Exports Transformers that Marian can represent (`marian_checks.py`) for Marian, and for Bergamot, its engine for browsers.

    model.bin   single precision, or 8 bits with ranges measured on validation sources
    model.npz   single precision, for Marian's own programs (not with 8 bits)
    vocab.spm   the sentencepiece vocabulary of both sides, with the normalization of sources in it
    config.yml  how to decode: what our search does
    README.md   how to use it

In single precision Marian says what we say. In 8 bits it does not: one rounding here or there, and everything behind is another number. So
the files of 8 bits are read back by our own importer, and how often the model then finds another symbol likeliest is counted.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from antiphon.contracts.configuration import plain
from antiphon.contracts.registry import find
from antiphon.contracts.sequences import Batch
from antiphon.contracts.task import Task
from antiphon.data.collate import collate
from antiphon.errors import ExportError
from antiphon.exporters.interface import ExportPlugin, TrainedModel
from antiphon.exporters.marian_checks import checked
from antiphon.exporters.marian_file import write_binary, write_npz
from antiphon.exporters.marian_ranges import alphas, rounding, said
from antiphon.exporters.marian_weights import MarianWeights
from antiphon.exporters.sentencepiece_texts import lost_of_texts, model_for_sources
from antiphon.importers import marian as importer
from antiphon.layers.transformer_config import TransformerConfig, aligning_layer
from antiphon.models.transformer import Transformer

_ROWS = 8  # in 8 bits the rows of the embedding are a multiple of this
_SENTENCES = 200  # more change the ranges no longer
_LENGTH_PENALTY = {"none": 0.0, "average": 1.0}
# What of a search stands in config.yml, or is said of limits below.
_EXPRESSED = {"name", "beam_size", "length_penalty", "alpha", "limits.max_ratio", "limits.max_offset"}


def export(trained: TrainedModel, folder: Path) -> Sequence[str]:
    """Write the folder; returns how Marian's outputs will differ.

    Raises ExportError when Marian's Transformer is another one, or 8 bits cannot be had.
    """
    model, text, vocabulary = checked(trained)
    small = trained.precision == "int8"
    weights = MarianWeights(dict(model.named_parameters(remove_duplicate=False)), model.settings)
    weights.add_symbols(vocabulary.model_numbers, text.spec, _ROWS if small else 1)
    settings = _settings(model.settings, len(weights.arrays["Wemb"]))
    (folder / "vocab.spm").write_bytes(model_for_sources(text, vocabulary))
    lost = [
        *lost_of_texts(trained.recipe["task"], text, "Marian"),
        *_lost_of_search(trained.recipe["search"]),
        *_lost_of_norms(model.settings),
    ]
    if small:
        batches = _examples(trained)
        factors = alphas(model, set(weights.inputs.values()), batches)
        write_binary(folder / "model.bin", weights.arrays, settings, {name: factors[ours] for name, ours in weights.inputs.items()})
        lost.append(_agreement(model, batches, factors, folder))
    else:
        write_binary(folder / "model.bin", weights.arrays, settings)
        write_npz(folder / "model.npz", weights.arrays, settings)
    (folder / "config.yml").write_text(_config(trained.recipe["search"], small), encoding="utf-8")
    (folder / "README.md").write_text(_card(trained, lost), encoding="utf-8")
    return lost


def _settings(ours: TransformerConfig, rows: int) -> dict[str, Any]:
    """The settings as Marian's training writes them: an engine silently uses its own defaults for missing ones."""
    return {
        "type": "transformer",
        "dim-emb": ours.dim,
        "dim-vocabs": [rows, rows],
        "enc-depth": ours.encoder_layers,
        "dec-depth": ours.decoder_layers,
        "transformer-heads": ours.heads,
        "transformer-dim-ffn": ours.feed_forward_dim,
        "transformer-decoder-dim-ffn": ours.decoder_feed_forward_dim or ours.feed_forward_dim,
        "transformer-ffn-depth": 2,
        "transformer-decoder-ffn-depth": 2,
        "transformer-ffn-activation": {"relu": "relu", "silu": "swish"}[ours.activation],
        "transformer-decoder-autoreg": {"ssru": "rnn", "attention": "self-attention"}[ours.decoder],
        "dec-cell": "ssru",
        "dec-cell-base-depth": 2,
        "dec-cell-high-depth": 1,
        "transformer-guided-alignment-layer": str(aligning_layer(ours) + 1),
        "transformer-preprocess": "",
        "transformer-postprocess": "dan",
        "transformer-postprocess-emb": "d",
        "transformer-postprocess-top": "",
        "transformer-train-position-embeddings": False,
        "transformer-no-projection": False,
        "transformer-tied-layers": [],
        "tied-embeddings": False,
        "tied-embeddings-src": False,
        "tied-embeddings-all": True,
        "output-omit-bias": False,
        "layer-normalization": False,
        "lemma-dim-emb": 0,
        "input-types": [],
        "right-left": False,
        "skip": False,
        "ulr": False,
        "version": "v1.9.56",
    }


def _lost_of_norms(settings: TransformerConfig) -> list[str]:
    epsilon = 1e-5 if settings.norm_epsilon is None else settings.norm_epsilon
    said = f"`model.norm_epsilon: {epsilon:g}`: Marian adds 1e-9 to variances, so log-probabilities differ a little (by 1e-5 or so)."
    return [said] if epsilon > 1e-8 else []


def _lost_of_search(search: Mapping[str, Any]) -> list[str]:
    """The search settings other than the defaults that have no counterpart in Marian."""
    usual = _flat(plain(find("search", search["name"]).Config()))
    lost = [
        f"`search.{name}: {value}` has no counterpart in Marian."
        for name, value in _flat(search).items()
        if name not in _EXPRESSED and value != usual.get(name) and not (name == "processors.allow_unknown" and not value)
    ]
    if search["name"] not in ("greedy", "beam"):
        lost.append(f"`search.name: {search['name']}` has no counterpart in Marian, which says the likeliest symbols instead.")
    if search["name"] == "beam" and search["beam_size"] > 1:
        lost.append("Marian's beam becomes narrower with each hypothesis that ends, ours does not, so some outputs differ.")
    if search.get("length_penalty") == "gnmt":
        lost.append("`search.length_penalty: gnmt`: Marian divides by the length instead.")
    if search.get("processors", {}).get("allow_unknown", True):
        lost.append("The unknown symbol is never said by Marian.")
    lost.append(
        f"An output may be {_longest(search):g} times as long as the longest source beside it in Marian, so unfinished ones differ."
    )
    return lost


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, Mapping) else {f"{before}{name}": value}
    return found


def _longest(search: Mapping[str, Any]) -> float:
    return max(2.0, float(search.get("limits", {}).get("max_ratio", 2.0)))


def _config(search: Mapping[str, Any], small: bool) -> str:
    """The decoding configuration for Marian and Bergamot. Beam search needs the costs; greedy search needs none, only the most probable
    symbol."""
    beam = int(search.get("beam_size", 1)) if search["name"] == "beam" else 1
    kind, alpha = search.get("length_penalty", "average"), search.get("alpha")
    settings = {
        "relative-paths": "true",
        "models": "[model.bin]",
        "vocabs": "[vocab.spm, vocab.spm]",
        "beam-size": beam,
        "normalize": _LENGTH_PENALTY.get(kind, 0.6 if alpha is None else alpha) if kind != "gnmt" else 1.0,
        "word-penalty": 0,
        "skip-cost": "true" if beam == 1 else "false",
        "gemm-precision": "int8shiftAlphaAll" if small else "float32",
        "max-length-break": 128,
        "max-length-factor": _longest(search),
        "mini-batch-words": 1024,
        "workspace": 128,
    }
    return "".join(f"{name}: {value}\n" for name, value in settings.items())


def _examples(trained: TrainedModel) -> list[Batch]:
    """Validation records as batches of one. Raises ExportError when there are none."""
    task: Task = trained.task
    records = list(trained.samples())[:_SENTENCES]
    if not records:
        raise ExportError(
            "`--precision int8` measures how large activations become on validation records, and the run has none: add"
            " `--set data.validation=FILE`."
        )
    encoded = [task.encode(record) for record in records]
    return [collate([example], task.source_spec, task.target_spec) for example in encoded]


def _agreement(model: Transformer, batches: Sequence[Batch], factors: Mapping[str, float], folder: Path) -> str:
    """How often the most probable symbol of the 8-bit model, read back from its file, is the same, in one sentence."""
    before = said(model, batches, {})
    own = model.state_dict()
    model.load_state_dict({name: tensor for name, tensor in importer.read(folder).weights.items() if name in own})
    after = said(model, batches, rounding(factors))
    same = sum(int((one == other).sum()) for one, other in zip(before, after, strict=True))
    whole = sum(one.numel() for one in before)
    return (
        f"8 bits: behind the reference's symbols, the likeliest next one is the same as in single precision in {same / whole:.1%} of"
        f" {whole:,} steps ({len(batches):,} validation records). Whole outputs differ more often: compare their quality."
    )


def _card(trained: TrainedModel, lost: Sequence[str]) -> str:
    differences = "\n".join(f"* {sentence}" for sentence in lost)
    return f"""\
# {trained.name}

A translation model for [Marian](https://marian-nmt.github.io) and Bergamot ({trained.precision}), trained with Antiphon.

* Marian: `marian-decoder -c config.yml < sources`
* Bergamot (npm package `@browsermt/bergamot-translator`): give it `model.bin` at an alignment of 256, `vocab.spm` for both sides at 64, no
  shortlist (with one, what a sentence becomes depends on its neighbours), and the settings of `config.yml`.

## What is different there

{differences}
"""


plugin = ExportPlugin(
    name="marian",
    summary="a folder for Marian and Bergamot (translation in browsers): post-norm Transformers, also with an SSRU decoder",
    export=export,
    precisions=("fp32", "int8"),
)
