"""Imports translation models of Marian and Bergamot: a `.bin` or `.npz` and its sentencepiece vocabulary become a run of our `transformer`.

    model.bin (or any name)   weights in single or half precision, or 8 bits (intgemm8); or an .npz
    vocab.spm (or any name)   one vocabulary for both sides

What fits is what Bergamot's students are: a Transformer with post-norm, sinusoids, one embedding for source, target and output layer, and a
decoder of simple recurrent units (SSRU), or of self-attention. Anything else is refused. Shortlists of words are not used.

Marian's decoder begins with an embedding of zeros. So does ours (`start_embedding: zeros`), in training, too. Where the vocabulary has no
start symbol, its row of the embedding is 0, and a bias keeps it from being said. Padding is added in the same way. Files of 8 bits may have
more rows than the vocabulary has pieces, up to a multiple of 8: those stand for nothing.
"""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from antiphon.errors import CheckpointError
from antiphon.features.model_proto import read_facts
from antiphon.features.subwords import SubwordVocabulary
from antiphon.features.text import TextFeature
from antiphon.features.text_config import TextConfig
from antiphon.importers.interface import ImportedModel, ImportPlugin
from antiphon.importers.marian_file import MarianFile
from antiphon.importers.rows import NEVER, rows_at

# What Marian's settings must say, where they say it, for the model to be one of ours. A value that is not listed is refused.
_REQUIRED: dict[str, tuple[object, ...]] = {
    "type": ("transformer",),
    "transformer-decoder-autoreg": ("rnn", "self-attention"),
    "dec-cell": ("ssru", "gru"),  # of self-attention it says nothing
    "dec-cell-base-depth": (2,),
    "transformer-preprocess": ("",),
    "transformer-postprocess": ("dan",),
    "transformer-postprocess-emb": ("d", ""),
    "transformer-postprocess-top": ("",),
    "transformer-ffn-activation": ("relu", "swish"),  # its gelu is an approximation, x * sigmoid(1.702 x), and is none of ours
    "transformer-ffn-depth": (2,),
    "transformer-decoder-ffn-depth": (0, 2),
    "transformer-train-position-embeddings": (False,),
    "transformer-no-projection": (False,),
    "transformer-no-bias": (False,),
    "transformer-no-affine": (False,),
    "transformer-rnn-projection": (False,),
    "transformer-disable-position-embeddings": (False,),
    "transformer-depth-scaling": (False, True),  # matters where weights begin, not what they do
    "transformer-tied-layers": ([],),
    "tied-embeddings-all": (True,),
    "output-omit-bias": (False,),
    "lemma-dim-emb": (0,),
    "factors-dim-emb": (0,),
    "ulr": (False,),
    "right-left": (False,),
    "input-types": ([],),
}
_ACTIVATIONS = {"relu": "relu", "swish": "silu"}
_EPSILON = 1e-9
_BLOCK = 8  # products in 8 bits want as many rows, or a multiple


def read(path: Path) -> ImportedModel:
    """Read a model: the `.bin` or `.npz`, or the folder that holds it and its vocabulary."""
    model = _model_in(path) if path.is_dir() else path
    vocabulary_file = _only(model.parent, "*.spm", "vocabulary")
    vocabulary = SubwordVocabulary.open(vocabulary_file)
    algorithm = read_facts(vocabulary_file.read_bytes()).algorithm
    if algorithm not in ("unigram", "bpe"):
        raise CheckpointError(f"{vocabulary_file} must be a sentencepiece model of kind unigram or bpe, but is one of {algorithm}s.")
    feature = TextFeature.of(TextConfig(kind="unigram" if algorithm == "unigram" else "bpe", model=vocabulary_file), vocabulary)
    file = MarianFile(model)
    settings = _settings(file)
    weights = _weights(file, settings, vocabulary)
    left = [name for name in file.arrays if name != "none"]
    if left:
        raise CheckpointError(f"{model} is no Transformer of a known kind: it also has `{left[0]}`.")
    return ImportedModel(
        recipe=_recipe(settings),
        vocabularies={"vocabulary": feature},
        weights=weights,
        files=(model, vocabulary_file),
        notes=("The columns are `source` and `target`: say what yours are called, such as `--set task.source=en --set task.target=pt`.",),
    )


def _model_in(folder: Path) -> Path:
    """The `.npz` if there is one, since it is never rounded; otherwise the `.bin`."""
    return _only(folder, "*.npz" if any(folder.glob("*.npz")) else "*.bin", "model", without="lex.")


