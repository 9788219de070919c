"""Ensembles: at each step the predictions of several models are averaged, so that every search works with an ensemble as with a single
model.

Members may differ in architecture; they must read the same source and write the same symbols, or values of the same channels. Models
that say all steps at once, such as an encoder with CTC, are an ensemble among themselves.

The ensemble's memory carries the members' memories as its projections, and its state holds their states: both are reordered by
`select_rows` like any other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, cast, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from antiphon.contracts.limits import least
from antiphon.contracts.model import Seq2SeqModel, StepwiseModel
from antiphon.contracts.sequences import Frames, Memory, Output, Padded, Quantiles, reorder, select_rows
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ConfigError

Average = Literal["probability", "log_probability"]


@dataclass(frozen=True)
class EnsembleState:
    """The members' states. Each selects its rows in its own way."""

    members: tuple[Any, ...]

    def select_rows(self, index: Int[Tensor, " N"]) -> "EnsembleState":
        """The rows of every member."""
        return EnsembleState(tuple(select_rows(state, index) for state in self.members))

    def reorder(self, index: Int[Tensor, "B W"]) -> "EnsembleState":
        """Implements `sequences.reorder` for every member."""
        return EnsembleState(tuple(reorder(state, index) for state in self.members))


class DirectEnsemble(Seq2SeqModel):
    """The average of several models' probabilities (log-mean-exp), or of their log-probabilities (a geometric mean, unnormalized).

    Of real values it is the average of the members' points, or of each of their quantiles (Lichtendahl et al. 2013). `weights` say how
    much each member counts; they need not sum to 1.

    Raises ConfigError when there is no member, the members' specs differ, or weights are no positive number for each; where heads say
    distributions or differ, once they do.
    """

    def __init__(self, models: Sequence[Seq2SeqModel], average: Average = "probability", weights: Sequence[float] | None = None):
        super().__init__()
        if not models:
            raise ConfigError("An ensemble must have at least one model, but has none.")
        for number, model in enumerate(models):
            if (model.source, model.target) != (models[0].source, models[0].target):
                raise ConfigError(
                    f"Model {number} of the ensemble must read and write what model 0 does ({models[0].source} -> {models[0].target}), "
                    f"but does {model.source} -> {model.target}. Train them with the same vocabulary."
                )
        self.source, self.target = models[0].source, models[0].target
        if weights is not None and (len(weights) != len(models) or not all(0 < weight < math.inf for weight in weights)):
            given = ", ".join(f"{weight:g}" for weight in weights)
            raise ConfigError(f"`weights` must be a positive number for each of the {len(models)} models, but are {given or 'none'}.")
        self.average = average
        self._shares = None if weights is None else torch.tensor([weight / sum(weights) for weight in weights], dtype=torch.float64)
        self._members, self._stride = nn.ModuleList(models), models[0].stride
        self._strides = {model.stride for model in models}

    @property
    def stride(self) -> int:
        """The stride of the first member, whose alignment is returned."""
        return self._stride

    @property
    def longest_source(self) -> int | None:
        """The smallest limit among the members."""
        return least(*(model.longest_source for model in self.models))

    @property
    def longest_target(self) -> int | None:
        """The smallest limit among the members."""
        return least(*(model.longest_target for model in self.models))

    @property
    def gives_attention(self) -> bool:
        """Whether all members give attention, over states of the same length."""
        return len(self._strides) == 1 and all(model.gives_attention for model in self.models)

    @property
    def copies(self) -> bool:
        """Whether any member copies."""
        return any(model.copies for model in self.models)

    @property
    def models(self) -> Sequence[Seq2SeqModel]:
        """The members."""
        return [cast(Seq2SeqModel, member) for member in self._members]

    def encode(self, source: Padded) -> Memory:
        """The members' memories. The ensemble's own states are empty; only the mask of the first member is used."""
        memories = tuple(model.encode(source) for model in self.models)
        copyable = next((memory.copyable for memory in memories if memory.copyable is not None), None)
        return Memory(memories[0].states[..., :0], memories[0].mask, projections=memories, copyable=copyable)

    def frames(self, memory: Memory) -> Frames | None:
        """The members' averaged log-probabilities; None unless all of them have an output for frames. Raises ConfigError for different
        subsampling."""
        found = [model.frames(own) for model, own in zip(self.models, memory.projections, strict=True)]
        members = [frames for frames in found if frames is not None]
        if len(members) < len(found):
            return None
        if len(self._strides) > 1:
            raise ConfigError(
                "Models of an ensemble must have the same `model.subsampling` where CTC takes part, but have"
                f" {' and '.join(map(str, sorted(self._strides)))}."
            )
        log_probs = torch.stack([frames.logits.float().log_softmax(-1) for frames in members])
        return Frames(average_log_probs(log_probs, self.average, self._shares), members[0].mask, _as_they_are)

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """All steps at once; `values` are the averaged log-probabilities (B, T, V)."""
        frames = self.frames(memory) if len(self._strides) == 1 else None
        members = zip(self.models, memory.projections, strict=True)
        return replace(self._averaged([model.decode(inputs, own, attention=attention) for model, own in members]), frames=frames)

    def _averaged(self, outputs: list[Output]) -> Output:
        if not isinstance(self.target, TokenSpec):
            return _average_of_values(outputs, self._shares)
        log_probs = torch.stack(_of_one_width([output.values.float().log_softmax(-1) for output in outputs]))
        return Output(average_log_probs(log_probs, self.average, self._shares), _as_they_are, _mean_attention(outputs, self._shares))


