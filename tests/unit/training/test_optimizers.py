"""Optimizers: which kind, over what, with which settings."""

import pytest
import torch
from torch import nn

from antiphon.errors import ConfigError
from antiphon.training.adafactor import Adafactor
from antiphon.training.optimizers import (
    AdafactorConfig,
    AdamWConfig,
    SGDConfig,
    build_optimizer,
    load_optimizer,
    optimizer_tensors,
    step_unless,
)
from antiphon.training.rates import distances


def parts():
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    model[2].weight.requires_grad_(False)
    return model


@pytest.mark.parametrize("settings", [AdamWConfig(weight_decay=0.1), AdafactorConfig(weight_decay=0.1), SGDConfig(weight_decay=0.1)])
def test_only_matrices_decay_and_frozen_parameters_are_left_out(settings):
    model = parts()
    optimizer = build_optimizer(settings, model)
    decaying, rest = optimizer.param_groups
    assert [id(p) for p in decaying["params"]] == [id(model[0].weight)]
    assert decaying["weight_decay"] == 0.1
    assert {id(p) for p in rest["params"]} == {id(model[0].bias), id(model[1].weight), id(model[1].bias), id(model[2].bias)}
    assert rest["weight_decay"] == 0.0
    assert {group["lr"] for group in optimizer.param_groups} == {settings.learning_rate}


@pytest.mark.parametrize(
    ("settings", "kind"),
    [(AdamWConfig(), torch.optim.AdamW), (AdafactorConfig(), Adafactor), (SGDConfig(momentum=0.9), torch.optim.SGD)],
)
def test_they_make_a_loss_smaller(settings, kind, seed):
    model, x = nn.Linear(3, 3), torch.randn(8, 3)
    optimizer = build_optimizer(settings, model)
    assert isinstance(optimizer, kind)
    losses = []
    for _ in range(60):
        loss = (model(x) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("settings", [AdamWConfig(weight_decay=0.1), AdafactorConfig(weight_decay=0.1), SGDConfig(momentum=0.9)])
def test_a_skipped_step_leaves_weights_and_state_as_they_are(settings, seed):
    steps = [torch.randn(3, 3) for _ in range(4)]
    found = []
    for gradients in (steps, [steps[0], torch.full((3, 3), float("nan")), *steps[1:], torch.full((3, 3), float("inf"))]):
        model = nn.Linear(3, 3, bias=False)
        nn.init.ones_(model.weight)
        optimizer = build_optimizer(settings, model)
        for gradient in gradients:
            model.weight.grad = gradient.clone()
            step_unless(optimizer, 1 - gradient.isfinite().all().float())
        found.append({"weight": model.weight.detach(), **optimizer_tensors(optimizer, {id(model.weight): "w"})})
    assert all(torch.equal(tensor, found[1][name]) for name, tensor in found[0].items()), "its step count, too"
    assert found[0].keys() == found[1].keys()
    assert not hasattr(optimizer, "found_inf")


def test_settings_reach_the_optimizer():
    optimizer = build_optimizer(AdamWConfig(learning_rate=0.5, betas=(0.8, 0.7), epsilon=1e-3), parts())
    assert {(group["lr"], group["betas"], group["eps"], group["fused"]) for group in optimizer.param_groups} == {
        (0.5, (0.8, 0.7), 1e-3, True)
    }
    assert build_optimizer(SGDConfig(momentum=0.3), parts()).param_groups[0]["momentum"] == 0.3


def test_a_model_of_matrices_only_has_one_group():
    assert len(build_optimizer(AdamWConfig(), nn.Linear(2, 2, bias=False)).param_groups) == 1


class Stacks(nn.Module):
    """Names like those of an encoder-decoder: two stacks of different depth, an embedding, a head, a norm behind the last layer."""

    def __init__(self):
        super().__init__()
        self.source_frontend = nn.Embedding(5, 2)
        self.encoder = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
        self.decoder = nn.ModuleList(nn.Linear(2, 2) for _ in range(2))
        self.decoder_norm = nn.LayerNorm(2)
        self.head = nn.Linear(2, 5)


def rates(optimizer, model):
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(one)]: group["lr"] for group in optimizer.param_groups for one in group["params"]}


