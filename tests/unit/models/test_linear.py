"""The linear model: what it computes, what it reads of window and inputs, every head, and what is refused."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from antiphon.contracts import registry
from antiphon.contracts.configuration import validate
from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.sequences import Batch, Padded, Request, pad
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.errors import ConfigError, DataError
from antiphon.models.linear import ChannelMap, LinearConfig, build, latest, moving_average, season_means
from antiphon.search.direct import DirectConfig, DirectSearch

TOKENS = TokenSpec(size=9, pad=0, unknown=1, start=2, end=3)
LENGTHS = {"context_length": 6, "horizon": 4}
SETTINGS = [
    {},
    {"shared": False, "features": 1},
    {"decomposition": "trend", "kernel_size": 3},
    {"decomposition": "seasonal", "kernel_size": 5, "season": 3},
]
every_setting = pytest.mark.parametrize("settings", SETTINGS, ids=str)


def make(source=5, target=2, known=0, **settings):
    return build(validate(LinearConfig, {**LENGTHS, **settings}), ValueSpec(source), ValueSpec(target, known)).double().eval()


def windows(lengths, channels=5):
    values = torch.randn(len(lengths), max(lengths), channels, dtype=torch.float64)
    return Padded(values, torch.tensor(lengths))


def inputs(rows, steps=4, width=2):
    return Padded(torch.randn(rows, steps, width, dtype=torch.float64), torch.full((rows,), steps))


@every_setting
@torch.no_grad()
def test_it_is_one_linear_map_of_the_window(settings, seed):
    model, given = make(**settings), inputs(1)

    def said(values):
        return model(Padded(values, torch.tensor([6])), given).values

    one, other, zero = torch.randn(1, 6, 5).double(), torch.randn(1, 6, 5).double(), torch.zeros(1, 6, 5).double()
    expected = 2 * (said(one) - said(zero)) - 3 * (said(other) - said(zero)) + said(zero)
    torch.testing.assert_close(said(2 * one - 3 * other), expected)
    assert said(one).shape == (1, 4, 2)
    assert not torch.allclose(said(one), said(zero))


@torch.no_grad()
def test_the_map_by_hand(seed):
    """One channel, one feature, a point head: y = w (A x + a) + b."""
    model = make(source=1, target=1, features=1)
    x = torch.randn(3, 6, 1).double()
    weight, bias = model.maps[0].weight[0], model.maps[0].bias[0]
    expected = (x[..., 0] @ weight.T + bias) * model.head.weight[0, 0] + model.head.bias[0]
    torch.testing.assert_close(model(Padded(x, torch.tensor([6, 6, 6])), inputs(3, width=1)).values[..., 0], expected)


class Largest(TorchDispatchMode):
    """Remembers the most numbers that an operation gave back."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.numbers = max(self.numbers, result.numel())
        return result