def _only(folder: Path, pattern: str, what: str, *, without: str = "\0") -> Path:
    found = [file for file in sorted(folder.glob(pattern)) if not file.name.startswith(without)]
    if len(found) != 1:
        listed = f": {', '.join(file.name for file in found)}" if found else ""
        raise CheckpointError(f"{folder} must hold one {what} ({pattern}), but holds {len(found)}{listed}.")
    return found[0]


def _settings(file: MarianFile) -> dict[str, Any]:
    """The settings of our Transformer. Raises CheckpointError when Marian's settings do not fit it."""
    theirs = file.settings
    if theirs is None:
        raise file.reader.refuse("it has no settings of its training (special:model.yml)")
    for name, allowed in _REQUIRED.items():
        if name in theirs and theirs[name] not in allowed:
            said = " or ".join(repr(value) for value in allowed)
            raise CheckpointError(f"{file.reader.path} must have `{name}` of {said} to fit our Transformer, but has {theirs[name]!r}.")
    recurrent = theirs.get("transformer-decoder-autoreg") == "rnn"
    if recurrent and theirs.get("dec-cell") != "ssru":
        raise CheckpointError(
            f"{file.reader.path} must have `dec-cell` of 'ssru' to fit our Transformer, but has {theirs.get('dec-cell')!r}."
        )
    try:
        sizes = {ours: int(theirs[name]) for ours, name in (("dim", "dim-emb"), ("heads", "transformer-heads"))}
        depths = {"encoder_layers": int(theirs["enc-depth"]), "decoder_layers": int(theirs["dec-depth"])}
        widths = {"feed_forward_dim": int(theirs["transformer-dim-ffn"])}
        inside = int(theirs.get("transformer-decoder-dim-ffn") or 0)
    except (KeyError, TypeError, ValueError) as error:
        raise file.reader.refuse(f"its settings lack a size ({error})") from error
    return {
        "name": "transformer",
        **sizes,
        "alignment_heads": 1,  # the first, which Marian looks at and teaches (`transformer.h`)
        "alignment_layer": _aligning(file, depths["decoder_layers"]),
        **depths,
        **widths,
        "decoder_feed_forward_dim": inside or None,
        "decoder": "ssru" if recurrent else "attention",
        "activation": _ACTIVATIONS[theirs.get("transformer-ffn-activation", "swish")],
        "norm_position": "post",
        "norm_epsilon": _EPSILON,
        "dropout": 0.0,  # these models are small and were distilled without it: 0.1 lifts their loss from 1.0 to 9.5
        "tied_embeddings": "all",
        "start_embedding": "zeros",
        "head": {"name": "categorical", "bias": True},
    }


def _aligning(file: MarianFile, layers: int) -> int:
    """The layer that was trained with guided alignment: a number from 1 on, or the last."""
    said = (file.settings or {}).get("transformer-guided-alignment-layer", "last")
    if said == "last":
        return layers
    try:
        found = int(said)
    except (TypeError, ValueError):
        found = 0
    if not 1 <= found <= layers:
        raise CheckpointError(
            f"{file.reader.path} must have `transformer-guided-alignment-layer` of 'last' or a number from 1 to {layers}, but has {said!r}."
        )
    return found


