"""Compiled steps of a model: as CUDA graphs on a GPU, by a C++ compiler on the CPU (Ansel et al. 2024).

A compiler makes a program for shapes, and a CUDA graph reads and writes the same memory at each of its runs. In a search, shapes change all
the time: sources leave, what was said grows. So here a step is done in a *slot*: tensors that hold a memory and a state, in few sizes (of
sources, of their lengths, of steps, each doubling), of which a search fills a part. Behind that part stands what it ends with, once more. A
search that needs sizes which another one had gets its slot.

Unusual here: sizes are symbols to the compiler, so that all slots share few programs; CUDA graphs alone are recorded slot by slot. To every
search this is a model like any other.
"""

import time
import weakref
from collections.abc import Callable, Hashable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn.functional import pad

from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.sequences import Frames, Memory, Output, Padded, reorder, select_rows
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ConfigError
from antiphon.layers.room_state import RoomState, roomy
from antiphon.layers.tensor_trees import flat, like
from antiphon.search.wrapped import Wrapped

BACKEND = "inductor"  # who compiles, as torch names it
_SHORTEST = 16  # states of a memory in a slot
_MOST_PROGRAMS = 128  # of all models of a process: for every width of a beam one for a single source and one for several


@dataclass(frozen=True)
class WideMemory:
    """A model's own memory with padded states; their number was `length` before padding."""

    memory: Memory
    length: int


@final
@dataclass(frozen=True)
class SlotState:
    """A model's own state after `taken` steps, which is in a slot, or not yet."""

    own: Any
    taken: int
    lease: "_Lease | None" = None

    @property
    def slot(self) -> "_Slot | None":
        """The slot that holds the state. Copies of a state are in no slot."""
        return self.lease.slot if self.lease is not None and self.lease.slot.state is self.own else None

    def select_rows(self, index: Int[Tensor, " N"]) -> "SlotState":
        """The selected rows, copied out of the slot."""
        return SlotState(select_rows(self.own, index), self.taken)

    def reorder(self, index: Int[Tensor, "B W"]) -> "SlotState":
        """Implements `sequences.reorder`, within the slot."""
        slot = self.slot
        if slot is None:
            return SlotState(reorder(self.own, index), self.taken)
        rest = torch.arange(index.numel(), len(slot.last), device=index.device)  # these follow themselves
        _copy(reorder(self.own, torch.cat([index.flatten(), rest]).view(-1, index.shape[1])), slot.state)
        return self


@final
class _Slot:
    """Tensors that stay in place; `memory` and `state` are trees of them. `holds` is the memory that was copied into them."""

    def __init__(self, last: Tensor, memory: Memory, state: Any):
        self.last, self.memory, self.state = last, memory, state
        self.holds: Callable[[], Memory | None] = lambda: None
        self.programs: set[bool] = set()  # with and without attention, those that have run here


@final
class _Lease:
    """Says whose slot it is: the slot belongs to the state that holds the lease."""

    def __init__(self, slot: _Slot, returned: list[_Slot]):
        self.slot = slot
        weakref.finalize(self, returned.append, slot)


