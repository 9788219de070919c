"""The initial weights of a new run: random, from a published checkpoint, or from an earlier run; and which of them are frozen.

Of an earlier run everything is taken that has the same name and shape. Tables of symbols (embeddings, the output layer) may have other
rows: those of pieces that both vocabularies have are taken over one by one, so a run can begin with another vocabulary or language pair.
A model of another depth takes the layers of the same number, or evenly spaced ones (Shleifer and Rush 2020).
"""

import fnmatch
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from antiphon.contracts import registry
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.specs import TokenSpec
from antiphon.contracts.task import Task
from antiphon.errors import CheckpointError, ConfigError
from antiphon.recipe.assembly import task_of
from antiphon.recipe.recipe import Recipe
from antiphon.store import checkpoint
from antiphon.store.revisions import upgraded

Side = Literal["source", "target"]


def start_weights(model: Seq2SeqModel, recipe: Recipe, task: Task, *, fresh: bool) -> list[str]:
    """Load initial weights from elsewhere, unless a resumed run has its own, and freeze parameters; returns a description of what was done.

    Raises CheckpointError when nothing of an earlier run fits, ConfigError when a pattern of `training.freeze` matches nothing.
    """
    plugin = registry.find("models", recipe.model.name)
    notes = list(plugin.start(model, recipe.model)) if fresh and plugin.start is not None else []
    if not fresh and plugin.borrow is not None:
        plugin.borrow(model, recipe.model)
    if fresh and recipe.training.init_from is not None:
        saved = checkpoint.read(checkpoint.find_checkpoint(recipe.training.init_from).resolve())
        notes += _take(model, saved, task, recipe)
    return notes + freeze(model, recipe.training.freeze)


def _take(model: Seq2SeqModel, saved: checkpoint.Checkpoint, task: Task, recipe: Recipe) -> list[str]:
    """Load those weights of a checkpoint that fit."""
    trust = recipe.trust.of_runs()
    earlier, theirs, ours = task_of(saved, trust), saved.header["model"]["name"], recipe.model.name
    (there, _), own = upgraded(saved, trust), model.own_weights()
    origins = _origins(own, there, spread=recipe.training.init_layers == "spread")
    weights = {name: there[origin] for name, origin in origins.items()}
    tables = {name: side for name, side in _tables(model).items() if name in weights and _pieces(earlier, side) != _pieces(task, side)}
    matched = {name: _take_pieces(own[name], weights[name], _pieces(earlier, side), _pieces(task, side)) for name, side in tables.items()}
    taken = {name: weights[name] for name in own if name in weights and name not in tables and own[name].shape == weights[name].shape}
    if not taken and not any(matched.values()):
        of = f" of `{theirs}` fits this model of `{ours}`" if theirs != ours else " fits this model"
        raise CheckpointError(f"Nothing in {saved.folder}{of}: no weight has the same name and shape (`training.init_from`).")
    model.load_state_dict(taken, strict=False)
    notes = [f"taken from {saved.folder}: {len(taken)} tensors"]
    if theirs != ours:
        notes.insert(0, f"`training.init_from` is a run of `{theirs}`, and `model.name` is `{ours}`: little of the one serves the other.")
    notes += [f"  {name}: the rows of {count:,} of {len(own[name]):,} pieces" for name, count in matched.items()]
    used = {**taken, **matched}
    moved = dict.fromkeys((_layer(origin), _layer(name)) for name, origin in origins.items() if name in used and name != origin)
    notes += [f"  layers: {', '.join(f'{new} from {old}' for old, new in moved)}"] if moved else []
    fresh = [name for name in own if name not in used]
    left = [name for name in there if name not in {origins[name] for name in used}]
    return notes + [f"  {what}: {_listed(names)}" for what, names in (("fresh", fresh), ("left over", left)) if names]


_LAYER = re.compile(r"(.*?)\.(\d+)\.")  # the first number in a name is that of a layer: `encoder.3.attention.query.weight`


