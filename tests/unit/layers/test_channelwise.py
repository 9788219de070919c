"""Channels by themselves: no channel sees another, and all share their weights."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from antiphon.contracts import registry
from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Padded, Quantiles, Request, select_rows
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.losses.negative_log_likelihood import plugin as likelihood
from antiphon.losses.pinball import plugin as pinball
from antiphon.models.transformer import TransformerConfig, build
from antiphon.search.rollout import RolloutConfig, RolloutSearch

SOURCE, TARGET = ValueSpec(3 + 2), ValueSpec(3, known=1)
HEADS = [name for name in registry.names("heads") if name not in ("categorical", "pointer")]  # those for values


MARKED, COUNTED = ValueSpec(3 + 3 + 2, marks=3), ValueSpec(3, known=1 + 3, sizes=3)


def model(source=SOURCE, target=TARGET, **settings):
    made = validate(TransformerConfig, {"dim": 8, "heads": 2, "feed_forward_dim": 12, "dropout": 0, "channels": "independent", **settings})
    torch.manual_seed(0)
    return build(made, source, target).eval()


def data(rows=2):
    generator = torch.Generator().manual_seed(1)
    source = Padded(torch.randn(rows, 6, 5, generator=generator), torch.tensor([6, 4][:rows]))
    return source, Padded(torch.randn(rows, 4, 4, generator=generator), torch.tensor([4, 4][:rows]))


def spread(said):
    """What a head says, as numbers (B, T, C, ...)."""
    if isinstance(said, Quantiles):
        return said.values
    return said if isinstance(said, torch.Tensor) else said.mean


@pytest.mark.parametrize("head", HEADS)
def test_a_channel_sees_nothing_of_the_others(head):
    own, (source, inputs) = model(head=head), data()
    before = spread(own(source, inputs).values)
    assert before.shape[:3] == (2, 4, 3)
    source.values[:, :, 1] += 1
    inputs.values[:, :, 1] += 1
    after = spread(own(source, inputs).values)
    torch.testing.assert_close(after[:, :, [0, 2]], before[:, :, [0, 2]])
    assert not torch.allclose(after[:, :, 1], before[:, :, 1])


@pytest.mark.parametrize("head", HEADS)
def test_channels_share_their_weights(head):
    """Channels in another order are said in that order."""
    own, (source, inputs) = model(head=head), data()
    before = spread(own(source, inputs).values)
    order = [2, 0, 1]
    source.values[:, :, :3], inputs.values[:, :, :3] = source.values[:, :, order], inputs.values[:, :, order]
    torch.testing.assert_close(spread(own(source, inputs).values), before[:, :, order])
    assert len({id(parameter) for parameter in own.parameters()}) == len(own.state_dict())


def test_what_stands_beside_the_targets_is_seen_by_all():
    own, (source, inputs) = model(), data()
    before = own(source, inputs).values
    source.values[:, :, 4] += 1
    assert (own(source, inputs).values != before).flatten(0, 1).any(dim=0).all()


def marked():
    """Sources with marks behind the values; inputs with one known channel, and a size for each channel behind it."""
    generator = torch.Generator().manual_seed(1)
    source = Padded(torch.randn(2, 6, 8, generator=generator), torch.tensor([6, 4]))
    return source, Padded(torch.randn(2, 4, 7, generator=generator), torch.tensor([4, 4]))


def moved(own, source, inputs, *, side, place):
    """Which channels say something else once a number beside the values has changed."""
    before = own(source, inputs).values
    values = (source if side == "source" else inputs).values.clone()
    values[..., place] += 1
    changed = Padded(values, (source if side == "source" else inputs).lengths)
    after = own(changed, inputs).values if side == "source" else own(source, changed).values
    return (after != before).flatten(0, 1).any(dim=0).tolist()


@pytest.mark.parametrize("channel", range(3))
@pytest.mark.parametrize(("side", "first"), [("source", 3), ("inputs", 4)], ids=["marks", "sizes"])
def test_a_channel_reads_its_own_mark_and_size_and_no_others(side, first, channel):
    source, inputs = marked()
    assert moved(model(MARKED, COUNTED), source, inputs, side=side, place=first + channel) == [one == channel for one in range(3)]
    assert all(moved(model(MARKED, COUNTED, channel_inputs="all"), source, inputs, side=side, place=first + channel))


def test_channels_with_their_marks_in_another_order_are_said_in_that_order():
    own, (source, inputs) = model(MARKED, COUNTED), marked()
    before, order = own(source, inputs).values, [2, 0, 1]
    for padded, firsts in ((source, (0, 3)), (inputs, (0, 4))):
        for first in firsts:
            padded.values[:, :, first : first + 3] = padded.values[:, :, [first + place for place in order]]
    torch.testing.assert_close(own(source, inputs).values, before[:, :, order])


def test_what_is_known_beside_marks_and_sizes_is_seen_by_all():
    own, (source, inputs) = model(MARKED, COUNTED), marked()
    for side, place in (("source", 6), ("source", 7), ("inputs", 3)):
        assert all(moved(own, source, inputs, side=side, place=place)), (side, place)


class Recording(TorchDispatchMode):
    """Remembers the most numbers that an operation gave back."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for one in result if isinstance(result, tuple | list) else [result]:
            self.numbers = max(self.numbers, one.numel() if isinstance(one, torch.Tensor) else 0)
        return result