@final
class Ensemble(DirectEnsemble, StepwiseModel):
    """An ensemble of models that decode step by step."""

    def __init__(self, models: Sequence[StepwiseModel], average: Average = "probability", weights: Sequence[float] | None = None):
        super().__init__(models, average, weights)

    @property
    def models(self) -> Sequence[StepwiseModel]:
        """The members."""
        return [cast(StepwiseModel, member) for member in self._members]

    def project(self, memory: Memory) -> Memory:
        """Each member's projections."""
        memories = tuple(model.project(own) for model, own in zip(self.models, memory.projections, strict=True))
        return replace(memory, projections=memories)

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> EnsembleState:
        """The members' states."""
        members = zip(self.models, memory.projections, strict=True)
        return EnsembleState(tuple(model.init_state(own, beam_size, max_length) for model, own in members))

    def step(self, last: Tensor, memory: Memory, state: EnsembleState, *, attention: bool = False) -> tuple[Output, EnsembleState]:
        """One step of each member; `values` are the averaged log-probabilities (R, V)."""
        members = zip(self.models, memory.projections, state.members, strict=True)
        outputs, states = zip(*(model.step(last, own, own_state, attention=attention) for model, own, own_state in members), strict=True)
        return self._averaged(list(outputs)), EnsembleState(states)


def together(models: Sequence[Seq2SeqModel], average: Average | None = None, weights: Sequence[float] | None = None) -> Seq2SeqModel:
    """The models as an ensemble, or the only one; probabilities are averaged unless specified otherwise.

    Raises ConfigError when some of them decode step by step, and others do not, for weights or an average of one model, and for an average
    of probabilities where models say values.
    """
    if len(models) == 1:
        if average is not None or weights is not None:
            raise ConfigError(f"`{'average' if weights is None else 'weights'}` must be left out unless several runs are an ensemble.")
        return models[0]
    if average is not None and models and not isinstance(models[0].target, TokenSpec):
        raise ConfigError(f"`average` must be left out of models of values, whose points or quantiles are averaged, but is `{average}`.")
    steps = [model for model in models if isinstance(model, StepwiseModel)]
    if 0 < len(steps) < len(models):
        other = next(model for model in models if not isinstance(model, StepwiseModel))
        raise ConfigError(
            f"Models of an ensemble must all decode step by step, or none of them, but {type(steps[0]).__name__} does and"
            f" {type(other).__name__} does not."
        )
    chosen: Average = "probability" if average is None else average
    return Ensemble(steps, chosen, weights) if steps else DirectEnsemble(models, chosen, weights)


def _of_one_width(log_probs: list[Tensor]) -> list[Tensor]:
    """Log-probabilities padded to one width: members that copy may output open words, to which the others give no probability."""
    width = max(one.shape[-1] for one in log_probs)
    return [torch.nn.functional.pad(one, (0, width - one.shape[-1]), value=-math.inf) for one in log_probs]


def average_log_probs(
    log_probs: Float[Tensor, "N *shape V"], average: Average, shares: Float[Tensor, " N"] | None = None
) -> Float[Tensor, "*shape V"]:
    """The mean over N members; `shares` sum to 1."""
    if average == "log_probability":
        return _mean(log_probs, shares)
    if shares is None:
        return log_probs.logsumexp(0) - math.log(log_probs.shape[0])
    return (log_probs + _beside(shares.log(), log_probs)).logsumexp(0)


def _mean(members: Tensor, shares: Float[Tensor, " N"] | None) -> Tensor:
    return members.mean(0) if shares is None else (members * _beside(shares, members)).sum(0)


def _beside(shares: Float[Tensor, " N"], members: Tensor) -> Tensor:
    """The weight of each member."""
    return shares.to(members).view(-1, *[1] * (members.ndim - 1))


def _average_of_values(outputs: list[Output], shares: Float[Tensor, " N"] | None) -> Output:
    """The mean of points, or of quantiles for each level; this keeps quantiles in order, and the forecast as narrow as its members'."""
    said = [output.values for output in outputs]
    if all(isinstance(one, Tensor) for one in said):
        return Output(_mean(torch.stack(said), shares), _as_they_are, _mean_attention(outputs, shares))
    if not all(isinstance(one, Quantiles) and one.levels == said[0].levels for one in said):
        kinds = " and ".join(sorted({type(one).__name__ for one in said}))
        raise ConfigError(f"An ensemble of values must have heads of points, or of quantiles at the same levels, but they give {kinds}.")
    mean = _mean(torch.stack([one.values for one in said]), shares)
    return Output(mean, partial(Quantiles, levels=said[0].levels), _mean_attention(outputs, shares))


def _mean_attention(outputs: list[Output], shares: Float[Tensor, " N"] | None) -> Tensor | None:
    """The members' mean attention; None when one has none, or when their memories have different lengths."""
    weights = [output.attention for output in outputs if output.attention is not None]
    if len(weights) < len(outputs) or len({item.shape for item in weights}) != 1:
        return None
    return _mean(torch.stack(weights), shares)


def _as_they_are(log_probs: Tensor) -> Tensor:
    return log_probs
