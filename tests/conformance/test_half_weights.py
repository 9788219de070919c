"""Every architecture learns with weights in half precision about as with exact ones, and keeps its masters."""

from dataclasses import replace

import pytest
import torch

from antiphon.training.half_weights import HalfWeights
from tests.conformance.variants import SPECS, architectures, batch, every_variant_and_data, fresh, loss_of


def single(data):
    """A batch in single precision, as loaders make it."""
    sides = [replace(side, values=side.values.float()) if side.values.is_floating_point() else side for side in (data.source, data.target)]
    return replace(data, source=sides[0], target=sides[1])


@architectures()
def test_gradients_are_about_those_of_single_precision(variant, seed):
    check_gradients(variant, "tokens", seed)


@pytest.mark.slow
@every_variant_and_data()
def test_gradients_of_every_variant_are_about_those_of_single_precision(variant, kind, seed):
    check_gradients(variant, kind, seed)


def check_gradients(variant, kind, seed):
    model, data = fresh(variant, seed, *SPECS[kind]).eval(), single(batch(kind, seed))
    exact = loss_of(model(data.source, data.inputs), data.labels)
    exact.backward()
    expected = {name: parameter.grad for name, parameter in model.named_parameters()}
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.zero_grad(set_to_none=True)
    with HalfWeights(model).exchanged(), torch.autocast("cpu", torch.bfloat16):
        rough = loss_of(model(data.source, data.inputs), data.labels)
        rough.backward()
    assert abs(rough.item() - exact.item()) <= 0.05 * abs(exact.item()) + 0.05
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items()), "the masters are as they were"
    pairs = [(parameter.grad, expected[name]) for name, parameter in model.named_parameters() if parameter.grad is not None]
    assert all(found.dtype == torch.float32 for found, _ in pairs)
    assert len(pairs) == sum(gradient is not None for gradient in expected.values())
    found, wanted = (torch.cat([pair[side].flatten() for pair in pairs]) for side in (0, 1))
    assert float(torch.nn.functional.cosine_similarity(found, wanted, dim=0)) > 0.97