def test_rates_fall_with_depth():
    found = rates(build_optimizer(AdamWConfig(learning_rate=1.0, layer_decay=0.5), model := Stacks()), model)
    expected = {"head": 1, "decoder_norm": 1, "encoder.2": 0.5, "encoder.1": 0.25, "encoder.0": 0.125, "decoder.1": 0.5, "decoder.0": 0.25}
    for name, rate in {**expected, "source_frontend": 0.0625}.items():
        assert {found[other] for other in found if other.startswith(name + ".")} == {rate}, name
    assert build_optimizer(AdamWConfig(layer_decay=0.5), model).param_groups[0]["lr"] == AdamWConfig().learning_rate, "what the log shows"


@pytest.mark.parametrize("settings", [AdamWConfig, AdafactorConfig, SGDConfig])
def test_factors_multiply_the_rate_of_what_they_match(settings):
    model = Stacks()
    found = rates(build_optimizer(settings(learning_rate=1.0, factors={"encoder.*": 0.5, "*.bias": 4.0}), model), model)
    assert (found["encoder.0.weight"], found["encoder.0.bias"], found["head.bias"], found["head.weight"]) == (0.5, 2.0, 4.0, 1.0)


def test_patterns_and_depths_that_do_nothing_are_refused():
    model = Stacks()
    with pytest.raises(ConfigError, match=r"factors` must match .* 'encodr\.\*' matches none of: source_frontend\.\*, encoder\.\*"):
        build_optimizer(AdamWConfig(factors={"encodr.*": 0.5}), model)
    model.encoder.requires_grad_(False)
    with pytest.raises(ConfigError, match="'encoder"):
        build_optimizer(AdamWConfig(factors={"encoder.*": 0.5}), model)
    with pytest.raises(ConfigError, match="no numbered layers"):
        build_optimizer(AdamWConfig(layer_decay=0.5), nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("name", "distance"),
    [
        ("network.model.encoder.layers.0.self_attn.q_proj.base_layer.weight", 2),
        ("network.model.encoder.layers.1.self_attn.q_proj.lora_A.default.weight", 1),
        ("network.model.encoder.layernorm_embedding.weight", 4),
        ("network.encoder.block.2.layer.0.SelfAttention.q.weight", 1),
        ("network.encoder.final_layer_norm.weight", 0),
        ("network.shared.weight", 4),
        ("source_frontend.subsampling.0.weight", 4),
        ("encoder.layers.0.conv.weight", 1),
    ],
)
def test_depth_is_read_from_the_names_of_every_family(name, distance):
    others = ("network.model.encoder.layers.1.x", "network.encoder.block.2.layer.0.x")
    assert distances([name, *others])[name] == distance


def test_the_state_does_not_depend_on_groups(seed):
    one, two = Stacks(), Stacks()
    two.load_state_dict(one.state_dict())
    optimizers = [build_optimizer(AdamWConfig(layer_decay=0.5, factors={"head.*": 3.0}), model) for model in (one, two)]
    for model, optimizer in zip((one, two), optimizers, strict=True):
        sum(parameter.square().sum() for parameter in model.parameters()).backward()
        optimizer.step()
    names = [{id(parameter): name for name, parameter in model.named_parameters()} for model in (one, two)]
    fresh = build_optimizer(AdamWConfig(layer_decay=0.5, factors={"head.*": 3.0}), two)
    load_optimizer(fresh, names[1], optimizer_tensors(optimizers[0], names[0]))
    for optimizer in (optimizers[0], fresh):
        optimizer.step()
    for name, parameter in one.named_parameters():
        assert torch.equal(parameter, dict(two.named_parameters())[name]), name
