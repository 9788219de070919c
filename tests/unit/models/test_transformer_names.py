"""The decoder's parts keep the names that they have in checkpoints, and belong to one model."""

import copy

import torch

from antiphon.contracts.sequences import Padded
from antiphon.contracts.specs import TokenSpec
from antiphon.models.transformer import TransformerConfig, build

SYMBOLS = TokenSpec(9, 0, 1, 2, 3)
SMALL = TransformerConfig(dim=8, heads=2, encoder_layers=1, decoder_layers=2, feed_forward_dim=8, dropout=0.0, positions="relative")


def test_weights_are_called_as_in_every_checkpoint():
    names = set(build(SMALL, SYMBOLS, SYMBOLS).state_dict())
    assert {name.split(".")[0] for name in names} == {
        "source_positioned",
        "target_positioned",
        "encoder",
        "encoder_norm",
        "decoder",
        "decoder_norm",
        "head",
    }
    for name in (
        "target_positioned.frontend.embedding.weight",
        "decoder.1.cross.query.weight",
        "decoder.0.cross_residual.norm.weight",
        "decoder_norm.bias",
    ):
        assert name in names


def test_a_copy_decodes_with_weights_of_its_own():
    torch.manual_seed(3)
    model = build(SMALL, SYMBOLS, SYMBOLS).eval()
    source, inputs = Padded(torch.tensor([[4, 5, 6]]), torch.tensor([3])), Padded(torch.tensor([[2, 7]]), torch.tensor([2]))
    before = model(source, inputs).values
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert torch.equal(model(source, inputs).values, before)
    assert not other(source, inputs).values.any()
    changed = {name: 2 * weight for name, weight in model.state_dict().items()}
    model.load_state_dict(changed)
    assert not torch.equal(model(source, inputs).values, before)
