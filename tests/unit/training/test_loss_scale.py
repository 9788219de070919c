"""The scale of a loss in half precision: the same updates, overflows that cost one update each, and a resumed run that goes on with it."""

import copy
import json
from dataclasses import asdict

import pytest
import torch

from antiphon.errors import TrainingError
from antiphon.store.json_text import json_text
from antiphon.training.distributed import DistributedConfig
from antiphon.training.loss_scale import LossScale
from antiphon.training.precision import computing, precision_notes
from antiphon.training.progress import Progress, check_not_diverged, progress_from
from antiphon.training.results import UpdateResult
from antiphon.training.settings import TrainingConfig
from tests.unit.training.test_step import make_batch, make_model, make_update, weights


def test_a_scaled_update_is_the_same(seed):
    plain, scaled = make_model(seed), make_model(seed)
    expected = make_update(plain, clip_norm=0.5)([make_batch(seed)], 0, 1.0)
    found = make_update(scaled, clip_norm=0.5)([make_batch(seed)], 0, 1.0, LossScale(1024.0))
    assert (found.loss, found.gradient_norm) == pytest.approx((expected.loss, expected.gradient_norm), rel=1e-5)
    for one, other in zip(weights(scaled).values(), weights(plain).values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)


def test_fp16_learns_where_unscaled_gradients_vanish(seed, monkeypatch):
    """On a CPU that is told to imitate it: a loss that is divided by millions has no gradients in fp16, and with a scale it has."""
    monkeypatch.setattr("antiphon.training.precision.has_fp16", lambda _: True)
    model = make_model(seed, "transformer", dim=16, feed_forward_dim=16).float()
    moved = {}
    for scale in (2.0**-24, 65536.0):
        learned = copy.deepcopy(model)
        update = make_update(learned, precision="fp16", learning_rate=0.1)
        assert not update([make_batch(seed)], 0, 1.0, LossScale(scale)).skipped
        pairs = zip(weights(learned).values(), weights(model).values(), strict=True)
        moved[scale] = sum(float((one - other).abs().sum()) for one, other in pairs)
    assert moved[2.0**-24] < 0.5 * moved[65536.0]


def test_an_overflow_costs_an_update_and_halves_the_scale(seed):
    model = make_model(seed).float()
    before = weights(model)
    result = make_update(model)([make_batch(seed)], 0, 1.0, LossScale(2.0**140))
    assert (result.skipped, result.overflowed, result.culprits) == (True, True, ())
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(model).items())
    after = Progress(scale=LossScale(8.0, 5)).after(result, epoch=0, batch=1, seconds=0.0, learning_rate=0.1)
    assert (after.scale, after.skipped, after.skipped_in_a_row) == (LossScale(4.0), 0, 0)
    assert progress_from(json.loads(json_text(asdict(after)))) == after


def test_what_no_scale_can_help_is_divergence():
    bad = UpdateResult(float("nan"), 1, 1.0, skipped=True, culprits=(7,))
    progress = Progress(scale=LossScale(1.0)).after(bad, epoch=0, batch=1, seconds=0.0, learning_rate=0.1)
    with pytest.raises(TrainingError, match="Training diverged"):
        check_not_diverged(progress, bad, 1)
    assert LossScale(1.0).least


def test_the_scale_grows_after_many_updates():
    scale = LossScale(4.0)
    for _ in range(1999):
        scale = scale.after(overflowed=False)
    assert scale == LossScale(4.0, 1999)
    assert scale.after(overflowed=False) == LossScale(8.0)
    assert LossScale(2.0**24, 1999).after(overflowed=False).value == 2.0**24
    assert LossScale(1.0).after(overflowed=True).value == 1.0


def test_what_a_device_lacks_is_said():
    (note,) = precision_notes("fp16", torch.device("cpu"))
    assert note == "`training.precision` is fp16, which GPUs compute with: this CPU computes in fp32."
    (note,) = precision_notes("tf32", torch.device("mps"))
    assert note == "`training.precision` is tf32, which only Nvidia's GPUs know: mps computes in fp32."
    assert precision_notes("tf32", torch.device("cuda")) == precision_notes("fp16", torch.device("cuda")) == []
    with pytest.raises(ValueError, match=r"`precision` must not be `fp16` with `distributed\.shard`"):
        TrainingConfig(max_steps=1, precision="fp16", distributed=DistributedConfig(shard=True))


def test_deterministic_algorithms_are_asked_for_and_given_back():
    with computing("fp32", torch.device("cpu"), deterministic=True):
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    missing = "put_ does not have a deterministic implementation, but you set 'torch.use_deterministic_algorithms(True)'. You can turn off"
    said = r"`training\.deterministic` must be false for this model on cuda: put_ does not have a deterministic implementation"
    with pytest.raises(TrainingError, match=said), computing("tf32", torch.device("cuda"), deterministic=True):
        raise RuntimeError(missing)
    assert torch.get_float32_matmul_precision() == "highest"
