"""What the decoder reads in training: the truth, now and then its own predictions, or nothing but what is known in advance.

Unusual here: scheduled sampling (Bengio et al. 2015) is done in parallel passes (Mihaylova and Martins 2019): a first pass predicts every
element from the true inputs, the next one reads a mixture of truth and predictions. That needs only `decode`, so it serves recurrent
models and Transformers, symbols and real values alike. More passes come closer to the sequential original.

Of real values only the channels that the model says are replaced; what is known in advance stays.
"""

import math
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from antiphon.contracts.configuration import Choice, config
from antiphon.contracts.model import Seq2SeqModel, StepwiseModel
from antiphon.contracts.sequences import Memory, Output, Padded, Quantiles
from antiphon.contracts.specs import ValueSpec
from antiphon.errors import ConfigError
from antiphon.heads.draws import sized
from antiphon.heads.quantile import median_of
from antiphon.search.direct import without_values
from antiphon.search.preparation import value_target

Share = Annotated[float, Field(ge=0, le=1)]


@config
class TeacherForcingConfig:
    """The decoder always reads the true previous element."""

    name: Literal["teacher_forcing"] = "teacher_forcing"
    """The name of this policy."""


@config
class ScheduledSamplingConfig:
    """The decoder reads the true previous element with a probability that changes over the steps, else a predicted one."""

    name: Literal["scheduled_sampling"] = "scheduled_sampling"
    """The name of this policy."""
    schedule: Literal["constant", "linear", "inverse_sigmoid"] = "inverse_sigmoid"
    """How the probability of the truth falls: not at all (constant, at `end`), linearly from 1 to `end`, or as k / (k + exp(step / k))."""
    steps: Annotated[int, Field(gt=0)] = 2000
    """Steps until a linear schedule reaches `end`; the k of inverse_sigmoid."""
    end: Share = 0.5
    """The lowest probability of the truth."""
    passes: Annotated[int, Field(ge=1)] = 1
    """Passes that make predictions before the one that learns."""
    sample: bool = False
    """Draw predictions from the output distribution instead of taking the most probable."""


@config
class DirectInputsConfig:
    """The decoder reads the start element and what is known in advance, so that it says all steps at once (for `search: direct`)."""

    name: Literal["direct"] = "direct"
    """The name of this policy."""


DecoderInputs = TeacherForcingConfig | ScheduledSamplingConfig | DirectInputsConfig
DecoderInputsConfig = Annotated[DecoderInputs, Choice("teacher_forcing")]


def truth_probability(settings: ScheduledSamplingConfig, step: int) -> float:
    """How often the decoder reads the truth after `step` updates."""
    if settings.schedule == "constant":
        return settings.end
    if settings.schedule == "linear":
        return max(settings.end, 1 - (1 - settings.end) * step / settings.steps)
    exponent = min(step / settings.steps, 500.0)
    return max(settings.end, settings.steps / (settings.steps + math.exp(exponent)))


def check_inputs(settings: DecoderInputs, model: Seq2SeqModel) -> None:
    """Raise ConfigError when the policy is `scheduled_sampling` and the model does not read what it said before."""
    if isinstance(settings, ScheduledSamplingConfig) and not isinstance(model, StepwiseModel):
        raise ConfigError(
            "`training.decoder_inputs` must not be `scheduled_sampling` for a model without steps (such as `encoder_only`), which reads"
            " nothing of what it said before. Leave it out, or use a model with a decoder."
        )


def inputs_to_measure(settings: DecoderInputs, model: Seq2SeqModel, inputs: Padded) -> Padded:
    """What the decoder reads when its loss is measured: the truth, unless the policy is `direct`.

    Raises ConfigError when the policy is `direct` and the model writes symbols.
    """
    if not isinstance(settings, DirectInputsConfig):
        return inputs
    return without_values(inputs, value_target(model, "`training.decoder_inputs: direct`").channels)


def decode_for_training(
    settings: DecoderInputs, model: Seq2SeqModel, inputs: Padded, memory: Memory, step: int, *, attention: bool = False
) -> Output:
    """The output that the loss sees, under the policy; with its attention where the loss looks at it."""
    inputs = inputs_to_measure(settings, model, inputs)
    if isinstance(settings, ScheduledSamplingConfig):
        probability = truth_probability(settings, step)
        mixed = inputs
        for _ in range(settings.passes if probability < 1 else 0):
            with torch.no_grad():
                values = model.decode(mixed, memory).values
                if isinstance(model.target, ValueSpec):
                    values = sized(values, mixed.values, model.target)
                predicted = predict(values, symbols=not inputs.values.is_floating_point(), sample=settings.sample)
            mixed = Padded(mix(inputs.values, predicted, probability), inputs.lengths)
        inputs = mixed
    return model.decode(inputs, memory, attention=attention)


def predict(values: Any, *, symbols: bool, sample: bool) -> Tensor:
    """Elements from what a head says: symbols from logits, draws or means from a distribution, medians of quantiles, points as they are."""
    if isinstance(values, Quantiles):
        return median_of(values)
    if isinstance(values, torch.distributions.Distribution):
        drawn: Tensor = values.sample() if sample else values.mean
        return drawn
    assert isinstance(values, Tensor), "scheduled sampling reads logits, distributions, quantiles or points"
    if not symbols:
        return values
    chosen: Tensor = torch.distributions.Categorical(logits=values.float()).sample() if sample else values.argmax(dim=-1)
    return chosen


def mix(truth: Tensor, predicted: Tensor, probability: float) -> Tensor:
    """Inputs in which each element after the first is the truth with `probability`, else what was predicted for that place."""
    keep = torch.rand(truth.shape[:2], device=truth.device) < probability
    keep[:, 0] = True
    if truth.dim() == 2:
        return torch.where(keep, truth, torch.cat([truth[:, :1], predicted[:, :-1].to(truth.dtype)], dim=1))
    values, known = truth.split([predicted.shape[-1], truth.shape[-1] - predicted.shape[-1]], dim=-1)
    shifted = torch.cat([values[:, :1], predicted[:, :-1].to(truth.dtype)], dim=1)
    return torch.cat([torch.where(keep.unsqueeze(-1), values, shifted), known], dim=-1)