@torch.inference_mode()
def test_a_step_of_many_hypotheses_copies_no_memory():
    """The largest tensor of a step for 50 hypotheses is less than the keys of one layer, once for each hypothesis."""
    own = model(encoder_layers=1, decoder_layers=1)
    source = Padded(torch.randn(2, 400, 5), torch.tensor([400, 300]))
    memory = own.project(own.encode(source))
    state = own.init_state(memory, 50, 3)
    with Recording() as largest:
        for _ in range(2):
            _, state = own.step(torch.randn(100, 4), memory, state)
    once = 2 * 3 * 400 * 8
    assert largest.numbers < 50 * once / 4


@pytest.mark.parametrize("width", [2, 5])
@torch.inference_mode()
def test_a_first_step_taken_once_leads_to_the_same_paths(width):
    """The state of one hypothesis for each source, repeated, goes on as a state that had them from the beginning."""
    own, (source, inputs) = model(), data()
    memory = own.project(own.encode(source))
    rows = torch.arange(2).repeat_interleave(width)
    first, later = inputs.values[:, 0], torch.randn(2, 2 * width, 4, generator=torch.Generator().manual_seed(3))
    _, apart = own.step(first[rows], memory, own.init_state(memory, width, 4))
    _, once = own.step(first, memory, own.init_state(memory, 1, 4))
    once = select_rows(once, rows)
    for last in later:
        expected, apart = own.step(last, memory, apart)
        found, once = own.step(last, memory, once)
        torch.testing.assert_close(found.values, expected.values)


@pytest.mark.parametrize(("head", "loss"), [("gaussian", likelihood), ("mixture", likelihood), ("quantile", pinball)])
def test_it_can_be_trained(head, loss):
    own, (source, inputs) = model(head=head), data()
    labels = Padded(inputs.values[..., :3], inputs.lengths)
    losses = loss.build(loss.Config(), TARGET)(own(source, inputs), labels)
    losses.total.backward()
    assert losses.rows.shape == (2,)
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in own.parameters())


def test_sample_paths_of_a_source_alone_and_beside_another():
    own, (source, _) = model(head="gaussian"), data()
    generator = torch.Generator().manual_seed(2)
    requests = [Request(known=torch.randn(4, 4, generator=generator).numpy()) for _ in range(2)]
    search = RolloutSearch(RolloutConfig(samples=5))
    together = search(own, source, requests)
    alone = search(own, source.select_rows(torch.tensor([1])), requests[1:])
    assert together[0][0].samples.shape == (5, 4, 3)
    torch.testing.assert_close(torch.tensor(alone[0][0].samples), torch.tensor(together[1][0].samples), rtol=1e-4, atol=1e-5)


def test_refused():
    settings = validate(TransformerConfig, {"dim": 8, "heads": 2, "channels": "independent"})
    tokens = TokenSpec(size=9, pad=0, unknown=1, start=2, end=3)
    with pytest.raises(ConfigError, match=r"`model.channels` must be `mixing` when source or target is made of symbols"):
        build(settings, tokens, tokens)
    mixing = validate(TransformerConfig, {"dim": 8, "heads": 2, "channel_inputs": "all"})
    with pytest.raises(ConfigError, match=r"`model.channel_inputs` has no effect without `model.channels: independent`, but is all"):
        build(mixing, SOURCE, TARGET)
    with pytest.raises(ConfigError, match=r"when the source \(1 channels\) does not hold the target's \(2\)"):
        build(settings, ValueSpec(1), ValueSpec(2))
    for wrong, said in (
        ({"patch_length": 0}, "`model.patch_length` must be at least 1"),
        ({"patch_stride": 2}, "`model.patch_stride` must be from 1 to `model.patch_length`"),
        ({"patch_length": 2, "patch_stride": 3}, r"`model.patch_stride` must be from 1 to `model.patch_length` \(2\), but is 3"),
    ):
        with pytest.raises(ConfigError, match=said):
            build(validate(TransformerConfig, {"dim": 8, "heads": 2, **wrong}, path="model"), SOURCE, TARGET)
    with pytest.raises(ConfigError, match="only values have patches"):
        build(validate(TransformerConfig, {"dim": 8, "heads": 2, "patch_length": 2}), tokens, tokens)