def _weights(file: MarianFile, settings: dict[str, Any], vocabulary: SubwordVocabulary) -> dict[str, Tensor]:
    dim, inside = settings["dim"], settings["feed_forward_dim"]
    weights: dict[str, Tensor] = {}
    for layer in range(settings["encoder_layers"]):
        theirs, ours = f"encoder_l{layer + 1}", f"encoder.{layer}"
        weights |= _attention(file, f"{theirs}_self", f"{ours}.attention", dim)
        weights |= _norm(file, f"{theirs}_self_Wo", f"{ours}.attention_residual", dim)
        weights |= _feed_forward(file, theirs, ours, dim, inside)
    for layer in range(settings["decoder_layers"]):
        theirs, ours = f"decoder_l{layer + 1}", f"decoder.{layer}"
        if settings["decoder"] == "ssru":
            weights |= _recurrence(file, f"{theirs}_rnn", f"{ours}.recurrence", dim)
            weights |= _norm(file, f"{theirs}_rnn_ffn", f"{ours}.attention_residual", dim)
        else:
            weights |= _attention(file, f"{theirs}_self", f"{ours}.attention", dim)
            weights |= _norm(file, f"{theirs}_self_Wo", f"{ours}.attention_residual", dim)
        weights |= _linear(file, f"{theirs}_context", "q", f"{ours}.cross.query", dim)
        weights |= _linear(file, f"{theirs}_context", "kv", f"{ours}.cross.key_value", dim)
        weights |= _linear(file, f"{theirs}_context", "o", f"{ours}.cross.out", dim)
        weights |= _norm(file, f"{theirs}_context_Wo", f"{ours}.cross_residual", dim)
        weights |= _feed_forward(file, theirs, ours, dim, settings["decoder_feed_forward_dim"] or inside)
    embedding = file.taken("Wemb", None, dim)
    places = vocabulary.model_numbers
    pieces = int(places.max()) + 1
    if len(embedding) not in (pieces, pieces + -pieces % _BLOCK):
        raise CheckpointError(f"The vocabulary must have {len(embedding):,} pieces, as the model has, but has {pieces:,}.")
    table = rows_at(places, embedding)
    bias = rows_at(places, file.taken("decoder_ff_logit_out_b", 1, len(embedding)).reshape(-1), NEVER)
    names = ("source_positioned.frontend.embedding.weight", "target_positioned.frontend.embedding.weight", "head.weight")
    return weights | dict.fromkeys(names, table) | {"head.bias": bias}


def _linear(file: MarianFile, theirs: str, parts: str, ours: str, dim: int) -> dict[str, Tensor]:
    """One of our matrices from one or several of Marian's, which multiply rows from the left."""
    kernels = [file.taken(f"{theirs}_W{part}", dim, dim).T for part in parts]
    biases = [file.taken(f"{theirs}_b{part}", 1, dim).reshape(-1) for part in parts]
    return {f"{ours}.weight": torch.cat(kernels).contiguous(), f"{ours}.bias": torch.cat(biases)}


def _attention(file: MarianFile, theirs: str, ours: str, dim: int) -> dict[str, Tensor]:
    return _linear(file, theirs, "qkv", f"{ours}.query_key_value", dim) | _linear(file, theirs, "o", f"{ours}.out", dim)


def _recurrence(file: MarianFile, theirs: str, ours: str, dim: int) -> dict[str, Tensor]:
    gate, candidate = file.taken(f"{theirs}_Wf", dim, dim), file.taken(f"{theirs}_W", dim, dim)
    bias: Float[Tensor, " D"] = file.taken(f"{theirs}_bf", 1, dim).reshape(-1)
    return {f"{ours}.gate_candidate.weight": torch.cat([gate.T, candidate.T]).contiguous(), f"{ours}.gate_bias": bias}


def _feed_forward(file: MarianFile, theirs: str, ours: str, dim: int, inside: int) -> dict[str, Tensor]:
    weights = _norm(file, f"{theirs}_ffn_ffn", f"{ours}.feed_forward_residual", dim)
    for number, name, before, behind in ((1, "expand", dim, inside), (2, "contract", inside, dim)):
        weights[f"{ours}.feed_forward.{name}.weight"] = file.taken(f"{theirs}_ffn_W{number}", before, behind).T.contiguous()
        weights[f"{ours}.feed_forward.{name}.bias"] = file.taken(f"{theirs}_ffn_b{number}", 1, behind).reshape(-1)
    return weights


def _norm(file: MarianFile, theirs: str, ours: str, dim: int) -> dict[str, Tensor]:
    scale, bias = file.taken(f"{theirs}_ln_scale", 1, dim), file.taken(f"{theirs}_ln_bias", 1, dim)
    return {f"{ours}.norm.weight": scale.reshape(-1), f"{ours}.norm.bias": bias.reshape(-1)}


def _recipe(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "task": {"name": "translation"},
        "data": {"limits": {"max_source_length": 200, "max_target_length": 200}},
        "model": settings,
        "training": {
            "max_epochs": 3,
            "batching": {"target_tokens": 4096},
            "optimizer": {"name": "adamw", "learning_rate": 2e-4},
            "best": "chrf",
        },
        "search": {"name": "greedy", "limits": {"max_ratio": 2.5}, "processors": {"allow_unknown": False}},
        "evaluation": {"metrics": ["bleu", "chrf"]},
    }


plugin = ImportPlugin(
    name="marian", summary="Transformers of Marian and Bergamot: a .bin or .npz and its sentencepiece vocabulary", read=read
)
