"""The interface of models for the trainer and the searches. One trainer and one set of searches serve all architectures."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from antiphon.contracts.sequences import Frames, Memory, Output, Padded
from antiphon.contracts.specs import Spec


class Seq2SeqModel(nn.Module, ABC):
    """A model that encodes a source and decodes a whole target at once. CTC models and direct forecasters need no more than this."""

    source: Spec
    target: Spec
    stored: frozenset[str] | None = None
    """Names of the weights that checkpoints hold, where `Architecture.borrow` brings back the others; None is all."""

    @abstractmethod
    def encode(self, source: Padded) -> Memory:
        """Encode the source: values (B, S) symbols or (B, S, C) channels. Padding never changes the real part of the memory."""

    @abstractmethod
    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """Decode all steps at once: output step t sees only inputs up to t. `attention` requests the attention weights over the source."""

    def frames(self, memory: Memory) -> Frames | None:
        """The model's output for each state of the memory, for CTC; None if it has none."""
        return None

    @property
    def stride(self) -> int:
        """The number of source elements for one state of the memory."""
        return 1

    @property
    def longest_source(self) -> int | None:
        """The greatest number of elements of a source that it can read; None for no limit."""
        return None

    @property
    def longest_target(self) -> int | None:
        """The greatest number of elements that it can write, the end symbol included; None for no limit."""
        return None

    @property
    def wait_k(self) -> int | None:
        """For simultaneous models: output t, from 1, sees the first t + k - 1 states of the memory, which do not change as the source
        grows. None for a model that reads the whole source first."""
        return None

    @property
    def gives_attention(self) -> bool:
        """Whether `decode` and `step` return the attention weights over the source when asked."""
        return False

    @property
    def packs(self) -> bool:
        """Whether `encode` and `decode` accept several sequences packed in one row (`Padded.segments`), which are then independent of each
        other; the decoder's steps attend only to the states of their own source."""
        return False

    @property
    def copies(self) -> bool:
        """Whether it can copy from the source, so that `Memory.copyable` exists."""
        return False

    def own_weights(self) -> dict[str, Tensor]:
        """The weights that a checkpoint of this model holds: all of its state, or the part named by `stored`."""
        return {name: tensor for name, tensor in self.state_dict().items() if self.stored is None or name in self.stored}

    def blocks(self) -> Sequence[nn.Module]:
        """Layers whose weights are gathered one at a time when weights are sharded; weights outside of them are gathered for the whole
        model.

        Their weights are used nowhere but within their own `forward`, which is given all tensors that gradients go back to. A layer says so
        by an attribute `stands_alone`.
        """
        return [module for module in self.modules() if getattr(module, "stands_alone", False)]

    def forward(self, source: Padded, inputs: Padded) -> Output:
        """`decode(inputs, encode(source))` and nothing else."""
        return self.decode(inputs, self.encode(source))


class StepwiseModel(Seq2SeqModel):
    """A model that can also decode one element at a time. `step` repeated gives what `decode` gives.

    The memory has B rows, the state and `last` have R = B * W rows: the W hypotheses of source b are rows b * W to b * W + W - 1.
    """

    def project(self, memory: Memory) -> Memory:
        """Compute once per source what the decoder needs of the memory at every step (cross-attention keys and values)."""
        return memory

    @abstractmethod
    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> Any:
        """The state before the first step, R = B * beam_size rows, with buffers for at most `max_length` steps."""

    @abstractmethod
    def step(self, last: Tensor, memory: Memory, state: Any, *, attention: bool = False) -> tuple[Output, Any]:
        """Decode one step for each row: `last` is (R,) symbols or (R, C) values; the output's features are (R, D).

        The state given may be used up (its buffers re-used for the state returned): keep `map_tensors(torch.clone, state)` to go back.
        """


@dataclass(frozen=True)
class Architecture:
    """What a file in `models/` defines as `plugin`.

    `build(config, source, target)` makes the model, a `StepwiseModel` unless `stepwise` is False. `revision` is raised when a weight is
    renamed or its meaning changes; `upgrade` turns the tensors and config of an older revision into today's. `presets` are named settings
    that a recipe may start from. `defaults(config)` are settings of the recipe that fit the model's own (the loss of a model without
    decoder); they are used where a recipe does not say.

    Of an architecture that begins with weights made elsewhere, `resolve(config, earlier)` fills in what it must remember of them, so that
    `build` needs them no more (of a run that is resumed, `earlier` has it already), and `start(model, config)` puts them into a new run's
    model and says what it did. Where checkpoints leave such weights out (`Seq2SeqModel.own_weights`), `borrow(model, config)` puts them
    into the model of a checkpoint, or raises CheckpointError when they are no longer those that the run began with.
    """

    name: str
    summary: str
    Config: type[Any]
    build: Callable[[Any, Spec, Spec], Seq2SeqModel]
    stepwise: bool = True
    revision: int = 1
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    defaults: Callable[[Any], Mapping[str, Any]] | None = None
    resolve: Callable[[Any, Any], Any] | None = None
    start: Callable[[Any, Any], Sequence[str]] | None = None
    borrow: Callable[[Any, Any], None] | None = None
    upgrade: Callable[[int, dict[str, Tensor], dict[str, Any]], tuple[dict[str, Tensor], dict[str, Any]]] | None = None


@dataclass(frozen=True)
class HeadPlugin:
    """What a file in `heads/` defines as `plugin`.

    `build(config, target, dim, tied)` makes the head, (..., D) -> values: logits (..., V), points (..., C), a torch Distribution with
    batch shape (..., C), or `Quantiles`. `loss` names the loss that such values are natural for.
    """

    name: str
    summary: str
    Config: type[Any]
    build: Callable[[Any, Spec, int, nn.Parameter | None], nn.Module]
    loss: str
