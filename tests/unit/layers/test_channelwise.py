"""Channels by themselves: no channel sees another, and all share their weights."""

import pytest
import torch

from antiphon.contracts import registry
from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Padded, Quantiles, Request
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.losses.negative_log_likelihood import plugin as likelihood
from antiphon.losses.pinball import plugin as pinball
from antiphon.models.transformer import TransformerConfig, build
from antiphon.search.rollout import RolloutConfig, RolloutSearch

SOURCE, TARGET = ValueSpec(3 + 2), ValueSpec(3, known=1)
HEADS = [name for name in registry.names("heads") if name not in ("categorical", "pointer")]  # those for values


def model(**settings):
    made = validate(TransformerConfig, {"dim": 8, "heads": 2, "feed_forward_dim": 12, "dropout": 0, "channels": "independent", **settings})
    torch.manual_seed(0)
    return build(made, SOURCE, TARGET).eval()


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
