"""A model as pure functions of tensors, for engines that run graphs (`engines/graphs.py` assembles them again).

    encode   values, lengths, [factors]        -> the memory with the decoder's projections, and the state before the first step
    step     last, the memory, the state       -> what is said, [weights over the source], the state behind
    frames   the memory                        -> logits of each state of the memory
    decode   values, lengths, the memory       -> what is said at all steps at once; of models that take no steps
    say      features                          -> logits; where the head is to stand apart, so that steps say features

Of a decoder of attention, a step appends to a pool: `exporters/attention_step.py`; for ONNX Runtime, where it can, to what each row keeps:
`exporters/attention_in_place.py`. A transducer has no step, but what
`exporters/transducer_parts.py` says.

A memory and a state are trees of tensors; here they are lists, in the order in which `map_tensors` meets them. Rows of hypotheses have two
dimensions, (B, W, ...), so that a graph has no row count that must be a product. A head leaves out what needs no weights
(`heads/parts.py`): a distribution is its parameters. What a decoder looks back at grows by a step with each step
(`layers/growing_state.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor, nn

from antiphon.contracts.engine import Facts
from antiphon.contracts.model import Seq2SeqModel, StepwiseModel
from antiphon.contracts.sequences import Memory, Output, Padded, map_tensors
from antiphon.contracts.specs import Spec, TokenSpec
from antiphon.errors import ExportError
from antiphon.exporters.attention_in_place import InPlaceStep, can_write_in_place
from antiphon.exporters.attention_step import AttentionStep, EncodeForStep, attention_decoder, sizes_of
from antiphon.exporters.transducer_parts import Advance, Join
from antiphon.heads.categorical import Categorical
from antiphon.heads.parts import raw_of
from antiphon.layers.channelwise import ChannelRows
from antiphon.layers.growing_state import growing
from antiphon.layers.tensor_trees import flat, like
from antiphon.layers.transformer_decoder import TransformerDecoder
from antiphon.models.transducer import Transducer

BATCH, BEAM, PAST, STEPS, SOURCE = 3, 2, 5, 7, 23  # sizes of examples; no two alike, none is 1


@dataclass(frozen=True)
class Graph:
    """One function: a module with tensors in and out, example inputs, their names, and the dimensions that may have any size."""

    module: nn.Module
    example: tuple[Tensor, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    dynamic: tuple[dict[int, str], ...]
    """For each input: axis -> the name of its size, such as `batch`."""


_NO_GRAPHS = {
    "adapted": "its adapters stand beside it. Merge them first, with `--format merged`, and export the run that it writes.",
    "pretrained": "its network is one of transformers. Use `--format hf`, which transformers opens.",
    "chronos_bolt": "its network is one of transformers, and forecasts further ahead by reading what it said.",
}


def check_graphs(architecture: str, engine: str) -> None:
    """Raise ExportError for an architecture that cannot be exported as graphs; `engine` is the name in the message."""
    if architecture in _NO_GRAPHS:
        raise ExportError(f"A `{architecture}` model cannot be exported for {engine}: {_NO_GRAPHS[architecture]}")


def per_source(tensor: Tensor, sources: int) -> Tensor:
    """Rows of (source, channel), as in a model with independent channels, reshaped to (B, C, ...); any other tensor unchanged."""
    channels = tensor.shape[0] // sources
    if channels == 1:
        return tensor
    # A state before its first step is made, since ONNX Runtime cannot find out how many rows nothing has.
    shape = (sources, channels, *tensor.shape[1:])
    return tensor.new_zeros(shape) if 0 in shape[2:] else tensor.unflatten(0, shape[:2])


def facts_of(model: Seq2SeqModel) -> Facts:
    """The properties of a model that its exported version must have as well."""
    source = example_source(model.source, steps=min(SOURCE, model.longest_source or SOURCE))
    with torch.inference_mode():
        frames = model.frames(model.encode(source)) is not None
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
        predictor=tuple(model.predictor.begin(1).shape[1:]) if isinstance(model, Transducer) else None,
        pool=None if decoder is None else sizes_of(decoder),
    )


def example_source(spec: Spec, batch: int = BATCH, steps: int = SOURCE) -> Padded:
    """A source of several lengths that a model with this spec can read."""
    draw = torch.Generator().manual_seed(1)
    lengths = torch.tensor([max(steps - row, 1) for row in range(batch)])
    if isinstance(spec, TokenSpec):
        values = torch.randint(spec.size, (batch, steps), generator=draw)
        factors = [torch.randint(factor.size, (batch, steps), generator=draw) for factor in spec.factors]
        return Padded(values, lengths, torch.stack(factors, dim=-1) if factors else None)
    return Padded(torch.randn(batch, spec.length or steps, spec.width, generator=draw), lengths)


@final
class Encode(nn.Module):
    """Encodes a source to the memory with projections, and the state before the first step with one hypothesis per source."""

    def __init__(self, model: Seq2SeqModel):
        super().__init__()
        self.model = model

    def forward(self, values: Tensor, lengths: Tensor, factors: Tensor | None = None) -> tuple[Tensor, ...]:
        """(states, mask, ...)."""
        memory, state = self.trees(Padded(values, lengths, factors))
        return tuple(per_source(tensor, lengths.shape[0]) for tensor in (*flat(memory), *flat(state)))

    def trees(self, source: Padded) -> tuple[Memory, Any]:
        """The same as trees: the memory without its states, and the state."""
        memory = self.model.encode(source)
        if isinstance(self.model, Transducer):
            return replace(memory, final=None, projections=self.model.heard(memory)), None
        if not isinstance(self.model, StepwiseModel):
            return memory, None
        memory = self.model.project(memory)
        return replace(memory, final=None), growing(self.model.init_state(memory, 1, 0))


@final
class Step(nn.Module):
    """One step of all hypotheses: (B, W) symbols or (B, W, C) values."""

    def __init__(self, model: StepwiseModel, memory: Memory, state: Any, *, apart: bool):
        super().__init__()
        self.model, self.memory, self.state, self.kept, self.apart = model, memory, state, len(flat(memory)), apart
        self.channels = [tensor.shape[0] // memory.mask.shape[0] for tensor in (*flat(memory), *flat(state))]

    def forward(self, last: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """(output (B, W, ...), [attention (B, W, S)], the state (B, W, ...))."""
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
        if plain := isinstance(output.head, Categorical):  # before the product, since ONNX Runtime copies what is reshaped last
            output = replace(output, features=output.features.unflatten(0, beams))
        raw, *weights = _said(output, self.model, apart=self.apart)
        return raw if plain else raw.unflatten(0, beams), *(tensor.unflatten(0, beams) for tensor in weights), *behind


def _joined(tensor: Tensor, channels: int) -> Tensor:
    return tensor if channels == 1 else tensor.flatten(0, 1)


@final
class FramesOf(nn.Module):
    """The output for each state of the memory, as CTC needs it."""

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
    """Decodes all steps at once."""

    def __init__(self, model: Seq2SeqModel, memory: Memory):
        super().__init__()
        self.model, self.memory = model, memory

    def forward(self, values: Tensor, lengths: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """(output (B, T, ...), [attention (B, T, S)])."""
        output = self.model.decode(Padded(values, lengths), like(self.memory, tensors), attention=self.model.gives_attention)
        return _said(output, self.model)


@final
class Say(nn.Module):
    """The head alone, without shortcuts for few rows."""

    def __init__(self, head: Categorical):
        super().__init__()
        self.head = head

    def forward(self, features: Tensor) -> Tensor:
        """Logits (N, V) for features (N, D)."""
        return nn.functional.linear(features, self.head.weight, self.head.bias)


def _said(output: Output, model: Seq2SeqModel, *, apart: bool = False) -> tuple[Tensor, ...]:
    raw = output.features if apart else raw_of(output)
    return (raw, output.attention) if model.gives_attention and output.attention is not None else (raw,)


def graphs_of(model: Seq2SeqModel, head: Categorical | None = None, *, in_place: bool = False) -> dict[str, Graph]:
    """The graphs of a model in evaluation mode; stepwise models may have the `head` as a graph of its own.

    With `in_place`, steps write to their inputs where they can, with an operator that only ONNX Runtime has.
    """
    decoder, apart = attention_decoder(model), {} if head is None else {"say": say_graph(head)}
    if isinstance(model, StepwiseModel) and decoder is not None:
        return _appending(model, decoder, apart, in_place=in_place and can_write_in_place(decoder))
    steps = min(SOURCE, model.longest_source or SOURCE)
    encode, source = Encode(model), example_source(model.source, steps=steps)
    with torch.inference_mode():
        memory, state = encode.trees(source)
        shorter = encode.trees(example_source(model.source, batch=1, steps=max(steps - 8, 1)))
    memory, state = map_tensors(torch.clone, memory), map_tensors(torch.clone, state)
    read = [_Part(*pair, f"memory_{number}") for number, pair in enumerate(zip(flat(memory), flat(shorter[0]), strict=True))]
    rows = [_Part(*pair, f"state_{number}") for number, pair in enumerate(zip(flat(state), flat(shorter[1]), strict=True))]
    said = ("said", "attention") if model.gives_attention else ("said",)
    found = {"encode": _encode_graph(encode, source, (*read, *rows)), **apart}
    if isinstance(model, StepwiseModel):
        found["step"] = Graph(
            Step(model, memory, state, apart=bool(apart)),
            (_elements(model.target, BEAM), *(part.example for part in read), *(part.row for part in rows)),
            ("last", *(part.name for part in (*read, *rows))),
            (*said, *(part.name for part in rows)),
            ({0: "batch", 1: "beam"}, *(part.sizes for part in read), *(part.row_sizes for part in rows)),
        )
    elif isinstance(model, Transducer):
        found |= _transducing(model)
    else:
        found["decode"] = Graph(
            Decode(model, memory),
            (_elements(model.target, STEPS), torch.full((BATCH,), STEPS), *(part.example for part in read)),
            ("values", "lengths", *(part.name for part in read)),
            said,
            ({0: "batch", 1: "target"}, {0: "batch"}, *(part.sizes for part in read)),
        )
    if facts_of(model).frames:
        names, sizes = tuple(part.name for part in read), tuple(part.sizes for part in read)
        found["frames"] = Graph(FramesOf(model, memory), tuple(part.example for part in read), names, ("said",), sizes)
    return found


def say_graph(head: Categorical) -> Graph:
    """The head of a model as a graph, for features of any number of rows."""
    rows = torch.randn(PAST, head.weight.shape[1], generator=torch.Generator().manual_seed(5))
    return Graph(Say(head), (rows,), ("features",), ("said",), ({0: "rows"},))


def _appending(model: StepwiseModel, decoder: TransformerDecoder, apart: Mapping[str, Graph], *, in_place: bool) -> dict[str, Graph]:
    """The graphs of a model whose step appends to a pool; in the example some slots are filled."""
    steps = min(SOURCE, model.longest_source or SOURCE)
    encode, source = EncodeForStep(model, decoder), example_source(model.source, steps=steps)
    shorter = example_source(model.source, batch=1, steps=max(steps - 8, 1))
    with torch.inference_mode():
        found = [encode(one.values, one.lengths, one.factors) for one in (source, shorter)]
    both = enumerate(zip(*found, strict=True))
    memory = [_Part(tensor.clone(), other, f"memory_{number}") for number, (tensor, other) in both]
    read = memory[1:] if decoder.crosses else []
    step = (_in_place_step if in_place else _pool_step)(model, decoder, read, apart=bool(apart))
    graphs = {"encode": _encode_graph(encode, source, memory), "step": step, **apart}
    if facts_of(model).frames:
        states = memory[:2]
        module, given = FramesOf(model, Memory(states[0].example, states[1].example)), tuple(part.example for part in states)
        graphs["frames"] = Graph(module, given, tuple(part.name for part in states), ("said",), tuple(part.sizes for part in states))
    return graphs


def _pool_step(model: StepwiseModel, decoder: TransformerDecoder, read: Sequence["_Part"], *, apart: bool) -> Graph:
    """A step that appends to a pool, of which the example has some slots."""
    layers, groups, width = sizes_of(decoder)
    pool = [torch.randn(BATCH, groups, *size) for _ in range(layers) for size in ((width, PAST), (PAST, width))]
    names = tuple(f"{kind}_{layer}" for layer in range(layers) for kind in ("keys", "values"))
    places = torch.arange(PAST).expand(BATCH, -1).contiguous()
    return Graph(
        AttentionStep(model, decoder, apart=apart).eval(),
        (
            _elements(model.target, BEAM),
            torch.tensor([PAST]),
            places,
            torch.zeros(BATCH, 1, BEAM, PAST),
            *pool,
            *(part.example for part in read),
        ),
        ("last", "position", "places", "visible", *names, *(part.name for part in read)),
        ("said", *(("attention",) if model.gives_attention else ()), *(f"new_{name}" for name in names)),
        (
            {0: "batch", 1: "beam"},
            {},
            {0: "batch", 1: "past"},
            {0: "batch", 2: "beam", 3: "past"},
            *({0: "batch", 3 if name.startswith("keys") else 2: "past"} for name in names),
            *(part.sizes for part in read),
        ),
    )


def _in_place_step(model: StepwiseModel, decoder: TransformerDecoder, read: Sequence["_Part"], *, apart: bool) -> Graph:
    """A step that writes to what each row keeps."""
    layers, groups, width = sizes_of(decoder)
    names = tuple(f"{kind}_{layer}" for layer in range(layers) for kind in ("keys", "values"))
    return Graph(
        InPlaceStep(model, decoder, apart=apart).eval(),
        (
            _elements(model.target, BEAM),
            torch.tensor([PAST - 1]),
            torch.tensor([BEAM], dtype=torch.int32),
            torch.zeros(BATCH, BEAM, PAST, dtype=torch.int32),
            *(torch.randn(BATCH * BEAM, groups, PAST, width) for _ in names),
            *(part.example for part in read),
        ),
        ("last", "position", "beams", "ancestors", *names, *(part.name for part in read)),
        ("said", *(("attention",) if model.gives_attention else ()), *(f"kept_{name}" for name in names)),
        (
            {0: "batch", 1: "beam"},
            {},
            {},
            {0: "batch", 1: "beam", 2: "past"},
            *({0: "rows", 2: "past"} for _ in names),
            *(part.sizes for part in read),
        ),
    )


def _transducing(model: Transducer) -> dict[str, Graph]:
    """The graphs for a search over the states of a transducer."""
    rows, last = {0: "rows"}, _elements(model.target, 1).squeeze(1)
    state = model.predictor.begin(BATCH).clone()
    sides = torch.randn(BATCH, model.joiner.weight.shape[1], generator=torch.Generator().manual_seed(4))
    advance = Graph(Advance(model), (last, state), ("last", "state"), ("predicted", "state"), (rows, rows))
    return {"advance": advance, "join": Graph(Join(model), (sides,), ("sides",), ("said",), (rows,))}


def _encode_graph(encode: Encode | EncodeForStep, source: Padded, parts: Sequence["_Part"]) -> Graph:
    spec = encode.model.source
    given = (source.values, source.lengths) if source.factors is None else (source.values, source.lengths, source.factors)
    length = {} if not isinstance(spec, TokenSpec) and spec.length else {1: "source"}
    dynamic = ({0: "batch", **length}, {0: "batch"}, {0: "batch", **length})[: len(given)]
    return Graph(encode, given, ("values", "lengths", "factors")[: len(given)], tuple(part.name for part in parts), dynamic)


@final
class _Part:
    """A tensor of a memory or of a first state, from two sources of different lengths: dimensions that differ are as long as the memory."""

    def __init__(self, tensor: Tensor, shorter: Tensor, name: str):
        self.name, self.example = name, per_source(tensor, BATCH)
        pairs = enumerate(zip(self.example.shape, per_source(shorter, 1).shape, strict=True))
        self.sizes = {0: "batch", **{axis: "states" for axis, (here, there) in pairs if axis and here != there}}

    @property
    def row(self) -> Tensor:
        """The same for each hypothesis, with some steps where the tensor is still empty."""
        shape = [size or PAST for size in self.example.shape]
        tensor = self.example if self.example.numel() else torch.randn(shape, generator=torch.Generator().manual_seed(3))
        return tensor.unsqueeze(1).expand(-1, BEAM, *shape[1:]).clone()

    @property
    def row_sizes(self) -> dict[int, str]:
        """Which of its dimensions may have any size."""
        later = {axis + 1: name for axis, name in self.sizes.items() if axis}
        return {0: "batch", 1: "beam", **later, **{axis + 1: "past" for axis, size in enumerate(self.example.shape) if size == 0}}


def _elements(spec: Spec, steps: int) -> Tensor:
    draw = torch.Generator().manual_seed(2)
    if isinstance(spec, TokenSpec):
        return torch.randint(spec.size, (BATCH, steps), generator=draw)
    return torch.randn(BATCH, steps, spec.width, generator=draw)
