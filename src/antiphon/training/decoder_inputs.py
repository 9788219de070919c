"""The decoder's inputs in training: the reference, sometimes the model's own predictions, or only what is known in advance.

Unusual here: scheduled sampling (Bengio et al. 2015) is done in parallel passes (Mihaylova and Martins 2019): a first pass predicts every
element from the true inputs, the next one reads a mixture of truth and predictions. That needs only `decode`, so it serves recurrent
models and Transformers, symbols and real values alike. More passes come closer to the sequential original. Only what will be read is
predicted, some steps at a time.

Of real values only the channels that the model says are replaced; what is known in advance stays.
"""

import math
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from antiphon.contracts.configuration import Choice, config
from antiphon.contracts.model import Seq2SeqModel, StepwiseModel
from antiphon.contracts.sequences import Memory, Output, Padded, Quantiles
from antiphon.contracts.specs import Spec, TokenSpec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.heads.draws import draw_symbols, sized
from antiphon.heads.quantile import median_of
from antiphon.heads.steps import said_of
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
    """The decoder reads the true previous element with a probability that changes over the steps, and otherwise a predicted one."""

    name: Literal["scheduled_sampling"] = "scheduled_sampling"
    """The name of this policy."""
    schedule: Literal["constant", "linear", "inverse_sigmoid"] = "inverse_sigmoid"
    """How the probability of the true element falls: not at all (constant, at `end`), linearly from 1 to `end`, or as k / (k + exp(step /
    k))."""
    steps: Annotated[int, Field(gt=0)] = 2000
    """Steps until a linear schedule reaches `end`; the k of inverse_sigmoid."""
    end: Share = 0.5
    """The lowest probability of the true element."""
    passes: Annotated[int, Field(ge=1)] = 1
    """Passes that make predictions before the one that computes gradients."""
    sample: bool = False
    """Sample predictions from the output distribution instead of taking the most probable."""


@config
class DirectInputsConfig:
    """The decoder reads the start element and what is known in advance, so that it predicts all steps at once (for `search: direct`)."""

    name: Literal["direct"] = "direct"
    """The name of this policy."""


DecoderInputs = TeacherForcingConfig | ScheduledSamplingConfig | DirectInputsConfig
DecoderInputsConfig = Annotated[DecoderInputs, Choice("teacher_forcing")]


def truth_probability(settings: ScheduledSamplingConfig, step: int) -> float:
    """The probability that the decoder reads the true element after `step` updates."""
    if settings.schedule == "constant":
        return settings.end
    if settings.schedule == "linear":
        return max(settings.end, 1 - (1 - settings.end) * step / settings.steps)
    exponent = min(step / settings.steps, 500.0)
    return max(settings.end, settings.steps / (settings.steps + math.exp(exponent)))


def check_inputs(settings: DecoderInputs, model: Seq2SeqModel) -> None:
    """Raise ConfigError when the policy is `scheduled_sampling` and the model does not read its own outputs."""
    if isinstance(settings, ScheduledSamplingConfig) and not isinstance(model, StepwiseModel):
        raise ConfigError(
            "`training.decoder_inputs` must not be `scheduled_sampling` for a model without steps (such as `encoder_only`), which does not"
            " read its own outputs. Leave it out, or use a model with a decoder."
        )


def inputs_to_measure(settings: DecoderInputs, model: Seq2SeqModel, inputs: Padded) -> Padded:
    """The decoder's inputs for measuring its loss: the reference, unless the policy is `direct`.

    Raises ConfigError when the policy is `direct` and the model writes symbols.
    """
    if not isinstance(settings, DirectInputsConfig):
        return inputs
    return without_values(inputs, value_target(model, "`training.decoder_inputs: direct`").channels)


def decode_for_training(
    settings: DecoderInputs, model: Seq2SeqModel, inputs: Padded, memory: Memory, step: int, *, attention: bool = False
) -> Output:
    """The output for the loss, under the policy; with attention weights if the loss needs them."""
    inputs = inputs_to_measure(settings, model, inputs)
    mixed = inputs
    if isinstance(settings, ScheduledSamplingConfig):
        probability = truth_probability(settings, step)
        for _ in range(settings.passes if probability < 1 else 0):
            with torch.no_grad():
                output = model.decode(mixed, memory)
                places = predicted_places(inputs, probability)
                elements = predicted(output, mixed, places, model.target, sample=settings.sample)
            mixed = Padded(mix(inputs.values, elements, places), inputs.lengths)
    return model.decode(mixed, memory, attention=attention)


def predicted_places(inputs: Padded, probability: float) -> Bool[Tensor, "B T"]:
    """Where the decoder is to read its predictions instead of the reference: never at the first element, and never in padding."""
    keep = torch.rand(inputs.values.shape[:2], device=inputs.values.device) < probability
    keep[:, 0] = True
    return ~keep & inputs.mask


def predicted(
    output: Output, inputs: Padded, places: Bool[Tensor, "B T"], target: Spec, *, sample: bool
) -> Int[Tensor, " N"] | Float[Tensor, "N C"]:
    """The predictions one step before each place that is True, by a decoder with these `inputs`.

    The logits of a batch are never in memory at once.
    """
    before = torch.cat([places[:, 1:], torch.zeros_like(places[:, :1])], dim=1)
    read, found = inputs.values[before], []
    for part, said in said_of(output, before):
        elements = sized(said, read[part], target) if isinstance(target, ValueSpec) else said
        found.append(predict(elements, symbols=isinstance(target, TokenSpec), sample=sample))
    return torch.cat(found)


def predict(said: Any, *, symbols: bool, sample: bool) -> Int[Tensor, " N"] | Float[Tensor, "N C"]:
    """Elements from a head's output for N steps: symbols from logits, samples or means from a distribution, medians of quantiles, points
    unchanged."""
    if isinstance(said, Quantiles):
        return median_of(said)
    if isinstance(said, torch.distributions.Distribution):
        drawn: Tensor = said.sample() if sample else said.mean
        return drawn
    assert isinstance(said, Tensor), "scheduled sampling reads logits, distributions, quantiles or points"
    if not symbols:
        return said
    return draw_symbols(said.float().softmax(-1), torch.rand(len(said), device=said.device)) if sample else said.argmax(dim=-1)


def mix(
    truth: Tensor, elements: Int[Tensor, " N"] | Float[Tensor, "N C"], places: Bool[Tensor, "B T"]
) -> Int[Tensor, "B T"] | Float[Tensor, "B T width"]:
    """Inputs that are the reference, except at the N places, where they are the given elements. Values known in advance are kept."""
    mixed = truth.clone()
    said = mixed if truth.dim() == 2 else mixed[..., : elements.shape[-1]]
    said[places] = elements.to(truth.dtype)
    return mixed
