"""A model taken apart into functions of tensors alone, for engines that run graphs (`engines/graphs.py` puts them together again).

    encode   values, lengths, [factors]        -> the memory with the decoder's projections, and the state before the first step
    step     last, the memory, the state       -> what is said, [weights over the source], the state behind
    frames   the memory                        -> logits of each state of the memory
    decode   values, lengths, the memory       -> what is said at all steps at once; of models that take no steps

Of a decoder of attention, a step appends to a pool: `exporters/attention_step.py`.

A memory and a state are trees of tensors; here they are lists, in the order in which `map_tensors` meets them. Rows of hypotheses have two
dimensions, (B, W, ...), so that a graph has no row count that must be a product. A head leaves out what needs no weights
(`heads/parts.py`): a distribution is its parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor, nn

from antiphon.contracts.engine import Facts
from antiphon.contracts.model import Seq2SeqModel, StepwiseModel
from antiphon.contracts.sequences import Memory, Output, Padded, map_tensors
from antiphon.contracts.specs import Spec, TokenSpec
from antiphon.exporters.attention_step import AttentionStep, EncodeForStep, attention_decoder, sizes_of
from antiphon.heads.parts import raw_of
from antiphon.layers.channelwise import ChannelRows
from antiphon.layers.transformer_decoder import TransformerDecoder

BATCH, BEAM, STEPS = 3, 2, 7  # sizes of examples; no two alike, none is 1
_SLOTS = 5  # of the pool of an example
_SOURCE = ("values", "lengths", "factors")


@dataclass(frozen=True)
class Graph:
    """One function: a module of tensors in and out, an example of its inputs, their names, and which dimensions may be of any size."""

    module: nn.Module
    example: tuple[Tensor, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    dynamic: tuple[dict[int, str], ...]
    """For each input: axis -> the name of its size, such as `batch`."""


def flat(tree: Any) -> list[Tensor]:
    """The tensors of a tree, in order."""
    found: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    map_tensors(keep, tree)
    return found


def per_source(tensor: Tensor, sources: int) -> Tensor:
    """Rows of (source, channel), of a model that reads channels by themselves, as (B, C, ...); any other tensor as it is."""
    channels = len(tensor) // sources
    return tensor if channels == 1 else tensor.unflatten(0, (sources, channels))


def like(tree: Any, tensors: Sequence[Tensor]) -> Any:
    """The tree with other tensors."""
    left = iter(tensors)
    return map_tensors(lambda _: next(left), tree)


def facts_of(model: Seq2SeqModel) -> Facts:
    """What the model says of itself, to be said by an engine's model."""
    with torch.inference_mode():
        frames = model.frames(model.encode(example_source(model.source))) is not None
    decoder = attention_decoder(model)
    return Facts(
        stepwise=isinstance(model, StepwiseModel),
        frames=frames,
        stride=model.stride,
        longest_source=model.longest_source,
        longest_target=model.longest_target,
        wait_k=model.wait_k,
        gives_attention=model.gives_attention,
        copies=model.copies,
        pool=None if decoder is None else sizes_of(decoder),
    )


def example_source(spec: Spec, batch: int = BATCH, steps: int = 23) -> Padded:
    """A source of several lengths that such a model can read."""
    draw = torch.Generator().manual_seed(1)
    lengths = torch.tensor([steps - row for row in range(batch)])
    if isinstance(spec, TokenSpec):
        values = torch.randint(spec.size, (batch, steps), generator=draw)
        factors = [torch.randint(factor.size, (batch, steps), generator=draw) for factor in spec.factors]
        return Padded(values, lengths, torch.stack(factors, dim=-1) if factors else None)
    return Padded(torch.randn(batch, spec.length or steps, spec.width, generator=draw), lengths)


@final
class Encode(nn.Module):
    """A source to the memory with projections, and the state before the first step for one hypothesis per source."""

    def __init__(self, model: Seq2SeqModel, max_length: int):
        super().__init__()
        self.model, self.max_length = model, max_length

    def forward(self, values: Tensor, lengths: Tensor, factors: Tensor | None = None) -> tuple[Tensor, ...]:
        """(states, mask, ...)."""
        memory, state = self.trees(Padded(values, lengths, factors))
        return tuple(per_source(tensor, len(lengths)) for tensor in (*flat(memory), *flat(state)))

    def trees(self, source: Padded) -> tuple[Memory, Any]:
        """The same as trees: what stays of the memory, and the state."""
        memory = self.model.encode(source)
        if not isinstance(self.model, StepwiseModel):
            return memory, None
        memory = self.model.project(memory)
        return replace(memory, final=None), self.model.init_state(memory, 1, self.max_length)