def test_a_shared_map_is_never_repeated_for_the_channels(seed):
    """40 channels, one window: forward and backward make nothing as large as a map for each channel, and give what a loop gives."""
    layer = ChannelMap(24, 16, 40, shared=True)
    windows = torch.randn(1, 40, 24)
    with Largest() as largest:
        said = layer(windows)
        said.square().sum().backward()
    assert largest.numbers < 40 * 24 * 16 / 4
    expected = torch.stack([windows[:, channel] @ layer.weight[0].T + layer.bias[0] for channel in range(40)], dim=1)
    torch.testing.assert_close(said, expected)
    torch.testing.assert_close(layer.weight.grad[0], 2 * torch.einsum("bcn,bcs->ns", expected, windows), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_channels_beside_the_target_and_values_of_the_inputs_are_not_read(seed):
    model, source = make(known=1), windows([6, 6])
    changed = source.values.clone()
    changed[..., 2:] = 9.0
    given = inputs(2, width=3)
    other = given.values.clone()
    other[..., :2] = 7.0
    expected = model(source, given).values
    torch.testing.assert_close(model(Padded(changed, source.lengths), Padded(other, given.lengths)).values, expected)
    known = given.values.clone()
    known[:, 1, 2] += 1
    moved = (model(source, Padded(known, given.lengths)).values != expected).any(-1).any(0)
    assert moved.tolist() == [False, True, False, False], "what is known of a step matters at that step"


@torch.no_grad()
def test_long_windows_are_read_from_their_end_and_short_ones_continued_backwards(seed):
    model, given, values = make(), inputs(1), torch.randn(1, 9, 5).double()
    long = model(Padded(values, torch.tensor([9])), given).values
    torch.testing.assert_close(model(Padded(values[:, 3:], torch.tensor([6])), given).values, long)
    short = model(Padded(values, torch.tensor([4])), given).values
    continued = torch.cat([values[:, :1], values[:, :1], values[:, :4]], dim=1)
    torch.testing.assert_close(model(Padded(continued, torch.tensor([6])), given).values, short)


def test_the_latest_elements():
    values = torch.arange(10.0).view(2, 5, 1)
    mask = torch.tensor([[True] * 5, [True] * 2 + [False] * 3])
    assert latest(values, mask, 3)[..., 0].tolist() == [[2, 3, 4], [5, 5, 6]]


def test_parts_of_the_decomposition():
    window = torch.tensor([1.0, 2, 6, 3]).view(1, 1, 4)
    torch.testing.assert_close(moving_average(window, 3)[0, 0], torch.tensor([4 / 3, 3, 11 / 3, 4]))
    assert season_means(window, 2)[0, 0].tolist() == [3.5, 2.5, 3.5, 2.5]
    assert moving_average(window, 1).tolist() == window.tolist()


@torch.no_grad()
def test_fewer_steps_are_the_first_ones_and_more_are_refused(seed):
    model, source = make(), windows([6, 6])
    torch.testing.assert_close(model(source, inputs(2, 2)).values, model(source, inputs(2, 4)).values[:, :2])
    with pytest.raises(DataError, match=r"must have at most 4 steps, the `model.horizon` it was trained with, but 5 are asked for"):
        model(source, inputs(2, 5))


@pytest.mark.parametrize("head", [name for name in registry.names("heads") if name not in ("categorical", "pointer")])
def test_any_head_learns(head, seed):
    """Sines of random phase; counts for the head that says counts. The loss must fall, and reach every parameter."""
    model = make(source=1, target=1, head={"name": head}).float().train()
    plugin = registry.find("losses", registry.find("heads", head).loss)
    loss = plugin.build(plugin.Config(), ValueSpec(1))
    waves = np.sin(np.arange(11) * 0.7 + np.random.default_rng(seed).uniform(0, 6, size=(48, 1)))[..., None]
    waves = np.round(3 + 3 * waves) if head == "negative_binomial" else waves
    batch = Batch(pad(list(waves[:, :6])), pad(list(waves[:, 5:10])))
    optimizer = torch.optim.Adam(model.parameters(), 0.03)
    values = []
    for _ in range(60):
        optimizer.zero_grad()
        value = loss(model(batch.source, batch.inputs), batch.labels).total / batch.labels.mask.sum()
        value.backward()
        assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())
        optimizer.step()
        values.append(float(value.detach()))
    assert values[-1] < values[0] - 0.2 * abs(values[0])


def test_the_direct_search_forecasts_with_it(seed):
    model = make(target=2, known=1)
    assert not isinstance(model, StepwiseModel)
    requests = [Request(known=np.ones((4, 3), dtype=np.float32)), Request(known=np.ones((2, 3), dtype=np.float32))]
    found = DirectSearch(DirectConfig())(model.float(), Padded(torch.randn(2, 6, 5), torch.tensor([6, 3])), requests)
    assert [own[0].elements.shape for own in found] == [(4, 2), (2, 2)]


REFUSED = [
    ({}, TOKENS, ValueSpec(1), "`model.name` must not be `linear` when source or target is made of symbols"),
    ({}, ValueSpec(1), TOKENS, "`model.name` must not be `linear` when source or target is made of symbols"),
    ({"context_length": None}, ValueSpec(1), ValueSpec(1), "`model.context_length` is missing"),
    ({"horizon": None}, ValueSpec(1), ValueSpec(1), "`model.horizon` is missing"),
    ({}, ValueSpec(1), ValueSpec(2), "must hold the 2 channels of its target, but has 1 channels"),
    ({"decomposition": "trend", "kernel_size": 4}, ValueSpec(1), ValueSpec(1), "`model.kernel_size` must be odd, but is 4"),
    ({"kernel_size": 5}, ValueSpec(1), ValueSpec(1), "`model.kernel_size` has no effect without a decomposition"),
    ({"season": 7}, ValueSpec(1), ValueSpec(1), "`model.season` must be given for the decomposition `seasonal`, and has no effect"),
    ({"decomposition": "seasonal"}, ValueSpec(1), ValueSpec(1), "`model.season` must be given for the decomposition `seasonal`"),
    ({"shared": False}, ValueSpec(1), ValueSpec(1), "`model.shared` has no effect on a target of one channel"),
    ({"head": {"name": "categorical"}}, ValueSpec(1), ValueSpec(1), "model.head.name"),
]


@pytest.mark.parametrize(("settings", "source", "target", "sentence"), REFUSED, ids=[str(case[0]) for case in REFUSED])
def test_refused(settings, source, target, sentence):
    with pytest.raises(ConfigError) as caught:
        build(validate(LinearConfig, {**LENGTHS, **settings}), source, target)
    assert sentence in str(caught.value)


def test_lengths_must_be_positive():
    with pytest.raises(ConfigError, match="horizon"):
        validate(LinearConfig, {"horizon": 0})
