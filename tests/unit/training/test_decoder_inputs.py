"""Teacher forcing and scheduled sampling, for symbols and for values."""

import math

import pytest
import torch

from antiphon.contracts import registry
from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Padded, Quantiles
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.models import encoder_only, lstm
from antiphon.training.decoder_inputs import (
    DirectInputsConfig,
    ScheduledSamplingConfig,
    TeacherForcingConfig,
    check_inputs,
    decode_for_training,
    inputs_to_measure,
    mix,
    predict,
    predicted,
    predicted_places,
    truth_probability,
)

TOKENS, VALUES = TokenSpec(size=9, pad=0, unknown=1, start=2, end=3), ValueSpec(channels=3)


def model_and_inputs(spec, name="lstm"):
    plugin = registry.find("models", name)
    settings = {"dim": 8, "dropout": 0.0} | ({"heads": 2} if name == "transformer" else {})
    model = plugin.build(plugin.Config(**settings), spec, spec)
    shape = (3, 6)
    values = torch.randint(4, 9, shape) if spec is TOKENS else torch.randn(*shape, 3)
    padded = Padded(values, torch.tensor([6, 4, 5]))
    return model, padded, model.encode(padded)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0.25, 0.25, 0.25]),
        ("linear", [1.0, 1 - 0.75 * 0.4, 0.25]),
        ("inverse_sigmoid", [50 / 51, 50 / (50 + math.exp(20 / 50)), 0.25]),
    ],
)
def test_schedules_follow_their_formulas(schedule, expected):
    settings = ScheduledSamplingConfig(schedule=schedule, steps=50, end=0.25)
    assert [truth_probability(settings, step) for step in (0, 20, 5000)] == pytest.approx(expected)
    assert truth_probability(settings, 10**9) == 0.25, "no overflow"
    falling = [truth_probability(settings, step) for step in range(0, 600, 10)]
    assert falling == sorted(falling, reverse=True)


def test_places_are_drawn_but_never_the_first_nor_padding(seed):
    inputs = Padded(torch.zeros(200, 50, dtype=torch.long), torch.randint(2, 51, (200,)))
    assert not predicted_places(inputs, 1.0).any()
    behind = inputs.mask & (torch.arange(50) > 0)
    assert torch.equal(predicted_places(inputs, 0.0), behind)
    some = predicted_places(inputs, 0.3)
    assert not some[~behind].any()
    assert float(some[behind].float().mean()) == pytest.approx(0.7, abs=0.03)


def test_mix_puts_elements_at_their_places():
    places = torch.tensor([[False, True, False, True], [False, False, True, False]])
    mixed = mix(torch.arange(8).view(2, 4), torch.tensor([100, 101, 102]), places)
    assert mixed.tolist() == [[0, 100, 2, 101], [4, 5, 102, 7]]
    values = mix(torch.zeros(2, 4, 3), torch.arange(1.0, 7.0).view(3, 2), places)
    assert values[places].tolist() == [[1, 2, 0], [3, 4, 0], [5, 6, 0]], "what is known beside the values stays"
    assert not values[~places].any()


@pytest.mark.parametrize("spec", [TOKENS, VALUES], ids=["tokens", "values"])
def test_what_is_read_was_said_one_step_before(spec, seed):
    model, inputs, memory = model_and_inputs(spec)
    output = model.decode(inputs, memory)
    said = output.values.argmax(-1) if spec is TOKENS else output.values
    places = predicted_places(inputs, 0.4)
    found = predicted(output, inputs, places, spec, sample=False)
    expected = torch.stack([said[row, step - 1] for row, step in places.nonzero().tolist()])
    torch.testing.assert_close(found, expected)


class Counting(torch.nn.Module):
    """A head, and the most rows that it was given at once."""

    def __init__(self, head):
        super().__init__()
        self.head, self.most = head, 0

    def forward(self, features):
        self.most = max(self.most, features[..., 0].numel())
        return self.head(features)