@final
class CompiledSteps(Wrapped):
    """A model whose `step` is compiled; everything else is delegated to it. It stays on its device, and cannot be trained."""

    def __init__(self, model: StepwiseModel):
        super().__init__(model)
        self.programs, self.seconds = 0, 0.0
        on_gpu = next(model.parameters()).device.type == "cuda"
        self._clones = on_gpu  # what a CUDA graph returns is gone with its next run
        mode = "reduce-overhead" if on_gpu and BACKEND == "inductor" else None  # that is: by CUDA graphs
        self._compiled = torch.compile(self._step, fullgraph=True, backend=BACKEND, mode=mode)
        self._free: dict[Hashable, list[_Slot]] = {}
        self._growing: list[tuple[int, ...]] | None = None

    @property
    def remark(self) -> str | None:
        """A sentence about what has been compiled so far; None if nothing has."""
        if not self.programs:
            return None
        return f"Compiled the decoder's step {self.programs} time{'' if self.programs == 1 else 's'} in {self.seconds:.1f} s."

    def encode(self, source: Padded) -> Memory:
        """Encode with the model itself."""
        return self.model.encode(source)

    def frames(self, memory: Memory) -> Frames | None:
        """The frames of the model itself."""
        return self.model.frames(memory)

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """Decode with the model itself."""
        return self.model.decode(inputs, replace(memory, projections=None), attention=attention)

    def project(self, memory: Memory) -> Memory:
        """The model's projections of a memory, padded to the size of a slot."""
        length = memory.mask.shape[1]
        wide = self.model.project(_wider(memory, _size(length, _SHORTEST)))
        return replace(memory, projections=WideMemory(wide, length))

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> SlotState:
        """The model's first state, with room for a few steps."""
        wide: Memory = memory.projections.memory
        return SlotState(roomy(self.model.init_state(wide, beam_size, max_length), len(memory.mask)), 0)

    def step(self, last: Tensor, memory: Memory, state: SlotState, *, attention: bool = False) -> tuple[Output, SlotState]:
        """One step for R rows, in a slot. Raises ConfigError where torch cannot compile it."""
        read: WideMemory = memory.projections
        if state.slot is None or state.slot.holds() is not read.memory or _is_full(state):
            state = self._placed(last, read.memory, state)
        slot, rows = state.slot, len(last)
        assert slot is not None, "it was just placed"
        slot.last[:rows].copy_(last)
        said, weights = self._run(slot, attention=attention)
        weights = None if weights is None else weights[:rows, : read.length]
        if self._clones:
            said, weights = said[:rows].clone(), None if weights is None else weights.clone()
        head = _as_they_are if isinstance(self.target, TokenSpec) else self.model.head
        return Output(said[:rows], head, weights), replace(state, taken=state.taken + 1)  # type: ignore[arg-type]

    def _step(self, last: Tensor, memory: Memory, state: Any, attention: bool) -> tuple[Tensor, Tensor | None]:
        """The function that is compiled: a step of the model, whose next state overwrites the state."""
        output, after = self.model.step(last, memory, state, attention=attention)
        _copy(after, state)
        # As `output.values`, which a compiler cannot look into.
        return output.head(output.features) if isinstance(self.target, TokenSpec) else output.features, output.attention

    def _run(self, slot: _Slot, *, attention: bool) -> tuple[Tensor, Tensor | None]:
        if self._clones:
            torch.compiler.cudagraph_mark_step_begin()
        if attention in slot.programs:
            return self._compiled(slot.last, slot.memory, slot.state, attention)
        before, started = _programs(), time.perf_counter()
        with ExitStack() as stack:
            stack.enter_context(torch.fx.experimental._config.patch(use_duck_shape=False))  # type: ignore[attr-defined]
            stack.enter_context(torch._dynamo.config.patch(recompile_limit=_MOST_PROGRAMS, allow_rnn=True))  # steps of an LSTM are small
            try:
                found: tuple[Tensor, Tensor | None] = self._compiled(slot.last, slot.memory, slot.state, attention)
            except torch._dynamo.exc.TorchDynamoException as error:
                reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
                raise ConfigError(f"torch cannot compile the steps of this model: {reason:.300}. Leave `engine.compiled` out.") from error
        slot.programs.add(attention)
        if _programs() > before:
            self.programs += _programs() - before
            self.seconds += time.perf_counter() - started
        return found

    def _placed(self, last: Tensor, memory: Memory, state: SlotState) -> SlotState:
        """The state in a slot of the right size, together with the memory."""
        own, sources = _with_room(state), len(memory.mask)
        if state.slot is not None:  # where more rows stand than are real
            own = select_rows(own, torch.arange(len(last), device=last.device))
        given, size = (last, replace(memory, final=None), own), _size(sources, 1)
        shapes = [(tensor.shape[0] // sources, tensor.shape[1:], tensor.dtype) for tensor in flat(given)]
        free = self._free.setdefault((size, *shapes), [])
        slot = free.pop() if free else self._new_slot(given, memory, sources, size)
        if slot.holds() is not memory:
            _fill(given[1], slot.memory)
            slot.holds = weakref.ref(memory)
        _fill(own, slot.state)
        return SlotState(slot.state, state.taken, _Lease(slot, free))

    def _new_slot(self, given: tuple[Tensor, Memory, Any], memory: Memory, sources: int, size: int) -> _Slot:
        self._growing = self._growing_axes(memory) if self._growing is None else self._growing
        tensors = []
        for tensor, axes in zip(flat(given), self._growing, strict=True):
            with torch.inference_mode(False):  # it is written to wherever a search runs
                tensors.append(tensor.new_zeros(len(tensor) // sources * size, *tensor.shape[1:]))
            for axis in ((0,) if size > 1 else ()) + axes:
                torch._dynamo.maybe_mark_dynamic(tensors[-1], axis)
            if self._clones:
                torch._dynamo.mark_static_address(tensors[-1], guard=False)
        return _Slot(*like(given, tensors))

    def _growing_axes(self, memory: Memory) -> list[tuple[int, ...]]:
        """For the tensors of a slot: which axes are as long as the memory, or as the room for steps."""
        first = select_rows(replace(memory, projections=None), torch.zeros(1, dtype=torch.long, device=memory.mask.device))
        shapes = []
        for more in (0, 1):
            read = self.model.project(_wider(first, memory.mask.shape[1] + more))
            state = roomy(self.model.init_state(read, 1, 1), 1)
            state = state.with_room(state.room + more) if isinstance(state, RoomState) else state
            shapes.append([tensor.shape for tensor in flat((replace(read, final=None), state))])
        axes = [tuple(axis for axis in range(len(one)) if one[axis] != two[axis]) for one, two in zip(*shapes, strict=True)]
        return [(), *axes]  # what was said last has none


def _is_full(state: SlotState) -> bool:
    return isinstance(state.own, RoomState) and state.taken >= state.own.room


def _with_room(state: SlotState) -> Any:
    return state.own.with_room(2 * state.own.room) if _is_full(state) else state.own


def _wider(memory: Memory, length: int) -> Memory:
    """The memory padded to `length` states."""
    more = length - memory.mask.shape[1]
    copyable = None if memory.copyable is None else pad(memory.copyable, (0, more))
    return replace(memory, states=pad(memory.states, (0, 0, 0, more)), mask=pad(memory.mask, (0, more)), copyable=copyable)


def _size(wanted: int, least: int) -> int:
    """The next larger one of the sizes of slots."""
    return max(least, 1 << (wanted - 1).bit_length())


def _copy(tree: Any, over: Any) -> None:
    """Copy each tensor of a tree into that of another."""
    for tensor, place in zip(flat(tree), flat(over), strict=True):
        if tensor is not place:
            place.copy_(tensor)


def _fill(tree: Any, over: Any) -> None:
    """Copy each tensor of a tree into the first rows of that of another; its last row fills the remaining rows."""
    for tensor, place in zip(flat(tree), flat(over), strict=True):
        if tensor is not place:
            place[: len(tensor)].copy_(tensor)
            place[len(tensor) :].copy_(tensor[-1:])


def _programs() -> int:
    """The number of programs that torch has compiled."""
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


def _as_they_are(said: Tensor) -> Tensor:
    return said
