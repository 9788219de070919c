"""Weights in half precision, and their masters: the update written out, sums over micro-batches, exact resuming, and how well it learns."""

import copy

import pytest
import torch
from torch import nn

from antiphon.losses.cross_entropy import CrossEntropy
from antiphon.training.decoder_inputs import TeacherForcingConfig
from antiphon.training.distributed import Ranks
from antiphon.training.half_weights import HalfWeights
from antiphon.training.optimizers import AdamWConfig, build_optimizer, load_optimizer, optimizer_tensors
from antiphon.training.precision import autocast, precision_notes
from antiphon.training.step import Update
from tests.unit.training.test_step import make_batch, make_model, make_update, parts_of, weights


@pytest.fixture(autouse=True)
def imitated(monkeypatch):
    """Let a processor without bf16 imitate it, as slow as that is."""
    for module in ("precision", "gradients"):
        monkeypatch.setattr(f"antiphon.training.{module}.has_bf16", lambda _: True)


def adam(model, precision, learning_rate=5e-3):
    optimizer = build_optimizer(AdamWConfig(learning_rate=learning_rate), model)
    ranks = Ranks(0, 1, torch.device("cpu"))
    loss, inputs = CrossEntropy(), TeacherForcingConfig()
    return Update.of(model, loss, optimizer, ranks, inputs=inputs, clip_norm=1.0, precision=precision, seed=1)


def learn(model, precision, updates, seed):
    update = adam(model, precision)
    return [update([make_batch(seed + number % 4)], number, 1.0).loss for number in range(updates)]


def test_an_update_is_that_of_a_rounded_model_on_the_exact_weights(seed):
    model = make_model(seed, "transformer", dim=16, feed_forward_dim=16).float()
    rounded = copy.deepcopy(model)
    norms = {id(parameter) for part in rounded.modules() if isinstance(part, nn.LayerNorm) for parameter in part.parameters()}
    for parameter in rounded.parameters():
        if id(parameter) not in norms:
            parameter.data = parameter.data.bfloat16()
    data = make_batch(seed)
    with torch.autocast("cpu", torch.bfloat16):
        found = CrossEntropy()(rounded.decode(data.inputs, rounded.encode(data.source)), data.labels)
    (found.total / int(data.labels.mask.sum())).backward()
    before = weights(model)
    update = make_update(model, precision="bf16_weights", learning_rate=0.5)
    update([data], 0, 1.0)
    gradients = {name: parameter.grad.float() for name, parameter in rounded.named_parameters()}
    for name, tensor in weights(model).items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, before[name] - 0.5 * gradients[name], rtol=0, atol=1e-7)
    assert any(not torch.equal(tensor, tensor.bfloat16().float()) for tensor in weights(model).values()), "masters keep small changes"


def test_small_changes_add_up_in_the_masters(seed):
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.data.fill_(1.0)
    half = HalfWeights(layer)
    for _ in range(100):
        with half.exchanged():
            assert layer.weight.dtype == torch.bfloat16
            layer(torch.ones(1, 1, dtype=torch.bfloat16)).sum().backward()
        layer.weight.data -= 1e-4 * layer.weight.grad
        layer.weight.grad = None
    assert layer.weight.item() == pytest.approx(0.99, abs=1e-5), "each change alone is lost in bfloat16"


def test_micro_batches_are_summed_in_single_precision(seed):
    layer = nn.Linear(1, 1, bias=False)
    half = HalfWeights(layer)
    for _ in range(300):
        with half.exchanged():
            layer(torch.ones(1, 1, dtype=torch.bfloat16)).sum().backward()
    assert layer.weight.grad.item() == 300, "in bfloat16 the sum of ones stays at 256"


def test_accumulated_micro_batches_move_the_weights_as_one_batch_does(seed):
    one, several = (make_model(seed, "transformer").float() for _ in range(2))
    start, data = weights(one), make_batch(seed)
    make_update(one, precision="bf16_weights")([data], 0, 1.0)
    make_update(several, precision="bf16_weights")(parts_of(data, 2, 5), 0, 1.0)
    steps = [torch.cat([(tensor - start[name]).flatten() for name, tensor in weights(model).items()]) for model in (one, several)]
    assert float(torch.nn.functional.cosine_similarity(*steps, dim=0)) > 0.995


def test_an_error_leaves_the_masters_in_place(seed):
    model = make_model(seed).float()
    before = weights(model)
    with pytest.raises(ValueError, match="stop"), HalfWeights(model).exchanged():
        raise ValueError("stop")
    assert all(torch.equal(tensor, before[name]) and tensor.dtype == torch.float32 for name, tensor in weights(model).items())


def test_tied_and_frozen_weights_stay_what_they_are(seed):
    model = make_model(seed, "transformer", tied_embeddings="all").float()
    model.encoder.requires_grad_(False)
    before = weights(model)
    make_update(model, precision="bf16_weights")([make_batch(seed)], 0, 1.0)
    assert model.head.weight is model.target_positioned.frontend.embedding.weight
    for name, tensor in weights(model).items():
        assert torch.equal(tensor, before[name]) == name.startswith("encoder."), name


@pytest.mark.parametrize(("name", "settings"), [("transformer", {}), ("lstm", {}), ("lstm", {"input_feeding": True, "cell": "gru"})])
def test_losses_follow_those_of_single_precision(name, settings, seed):
    exact, rough = (make_model(seed, name, **{"dim": 16, **settings}).float() for _ in range(2))
    expected, found = learn(exact, "fp32", 24, seed), learn(rough, "bf16_weights", 24, seed)
    assert expected[-1] < 0.9 * expected[0], "something was learned"
    for one, other in zip(expected, found, strict=True):
        assert other == pytest.approx(one, rel=0.03)


def test_a_resumed_training_ends_with_the_same_bits(seed):
    whole, first = (make_model(seed, "transformer", dropout=0.1).float() for _ in range(2))
    update = adam(whole, "bf16_weights")
    for number in range(4):
        update([make_batch(number)], number, 1.0)
    half = adam(first, "bf16_weights")
    for number in range(2):
        half([make_batch(number)], number, 1.0)
    names = {id(parameter): name for name, parameter in first.named_parameters()}
    saved, moments = copy.deepcopy(first.state_dict()), optimizer_tensors(half.optimizer, names)
    assert all(tensor.dtype != torch.bfloat16 for tensor in (*saved.values(), *moments.values())), "checkpoints are in single precision"
    second = make_model(seed + 1, "transformer", dropout=0.1).float()
    second.load_state_dict(saved)
    rest = adam(second, "bf16_weights")
    load_optimizer(rest.optimizer, {id(parameter): name for name, parameter in second.named_parameters()}, moments)
    for number in range(2, 4):
        rest([make_batch(number)], number, 1.0)
    assert all(torch.equal(tensor, weights(whole)[name]) for name, tensor in weights(second).items())


def test_a_cpu_without_bf16_keeps_exact_weights_and_says_so(monkeypatch, seed):
    for module in ("precision", "gradients"):
        monkeypatch.setattr(f"antiphon.training.{module}.has_bf16", lambda _: False)
    assert "is bf16_weights" in precision_notes("bf16_weights", torch.device("cpu"))[0]
    exact, same = make_model(seed).float(), make_model(seed).float()
    make_update(exact)([make_batch(seed)], 0, 1.0)
    make_update(same, precision="bf16_weights")([make_batch(seed)], 0, 1.0)
    assert all(torch.equal(tensor, weights(exact)[name]) for name, tensor in weights(same).items())
    with autocast("bf16_weights", torch.device("cpu")):
        assert not torch.is_autocast_enabled("cpu")