@pytest.mark.parametrize("sample", [False, True])
@pytest.mark.parametrize("spec", [TOKENS, VALUES], ids=["tokens", "values"])
def test_a_pass_never_holds_what_is_said_of_all_steps(spec, sample, seed):
    model, *_ = model_and_inputs(spec)
    values = torch.randint(4, 9, (40, 80)) if spec is TOKENS else torch.randn(40, 80, 3)
    inputs = Padded(values, torch.full((40,), 80))
    model.head = Counting(model.head)
    settings = ScheduledSamplingConfig(schedule="constant", end=0.0, sample=sample)
    output = decode_for_training(settings, model, inputs, model.encode(inputs), 0)
    assert 0 < model.head.most <= 1024
    assert output.values.shape[:2] == (40, 80)


def test_a_pointer_says_what_it_says_of_whole_sequences(seed):
    plugin = registry.find("models", "lstm")
    model = plugin.build(validate(plugin.Config, {"dim": 8, "dropout": 0.0, "head": {"name": "pointer"}}), TOKENS, TOKENS)
    inputs = Padded(torch.randint(4, 9, (3, 6)), torch.tensor([6, 4, 5]))
    output, places = model.decode(inputs, model.encode(inputs)), predicted_places(inputs, 0.2)
    expected = output.values.argmax(-1)[:, :-1][places[:, 1:]]
    assert torch.equal(predicted(output, inputs, places, TOKENS, sample=False), expected)


@pytest.mark.parametrize("spec", [TOKENS, VALUES], ids=["tokens", "values"])
@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_the_truth_alone_is_teacher_forcing(spec, name, seed):
    model, inputs, memory = model_and_inputs(spec, name)
    expected = model.decode(inputs, memory).values
    always = ScheduledSamplingConfig(schedule="constant", end=1.0)
    for settings in (TeacherForcingConfig(), always):
        torch.testing.assert_close(decode_for_training(settings, model, inputs, memory, 0).values, expected, rtol=0, atol=0)


@pytest.mark.parametrize("spec", [TOKENS, VALUES], ids=["tokens", "values"])
@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_as_many_passes_as_steps_are_the_sequential_original(spec, name, seed):
    """With no truth at all, n passes make the first n predictions those of free running."""
    model, inputs, memory = model_and_inputs(spec, name)
    found = decode_for_training(ScheduledSamplingConfig(schedule="constant", end=0.0, passes=6), model, inputs, memory, 0).values
    with torch.no_grad():
        projected, last = model.project(memory), inputs.values[:, 0]
        state = model.init_state(projected, 1, 6)
        for step in range(6):
            output, state = model.step(last, projected, state)
            real = inputs.mask[:, step]
            torch.testing.assert_close(found[real, step], output.values[real], rtol=1e-4, atol=1e-5)
            last = output.values.argmax(-1) if spec is TOKENS else output.values


@pytest.mark.parametrize("bf16", [False, True])
def test_predictions_pass_on_no_gradient_and_take_none_away(bf16, seed):
    model, inputs, memory = model_and_inputs(TOKENS)
    settings = ScheduledSamplingConfig(schedule="constant", end=0.5, passes=2)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        # The pass without gradients must not leave casts behind that the pass with gradients then uses.
        memory = model.encode(inputs)
        values = decode_for_training(settings, model, inputs, memory, 0).values
    values.float().logsumexp(-1).sum().backward()
    missing = [name for name, parameter in model.named_parameters() if parameter.grad is None or not parameter.grad.any()]
    assert not missing


def test_predictions_of_every_kind_of_output(seed):
    logits = torch.randn(6, 9)
    assert torch.equal(predict(logits, symbols=True, sample=False), logits.argmax(-1))
    certain = torch.full((2, 9), -100.0).scatter(-1, torch.tensor([[4], [7]]), 100.0)
    assert predict(certain, symbols=True, sample=True).tolist() == [4, 7]
    torch.manual_seed(seed)
    draws = predict(logits[:1].expand(20_000, 9), symbols=True, sample=True)
    torch.testing.assert_close(draws.bincount(minlength=9) / 20_000, logits[0].softmax(-1), rtol=0, atol=0.015)
    torch.manual_seed(seed)
    assert torch.equal(predict(logits[:1].expand(20_000, 9), symbols=True, sample=True), draws), "the seed decides"
    points = torch.randn(6, 3)
    assert predict(points, symbols=False, sample=False) is points
    normal = torch.distributions.Normal(torch.zeros(6, 3), torch.ones(6, 3))
    assert not predict(normal, symbols=False, sample=False).any()
    assert predict(normal, symbols=False, sample=True).any()


