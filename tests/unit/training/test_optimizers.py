"""Optimizers: which kind, over what, with which settings."""

import pytest
import torch
from torch import nn

from antiphon.training.optimizers import AdafactorConfig, AdamWConfig, SGDConfig, build_optimizer


def parts():
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    model[2].weight.requires_grad_(False)
    return model


@pytest.mark.parametrize("settings", [AdamWConfig(weight_decay=0.1), AdafactorConfig(weight_decay=0.1), SGDConfig(weight_decay=0.1)])
def test_only_matrices_decay_and_frozen_parameters_are_left_out(settings):
    model = parts()
    optimizer = build_optimizer(settings, model.parameters())
    decaying, rest = optimizer.param_groups
    assert [id(p) for p in decaying["params"]] == [id(model[0].weight)]
    assert decaying["weight_decay"] == 0.1
    assert {id(p) for p in rest["params"]} == {id(model[0].bias), id(model[1].weight), id(model[1].bias), id(model[2].bias)}
    assert rest["weight_decay"] == 0.0
    assert {group["lr"] for group in optimizer.param_groups} == {settings.learning_rate}


@pytest.mark.parametrize(
    ("settings", "kind"),
    [(AdamWConfig(), torch.optim.AdamW), (AdafactorConfig(), torch.optim.Adafactor), (SGDConfig(momentum=0.9), torch.optim.SGD)],
)
def test_they_make_a_loss_smaller(settings, kind, seed):
    model, x = nn.Linear(3, 3), torch.randn(8, 3)
    optimizer = build_optimizer(settings, model.parameters())
    assert isinstance(optimizer, kind)
    losses = []
    for _ in range(60):
        loss = (model(x) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]


def test_settings_reach_the_optimizer():
    optimizer = build_optimizer(AdamWConfig(learning_rate=0.5, betas=(0.8, 0.7), epsilon=1e-3), parts().parameters())
    assert {(group["lr"], group["betas"], group["eps"], group["fused"]) for group in optimizer.param_groups} == {
        (0.5, (0.8, 0.7), 1e-3, True)
    }
    assert build_optimizer(SGDConfig(momentum=0.3), parts().parameters()).param_groups[0]["momentum"] == 0.3


def test_a_model_of_matrices_only_has_one_group():
    assert len(build_optimizer(AdamWConfig(), nn.Linear(2, 2, bias=False).parameters()).param_groups) == 1
