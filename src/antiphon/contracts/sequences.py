"""The data that pass between the parts, and operations on them.

Shape letters mean one thing in the whole package:

    B batch (sources)      R rows = B * W (hypotheses)     W beam width
    S source steps         T target steps                  L layers
    D model width          H heads                         K head width
    V symbols              C channels

Unusual here: **the batch comes first in every tensor**, also in the states of recurrent layers and in key-value buffers. That is what
lets `select_rows` be one function for all architectures: it repeats rows for beams, reorders beams and drops finished rows.

A memory has one row per source (B). A state has one row per hypothesis (R = B * W, the W hypotheses of a source side by side). So what
is computed from the source is never copied per beam.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from antiphon.contracts.packing import Packing, Segments, Side, pack_pairs

Tree = TypeVar("Tree")


@dataclass(frozen=True)
class Padded:
    """Sequences of different lengths in one tensor; values beyond a row's length have no meaning.

    `factors` are features that each symbol of a source has beside it, where there are any. `segments` say where a row holds several
    sequences behind one another (`packing.py`). `counts` are the lengths once more, on this processor, where `lengths` are on a device
    that would have to be waited for (`to_device`).
    """

    values: Tensor  # (B, T) symbols, or (B, T, C) channels
    lengths: Int[Tensor, " B"]
    factors: Int[Tensor, "B T K"] | None = None
    segments: Segments | None = None
    counts: np.ndarray | None = None  # (B,)

    @cached_property
    def mask(self) -> Bool[Tensor, "B T"]:
        """True where an element is real."""
        steps = torch.arange(self.values.shape[1], device=self.lengths.device)
        return steps < self.lengths.unsqueeze(1)

    @property
    def longest(self) -> int:
        """The length of the longest sequence."""
        return int((self.lengths if self.counts is None else self.counts).max())

    @cached_property
    def places(self) -> Int[Tensor, " N"]:
        """The indices of the real elements among all B * T, row after row."""
        flat = self.mask.flatten()
        found = flat.nonzero() if self.counts is None else torch.nonzero_static(flat, size=int(self.counts.sum()))
        return found.squeeze(1)

    def real(self, tensor: Shaped[Tensor, "B T ..."]) -> Shaped[Tensor, "N ..."]:
        """The values of a tensor at the real elements, row after row."""
        return tensor.flatten(0, 1).index_select(0, self.places)

    def counted(self) -> "Padded":
        """The same sequences with `counts`, if the lengths are on the CPU."""
        return self if self.lengths.device.type != "cpu" else replace(self, counts=self.lengths.numpy())

    def select_rows(self, index: Int[Tensor, " N"]) -> "Padded":
        """A selection of rows, padded to the longest of them."""
        lengths = self.lengths.index_select(0, index)
        longest = int(lengths.max())
        factors = None if self.factors is None else self.factors.index_select(0, index)[:, :longest]
        return Padded(self.values.index_select(0, index)[:, :longest], lengths, factors)

    def packed(self, side: Side) -> "Padded":
        """The same sequences, packed several to a row."""
        factors = None if self.factors is None else side.pack(self.factors)
        return Padded(side.pack(self.values), side.lengths, factors, side.segments)


@dataclass(frozen=True)
class Example:
    """One record as arrays: `source` and `target` are (S,) or (S, C); a target begins with its start element.

    `record` identifies the record in the user's data. `context` holds what is needed to turn a hypothesis into a prediction (scales of
    a series, the surface forms of copied words) and is opaque to everything but the task. `cut` says how many elements of the source
    were left out, where the recipe's limits ask for that. `weight` says how much it counts in learning.
    `links` are a word alignment: a symbol of the source, and the step of the target, its start element not counted, that says the same.
    `factors` are features that each symbol of the source has beside it.
    """

    source: np.ndarray
    target: np.ndarray | None = None
    record: int = -1
    context: Any = None
    cut: int = 0
    weight: float = 1.0
    links: np.ndarray | None = None  # (N, 2)
    factors: np.ndarray | None = None  # (S, K)


@dataclass(frozen=True)
class Batch:
    """A batch of examples. `records` holds the record numbers of the rows; `weights` their weights, if not all equal; `links` (B, N, 2) the
    word alignments, where some examples have any. A batch that is not `learned` only keeps a process in step with others that exchange
    data. `packing` says how a model reads several examples in one row; all else is the same as without."""

    source: Padded
    target: Padded | None
    records: tuple[int, ...] = ()
    weights: Float[Tensor, " B"] | None = None
    links: Padded | None = None
    learned: bool = True
    packing: Packing | None = None

    @property
    def inputs(self) -> Padded:
        """What the decoder reads under teacher forcing: the target without its last element.

        Missing values (NaN) of a target may be labels, but nothing can read them: the last observed value stands in for them, as it does
        in the start element; 0 when there is none before.
        """
        assert self.target is not None, "a batch without targets has no inputs"
        values = self.target.values[:, :-1]
        return self._but_one(carried_forward(values) if values.is_floating_point() else values)

    @property
    def labels(self) -> Padded:
        """What the decoder must predict: the target without its first element."""
        assert self.target is not None, "a batch without targets has no labels"
        return self._but_one(self.target.values[:, 1:])

    def _but_one(self, values: Tensor) -> Padded:
        """Values of the target that are all of its elements but one."""
        assert self.target is not None
        counts = self.target.counts
        return Padded(values, self.target.lengths - 1, counts=None if counts is None else counts - 1)

    def select_rows(self, index: Int[Tensor, " N"]) -> "Batch":
        """The batch of some rows, padded to the longest of them."""
        target = None if self.target is None else self.target.select_rows(index)
        weights = None if self.weights is None else self.weights.index_select(0, index)
        links = None if self.links is None else self.links.select_rows(index)
        records = tuple(self.records[row] for row in index.tolist())
        some = Batch(self.source.select_rows(index), target, records, weights, links, self.learned)
        return some if self.packing is None else some.packed()

    def packed(self) -> "Batch":
        """The batch with a packing, if it has targets."""
        if self.target is None:
            return self
        return replace(self, packing=pack_pairs(self.source.lengths, self.target.lengths - 1))

    def unlearned(self) -> "Batch":
        """Its shortest row with weight 0: something to compute with on a rank that has nothing to learn from."""
        lengths = self.source.lengths + (0 if self.target is None else self.target.lengths)
        row = self.select_rows(lengths.argmin().reshape(1))
        return replace(row, weights=torch.zeros(1), learned=False)


@dataclass(frozen=True)
class Memory:
    """The encoder's output for the decoder, one row per source.

    `final` is the encoder's last recurrent state (a tree of batch-first tensors), or None. `projections` holds what the decoder derives
    from the memory once per source, such as cross-attention keys and values; `StepwiseModel.project` fills it. `copyable` are the source's
    symbols, one for each state, for a decoder that copies. `inner` holds the states (B, S, D) of inner layers of the encoder that CTC
    learns from, too. `segments` say which states are of which pair, where a row holds several.
    """

    states: Float[Tensor, "B S D"]
    mask: Bool[Tensor, "B S"]
    final: Any = None
    projections: Any = None
    copyable: Int[Tensor, "B S"] | None = None
    inner: tuple[Tensor, ...] = ()
    segments: Segments | None = None


@dataclass(frozen=True)
class Frames:
    """The model's output for each state of the memory, without a decoder; CTC aligns these with the target.

    `head` makes logits (B, S, V) of `features`. The padding symbol, which no target holds, is the blank. `inner` holds features
    (B, S, D) of inner layers, for the same head: they are learned from, and nothing else.
    """

    features: Float[Tensor, "B S D"]
    mask: Bool[Tensor, "B S"]
    head: Callable[[Tensor], Tensor]
    inner: tuple[Tensor, ...] = ()

    @cached_property
    def logits(self) -> Float[Tensor, "B S V"]:
        """Unnormalized log-probabilities of each symbol at each state."""
        return self.head(self.features)


@dataclass(frozen=True)
class Output:
    """The output of a decoder at each step. `features` are the decoder's vectors, (B, T, D), or (R, D) from a single step.

    The head is applied on first use of `values`, so that a loss which fuses the projection with its own arithmetic can take the features
    instead. `attention` holds the weights over the memory's states, (B, T, S) or (R, S), when they were asked for and the model has them.
    `frames` is there for models that also say something of each state of the memory, and only when all steps are said at once.
    """

    features: Tensor
    head: Callable[[Tensor], Any]
    attention: Tensor | None = None
    frames: Frames | None = None

    @cached_property
    def values(self) -> Any:
        """Logits (..., V), a torch Distribution over (..., C), or quantiles, depending on the head."""
        return self.head(self.features)

    def unpacked(self, packing: Packing, source: Padded) -> "Output":
        """The output for packed rows, with a row for each pair again; `source` is as it was before packing."""
        attention = None if self.attention is None else packing.unpack_attention(self.attention, source.mask)
        return replace(self, features=packing.inputs.unpack(self.features), attention=attention)


@dataclass(frozen=True)
class Quantiles:
    """Quantiles of each channel: values (..., C, Q) for `levels` (Q,), ascending."""

    values: Any  # a tensor from a head, an array in a hypothesis
    levels: tuple[float, ...]


@dataclass(frozen=True)
class Copied:
    """The origin of a hypothesis's symbols: the probability that each was copied rather than generated, and from which place.

    `position` is the likeliest place in the source, or -1 where the source does not have the symbol.
    """

    probability: np.ndarray  # (T,)
    position: np.ndarray  # (T,)


FinishReason = Literal["end", "length", "constraint", "refused"]


@dataclass(frozen=True)
class Hypothesis:
    """A finished sequence. `elements` excludes the start and the end element: symbols (T,) or values (T, C).

    score          what the search ranked by (higher is better), after length normalization
    log_prob       the sum of `step_scores`
    step_scores    the log-probability of each element, the end symbol included when it was produced
    alignment      (T, S) attention weights over the source, or None when they were not asked for
    finish_reason  "end" (the model stopped), "length" (the limit stopped it), "constraint" (a required phrase is missing) or "refused"
                   (the input could not be used)
    quantiles      of values: (T, C, Q), or None
    samples        of values: sample paths (N, T, C), or None
    copied         of a model that copies: what was copied, and from where
    spans          (T, 2) the first state of the memory that says each symbol, and the one behind the last (CTC), or None; what a task is
                   given to decode is in elements of the source
    read           (T,) of a model that waits (wait-k): how many states of the memory had been read when each symbol was said, or None
    """

    elements: np.ndarray
    score: float
    log_prob: float
    step_scores: Sequence[float] = ()
    alignment: np.ndarray | None = None
    finish_reason: FinishReason = "end"
    quantiles: Quantiles | None = None
    samples: np.ndarray | None = None
    spans: np.ndarray | None = None
    copied: Copied | None = None
    read: np.ndarray | None = None


def one_behind_another(hypotheses: Sequence[Hypothesis]) -> Hypothesis:
    """Hypotheses for consecutive parts joined into one, which may be empty; its finish reason is that of the first part that was cut
    short."""
    elements = [one.elements for one in hypotheses]
    return Hypothesis(
        np.concatenate(elements) if elements else np.zeros(0, dtype=np.int64),
        sum((one.score for one in hypotheses), 0.0),
        sum((one.log_prob for one in hypotheses), 0.0),
        tuple(score for one in hypotheses for score in one.step_scores),
        finish_reason=next((one.finish_reason for one in hypotheses if one.finish_reason != "end"), "end"),
    )


@dataclass(frozen=True)
class Request:
    """A user's requirements for one output, in symbols: how it must begin, phrases that must or must not appear, `hot` phrases to prefer.
    The first `given` symbols are no part of the output (Whisper's language and task), so a length penalty does not count them.

    Of values: `known` (T, C + known), what the decoder reads at each step: its first row is the start element, and in all rows the
    channels that are known in advance are filled in; the others are ignored after the first row. T is the horizon.
    """

    prefix: tuple[int, ...] = ()
    required: tuple[tuple[int, ...], ...] = ()
    banned: tuple[tuple[int, ...], ...] = ()
    known: np.ndarray | None = None
    given: int = 0
    hot: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Prediction:
    """The result for a user: `value` (a text, or a forecast) with the hypothesis behind it and the alternatives."""

    value: Any
    hypothesis: Hypothesis
    alternatives: tuple["Prediction", ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The predicted text."""
        assert isinstance(self.value, str), "this prediction is no text; use `.value`"
        return self.value


def map_tensors(function: Callable[[Tensor], Tensor], tree: Tree) -> Tree:
    """Apply `function` to every tensor of nested tuples, lists, dicts and dataclasses; leave everything else as it is."""
    if isinstance(tree, Tensor):
        return function(tree)  # type: ignore[return-value]
    return _map_parts(lambda part: map_tensors(function, part), tree)


def _map_parts(function: Callable[[Any], Any], tree: Tree) -> Tree:
    """Apply `function` to the elements of a tuple, list, dict or dataclass; leave everything else as it is."""
    if is_dataclass(tree) and not isinstance(tree, type):
        return replace(tree, **{f.name: function(getattr(tree, f.name)) for f in fields(tree) if f.init})
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*map(function, tree))
    if isinstance(tree, tuple | list):
        return type(tree)(map(function, tree))
    if isinstance(tree, dict):
        return {key: function(item) for key, item in tree.items()}  # type: ignore[return-value]
    return tree