def _origins(own: Iterable[str], there: Iterable[str], *, spread: bool) -> dict[str, str]:
    """For each weight of the model that can start from one of an earlier run: name -> name there."""
    there = set(there)
    if not spread:
        return {name: name for name in own if name in there}
    own_depths, depths = _depths(own), _depths(there)
    found = {}
    for name in own:
        layer = _LAYER.match(name)
        origin = name
        if layer is not None and layer[1] in depths:
            deepest, last = depths[layer[1]] - 1, own_depths[layer[1]] - 1
            place = round(int(layer[2]) * deepest / last) if last else 0
            origin = f"{layer[1]}.{place}.{name[layer.end() :]}"
        if origin in there:
            found[name] = origin
    return found


def _depths(names: Iterable[str]) -> dict[str, int]:
    """The number of layers in each stack, by its name."""
    layers = [match for match in map(_LAYER.match, names) if match is not None]
    return {stack: 1 + max(int(layer[2]) for layer in layers if layer[1] == stack) for stack in {layer[1] for layer in layers}}


def _layer(name: str) -> str:
    """The layer that a weight belongs to; the weight itself where it belongs to none."""
    match = _LAYER.match(name)
    return name if match is None else f"{match[1]}.{match[2]}"


def _listed(names: Sequence[str]) -> str:
    """Names of weights as a list; those of one layer are combined."""
    layers = Counter(map(_layer, names))
    return ", ".join(layer if count == 1 and layer in names else f"{layer}.* ({count})" for layer, count in layers.items())


def _tables(model: Seq2SeqModel) -> dict[str, Side]:
    """The tensors with a row for each symbol, and the side whose symbols they are."""
    found: dict[str, Side] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        side: Side = "source" if "source" in name else "target"
        spec = model.source if side == "source" else model.target
        if isinstance(module, nn.Embedding) and isinstance(spec, TokenSpec) and module.num_embeddings == spec.size:
            found[f"{name}.weight"] = side
    if isinstance(model.target, TokenSpec):
        size = model.target.size
        found |= {
            name: "target"
            for name, tensor in model.named_parameters(remove_duplicate=False)
            if name.startswith("head.") and len(tensor) == size
        }
    return found


@torch.no_grad()
def _take_pieces(own: Tensor, other: Tensor, old: Sequence[str], new: Sequence[str]) -> int:
    """Copy the rows of pieces that both vocabularies contain; returns their number."""
    places = {piece: place for place, piece in enumerate(old)}
    pairs = [(place, places[piece]) for place, piece in enumerate(new) if piece in places]
    if not pairs or own.shape[1:] != other.shape[1:] or (len(old), len(new)) != (len(other), len(own)):
        return 0
    rows, sources = torch.tensor(pairs).T
    own[rows] = other[sources].to(own)
    return len(pairs)


def _pieces(task: Task, side: Side) -> list[str]:
    """The pieces of a vocabulary by number; none for a side without symbols."""
    spec = task.source_spec if side == "source" else task.target_spec
    return task.pieces(side, np.arange(spec.size)) if isinstance(spec, TokenSpec) else []


def freeze(model: Seq2SeqModel, patterns: tuple[str, ...]) -> list[str]:
    """Freeze the parameters that match a pattern; returns a description. Raises ConfigError when a pattern matches nothing."""
    notes = []
    for pattern in patterns:
        frozen = [parameter for name, parameter in model.named_parameters() if fnmatch.fnmatch(name, pattern)]
        if not frozen:
            raise ConfigError(f"`training.freeze` must match parameters, but {pattern!r} matches none of: {_prefixes(model)}.")
        for parameter in frozen:
            parameter.requires_grad_(False)
        notes.append(f"frozen by {pattern}: {len(frozen)} tensors")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ConfigError("`training.freeze` must leave something to train, but freezes every parameter.")
    return notes


def _prefixes(model: Seq2SeqModel) -> str:
    return ", ".join(dict.fromkeys(name.split(".")[0] + ".*" for name, _ in model.named_parameters()))