def test_settings_outside_their_range_are_refused():
    for values in ({"end": 1.5}, {"steps": 0}, {"passes": 0}):
        with pytest.raises(ConfigError, match=next(iter(values))):
            validate(ScheduledSamplingConfig, values)


KNOWN = ValueSpec(channels=2, known=1)


def model_that_knows(head, name="lstm"):
    plugin = registry.find("models", name)
    settings = {"dim": 8, "dropout": 0.0, "head": {"name": head}} | ({"heads": 2} if name == "transformer" else {})
    model = plugin.build(validate(plugin.Config, settings), KNOWN, KNOWN)
    inputs = Padded(torch.randn(3, 6, 3), torch.tensor([6, 4, 5]))
    return model, inputs, model.encode(inputs)


@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_direct_reads_the_start_element_and_what_is_known(name, seed):
    model, inputs, memory = model_that_knows("point", name)
    settings = DirectInputsConfig()
    found = decode_for_training(settings, model, inputs, memory, 0).values
    zeroed = inputs.values.clone()
    zeroed[:, 1:, :2] = 0
    torch.testing.assert_close(found, model.decode(Padded(zeroed, inputs.lengths), memory).values, rtol=0, atol=0)
    assert torch.equal(inputs_to_measure(settings, model, inputs).values, zeroed)
    assert inputs_to_measure(TeacherForcingConfig(), model, inputs) is inputs
    assert inputs_to_measure(ScheduledSamplingConfig(), model, inputs) is inputs, "losses are measured on the truth"
    assert not torch.allclose(found, model.decode(inputs, memory).values)


def test_direct_needs_values(seed):
    model, inputs, memory = model_and_inputs(TOKENS)
    with pytest.raises(ConfigError, match=r"`training.decoder_inputs: direct` needs a model that writes real values"):
        decode_for_training(DirectInputsConfig(), model, inputs, memory, 0)


@pytest.mark.parametrize("head", ["point", "quantile", "gaussian", "student_t", "mixture", "negative_binomial"])
@pytest.mark.parametrize("sample", [False, True])
def test_scheduled_sampling_with_every_head_and_known_channels(head, sample, seed):
    model, inputs, memory = model_that_knows(head)
    settings = ScheduledSamplingConfig(schedule="constant", end=0.0, passes=2, sample=sample)
    values = decode_for_training(settings, model, inputs, memory, 0).values
    shape = values.values.shape[:3] if head == "quantile" else (values if head == "point" else values.mean).shape
    assert shape == (3, 6, 2)
    assert predict(Quantiles(torch.tensor([[[1.0, 2.0, 3.0]]]), (0.1, 0.5, 0.9)), symbols=False, sample=sample).tolist() == [[2.0]]


def test_scheduled_sampling_needs_a_model_that_reads_what_it_said():
    frames, symbols = ValueSpec(channels=4), TokenSpec(size=6, pad=0, unknown=1, start=2, end=3)
    encoder = encoder_only.RecurrentEncoderConfig(dim=4, layers=1)
    model = encoder_only.build(encoder_only.EncoderOnlyConfig(encoder=encoder), frames, symbols)
    with pytest.raises(ConfigError, match="must not be `scheduled_sampling` for a model without steps"):
        check_inputs(ScheduledSamplingConfig(), model)
    check_inputs(TeacherForcingConfig(), model)
    check_inputs(ScheduledSamplingConfig(), lstm.build(lstm.LSTMConfig(dim=4), symbols, symbols))
