"""Weights: the same from the same seed, all of them used, tied where they say so, and the same after saving and loading."""

import json

import pytest
import torch

from antiphon.contracts import registry
from antiphon.contracts.configuration import plain, validate
from antiphon.errors import CheckpointError
from antiphon.recipe.assembly import load_weights
from antiphon.store import checkpoint
from tests.conformance.variants import (
    SPECS,
    TOKENS,
    VARIANTS,
    architectures,
    batch,
    build,
    close,
    every_variant,
    every_variant_and_data,
    fresh,
    gradients,
    said,
)


def test_every_architecture_has_variants():
    missing = [name for name in registry.names("models") if not VARIANTS.get(name)]
    assert not missing, f"list settings of {', '.join(missing)} in tests/conformance/variants.py, so that its variations are tested"
    unknown = [name for name in VARIANTS if name not in registry.names("models")]
    assert not unknown, f"there is no architecture {', '.join(unknown)}"


@every_variant_and_data()
def test_the_loss_reaches_every_parameter(variant, kind, seed):
    model = build(variant, seed, kind).train()
    constant = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    for name, gradient in gradients(model, batch(kind, seed)).items():
        if name in constant:
            continue
        assert bool(torch.isfinite(gradient).all()), f"the gradient of {name} is not finite"
        assert gradient.any(), f"{name} gets no gradient, so it is not used"


@every_variant()
def test_the_same_seed_gives_the_same_weights(variant, seed):
    one, same, other = (fresh(variant, number).state_dict() for number in (seed, seed, seed + 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in one.values())


@every_variant(whole=True)
def test_what_is_tied_is_one_parameter_and_stays_so(variant, seed, tmp_path):
    model = build(variant, seed)
    published = variant.architecture == "pretrained"  # it has a name for the shared table itself, too
    tied = "all" if published else getattr(model.settings, "tied_embeddings", "none")
    tables = [
        name
        for name, parameter in model.named_parameters(remove_duplicate=False)
        if parameter.shape[0] == TOKENS.size and parameter.dim() == 2
    ]
    objects = {id(dict(model.named_parameters(remove_duplicate=False))[name]) for name in tables}
    assert len(tables) == 3 + published, f"source, target and output, but found {tables}"
    assert len(objects) == {"none": 3, "decoder": 2, "all": 1}[tied]
    checkpoint.write(tmp_path / "saved", {}, model.state_dict())
    other = build(variant, seed + 1)
    load_weights(other, checkpoint.read(tmp_path / "saved").weights(), "here")
    with torch.no_grad():
        next(parameter for name, parameter in other.named_parameters() if name in tables).zero_()
    zero = [name for name, parameter in other.named_parameters(remove_duplicate=False) if name in tables and not parameter.any()]
    assert len(zero) == {"none": 1, "decoder": 2, "all": len(tables)}[tied] or (tied == "decoder" and len(zero) == 1)
    assert len({id(dict(other.named_parameters(remove_duplicate=False))[name]) for name in tables}) == len(objects)


@every_variant_and_data(whole=True)
def test_a_saved_model_is_the_same_model(variant, kind, seed, tmp_path):
    model, data = build(variant, seed, kind), batch(kind, seed)
    plugin = registry.find("models", variant.architecture)
    header = {"settings": plain(model.settings)}
    checkpoint.write(tmp_path / "saved", header, model.state_dict())
    saved = checkpoint.read(tmp_path / "saved")
    settings = validate(plugin.Config, json.loads(json.dumps(saved.header["settings"])))
    other = plugin.build(settings, *SPECS[kind]).double().eval()
    load_weights(other, saved.weights(), "here")
    with torch.no_grad():
        assert torch.equal(said(other(data.source, data.inputs)), said(model(data.source, data.inputs))), "not a bit may differ"


@architectures()
def test_weights_that_do_not_fit_are_refused_by_name(variant, seed):
    model, other = fresh(variant, seed), fresh(variant, seed)
    weights = model.own_weights()
    name = next(iter(weights))
    with pytest.raises(CheckpointError, match="misses the weights " + name):
        load_weights(other, {key: tensor for key, tensor in weights.items() if key != name}, "here")
    with pytest.raises(CheckpointError, match="has unknown the weights stranger"):
        load_weights(other, {**weights, "stranger": torch.zeros(1)}, "here")
    with pytest.raises(CheckpointError, match="another shape for the weights " + name):
        load_weights(other, {**weights, name: torch.zeros(1, 1, 1)}, "here")


@every_variant()
def test_bf16_is_close_to_fp32_and_has_gradients(variant, seed):
    model, data = fresh(variant, seed).eval(), batch("tokens", seed)
    mask = data.inputs.mask
    with torch.no_grad():
        exact = model(data.source, data.inputs).values
    with torch.autocast("cpu", torch.bfloat16):
        rough = model(data.source, data.inputs).values.float()
    tolerance = 0.06 * float(exact[mask].abs().max()) + 0.02
    assert float((rough.detach() - exact)[mask].abs().max()) < tolerance
    rough[mask].logsumexp(-1).sum().backward()
    found = {name for name, parameter in model.named_parameters() if parameter.grad is not None and bool(parameter.grad.isfinite().all())}
    assert found == {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        memory = model.project(model.encode(data.source))
        state = model.init_state(memory, 1, data.inputs.values.shape[1])
        for column in range(data.inputs.values.shape[1]):
            output, state = model.step(data.inputs.values[:, column], memory, state)
            rows = mask[:, column]
            assert float((output.values.float() - exact[:, column])[rows].abs().max()) < tolerance


@every_variant(whole=True)
def test_dropout_is_on_in_training_only_and_repeatable(variant, seed):
    model, data = fresh(variant, seed, dropout=0.5), batch("tokens", seed)
    if not hasattr(model.settings, "dropout"):
        pytest.skip("this architecture has no dropout")

    def run():
        torch.manual_seed(seed)
        return model(data.source, data.inputs).values.detach()

    model.eval()
    still = run()
    assert torch.equal(still, model(data.source, data.inputs).values.detach())
    model.train()
    assert torch.equal(run(), run()), "random numbers must come from torch's generator alone"
    assert not torch.equal(run(), model(data.source, data.inputs).values.detach())


def test_checkpointed_activations_change_no_gradient(seed):
    variant = next(item for item in VARIANTS["transformer"] if item.name == "checkpointed activations")
    data = batch("tokens", seed)
    found, expected = (gradients(build(variant, seed, checkpoint_activations=on).train(), data) for on in (True, False))
    for name, gradient in expected.items():
        close(found[name], gradient)