def select_rows(tree: Tree, index: Int[Tensor, " N"]) -> Tree:
    """Take rows of every tensor: repeats, reorders or drops them. Works on any state, memory or padded tensor.

    A state, or a part of one, may bring its own `select_rows`, when it knows a cheaper way to the same rows.
    """
    if isinstance(tree, Tensor):
        return tree.index_select(0, index)  # type: ignore[return-value]
    if hasattr(tree, "select_rows"):
        return tree.select_rows(index)  # type: ignore[no-any-return]
    return _map_parts(lambda part: select_rows(part, index), tree)


def reorder(tree: Tree, index: Int[Tensor, "B W"]) -> Tree:
    """Reorder rows of a state, each within its source, as `select_rows` does with `index`; the given tree may be overwritten.

    A part may bring its own `reorder`, when that is cheaper.
    """
    if isinstance(tree, Tensor):
        return tree.index_select(0, index.flatten())  # type: ignore[return-value]
    if hasattr(tree, "reorder"):
        return tree.reorder(index)  # type: ignore[no-any-return]
    if hasattr(tree, "select_rows"):
        return tree.select_rows(index.flatten())  # type: ignore[no-any-return]
    return _map_parts(lambda part: reorder(part, index), tree)


def to_device(tree: Tree, device: torch.device | str) -> Tree:
    """Move every tensor of the tree to a device. The lengths of a batch stay known on the CPU, so that nothing waits for the device to
    learn sizes."""
    if isinstance(tree, Batch) and torch.device(device).type != "cpu":
        tree = replace(tree, source=tree.source.counted(), target=None if tree.target is None else tree.target.counted())
    return map_tensors(lambda tensor: tensor.to(device, non_blocking=True), tree)


def carried_forward(values: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
    """Replace each NaN by the last number before it in its channel, or 0."""
    missing = values.isnan()
    steps = torch.arange(values.shape[1], device=values.device).view(1, -1, 1)
    latest = torch.where(missing, 0, steps).cummax(dim=1).values
    return torch.where(missing, 0.0, values).gather(1, latest)


def pad(arrays: Sequence[np.ndarray], value: float = 0) -> Padded:
    """Stack arrays of shape (T,) or (T, C), filling up to the longest with `value`.

    Integer arrays become int64, since embeddings and losses index with them; floating arrays become float32.
    """
    lengths = np.array([len(array) for array in arrays], dtype=np.int64)
    dtype = np.float32 if np.issubdtype(arrays[0].dtype, np.floating) else np.int64
    stacked = np.full((len(arrays), int(lengths.max()), *arrays[0].shape[1:]), value, dtype=dtype)
    for row, array in enumerate(arrays):
        stacked[row, : len(array)] = array
    return Padded(torch.from_numpy(stacked), torch.from_numpy(lengths))