@final
class Step(nn.Module):
    """One step of all hypotheses: (B, W) symbols or (B, W, C) values."""

    def __init__(self, model: StepwiseModel, memory: Memory, state: Any):
        super().__init__()
        self.model, self.memory, self.state, self.kept = model, memory, state, len(flat(memory))
        self.channels = [len(tensor) // len(memory.mask) for tensor in (*flat(memory), *flat(state))]

    def forward(self, last: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """(said (B, W, ...), [attention (B, W, S)], the state (B, W, ...))."""
        beams = last.shape[:2]
        read, rows = self.channels[: self.kept], self.channels[self.kept :]
        memory = like(self.memory, [_joined(tensor, channels) for tensor, channels in zip(tensors[: self.kept], read, strict=True)])
        joined = [
            tensor.flatten(0, 1) if channels == 1 else tensor.transpose(1, 2).flatten(0, 2)
            for tensor, channels in zip(tensors[self.kept :], rows, strict=True)
        ]
        state = like(self.state, joined)
        if isinstance(state, ChannelRows):
            state = replace(state, width=beams[1])
        output, after = self.model.step(last.flatten(0, 1), memory, state, attention=self.model.gives_attention)
        behind = [
            tensor.unflatten(0, beams) if channels == 1 else tensor.unflatten(0, (beams[0], channels, beams[1])).transpose(1, 2)
            for tensor, channels in zip(flat(after), rows, strict=True)
        ]
        return *(tensor.unflatten(0, beams) for tensor in _said(output, self.model)), *behind


def _joined(tensor: Tensor, channels: int) -> Tensor:
    return tensor if channels == 1 else tensor.flatten(0, 1)


@final
class FramesOf(nn.Module):
    """What is said of each state of the memory."""

    def __init__(self, model: Seq2SeqModel, memory: Memory):
        super().__init__()
        self.model, self.memory = model, memory

    def forward(self, *tensors: Tensor) -> Tensor:
        """Logits (B, S, V)."""
        frames = self.model.frames(like(self.memory, tensors))
        assert frames is not None, "asked only of models that say something of frames"
        return frames.logits


@final
class Decode(nn.Module):
    """All steps at once."""

    def __init__(self, model: Seq2SeqModel, memory: Memory):
        super().__init__()
        self.model, self.memory = model, memory

    def forward(self, values: Tensor, lengths: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """(said (B, T, ...), [attention (B, T, S)])."""
        output = self.model.decode(Padded(values, lengths), like(self.memory, tensors), attention=self.model.gives_attention)
        return _said(output, self.model)


def _said(output: Output, model: Seq2SeqModel) -> tuple[Tensor, ...]:
    raw = raw_of(output)
    return (raw, output.attention) if model.gives_attention and output.attention is not None else (raw,)


def graphs_of(model: Seq2SeqModel, max_length: int = 0) -> dict[str, Graph]:
    """The functions of a model in evaluation mode. `max_length` is for states that have room for so many steps."""
    source = example_source(model.source)
    decoder = attention_decoder(model)
    if isinstance(model, StepwiseModel) and decoder is not None:
        return _appending(model, decoder, source)
    encode = Encode(model, max_length)
    with torch.inference_mode():
        memory, state = encode.trees(source)
    memory, state = map_tensors(torch.clone, memory), map_tensors(torch.clone, state)
    read, rows = ([per_source(tensor, BATCH) for tensor in flat(tree)] for tree in (memory, state))
    memory_names = tuple(f"memory_{number}" for number in range(len(read)))
    state_names = tuple(f"state_{number}" for number in range(len(rows)))
    shapes = [dict(_sizes(tensor, memory.states.shape[1])) for tensor in read]
    given, dynamic = _given(model.source, source)
    found = {"encode": Graph(encode, given, _SOURCE[: len(given)], (*memory_names, *state_names), dynamic)}
    weights = ("attention",) if model.gives_attention else ()
    if isinstance(model, StepwiseModel):
        rows = [tensor.unsqueeze(1).expand(-1, BEAM, *tensor.shape[1:]).clone() for tensor in rows]
        last = _elements(model.target, BEAM)
        found["step"] = Graph(
            Step(model, memory, state),
            (last, *read, *rows),
            ("last", *memory_names, *state_names),
            ("said", *weights, *state_names),
            ({0: "batch", 1: "beam"}, *shapes, *({0: "batch", 1: "beam"} for _ in rows)),
        )
    else:
        found["decode"] = Graph(
            Decode(model, memory),
            (_elements(model.target, STEPS), torch.full((BATCH,), STEPS), *read),
            ("values", "lengths", *memory_names),
            ("said", *weights),
            ({0: "batch", 1: "target"}, {0: "batch"}, *shapes),
        )
    if facts_of(model).frames:
        found["frames"] = Graph(FramesOf(model, memory), tuple(read), memory_names, ("said",), tuple(shapes))
    return found


def _given(spec: Spec, source: Padded) -> tuple[tuple[Tensor, ...], tuple[dict[int, str], ...]]:
    """What a source is made of, and which of its sizes may be any."""
    given = (source.values, source.lengths) if source.factors is None else (source.values, source.lengths, source.factors)
    length = {} if not isinstance(spec, TokenSpec) and spec.length else {1: "source"}
    return given, ({0: "batch", **length}, {0: "batch"}, {0: "batch", **length})[: len(given)]


def _appending(model: StepwiseModel, decoder: TransformerDecoder, source: Padded) -> dict[str, Graph]:
    """The functions of a model whose step appends to a pool, of which the example has some slots."""
    encode = EncodeForStep(model, decoder)
    given, dynamic = _given(model.source, source)
    with torch.inference_mode():
        memory = encode(*given)
    memory = tuple(tensor.clone() for tensor in memory)
    names = tuple(f"memory_{number}" for number in range(len(memory)))
    shapes = [dict(_sizes(tensor, memory[1].shape[1])) for tensor in memory]
    layers, groups, width = sizes_of(decoder)
    pool = [torch.randn(BATCH, groups, *size) for _ in range(layers) for size in ((width, _SLOTS), (_SLOTS, width))]
    pool_names = tuple(f"{kind}_{layer}" for layer in range(layers) for kind in ("keys", "values"))
    read = slice(1, None) if decoder.crosses else slice(0)
    weights = ("attention",) if model.gives_attention else ()
    step = Graph(
        AttentionStep(model, decoder).eval(),
        (
            _elements(model.target, BEAM),
            torch.tensor([_SLOTS]),
            torch.arange(_SLOTS).expand(BATCH, -1).contiguous(),
            torch.zeros(BATCH, 1, BEAM, _SLOTS),
            *pool,
            *memory[read],
        ),
        ("last", "position", "places", "visible", *pool_names, *names[read]),
        ("said", *weights, *(f"new_{name}" for name in pool_names)),
        (
            {0: "batch", 1: "beam"},
            {},
            {0: "batch", 1: "pool"},
            {0: "batch", 2: "beam", 3: "pool"},
            *({0: "batch", 3 if name.startswith("keys") else 2: "pool"} for name in pool_names),
            *shapes[read],
        ),
    )
    found = {"encode": Graph(encode, given, _SOURCE[: len(given)], names, dynamic), "step": step}
    if facts_of(model).frames:
        states = Memory(memory[0], memory[1])
        found["frames"] = Graph(FramesOf(model, states), memory[:2], names[:2], ("said",), tuple(shapes[:2]))
    return found


def _sizes(tensor: Tensor, states: int) -> list[tuple[int, str]]:
    """The batch, and any dimension that is as long as the memory."""
    return [(0, "batch"), *((axis, "states") for axis in range(1, tensor.ndim) if tensor.shape[axis] == states)]


def _elements(spec: Spec, steps: int) -> Tensor:
    draw = torch.Generator().manual_seed(2)
    if isinstance(spec, TokenSpec):
        return torch.randint(spec.size, (BATCH, steps), generator=draw)
    return torch.randn(BATCH, steps, spec.width, generator=draw)
