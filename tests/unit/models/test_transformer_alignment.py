"""Which layer of the decoder says what belongs together."""

import pytest
import torch

from antiphon.contracts.sequences import Padded
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ConfigError
from antiphon.models import transformer
from antiphon.models.transformer import TransformerConfig

TOKENS = TokenSpec(size=12, pad=0, unknown=1, start=2, end=3, fingerprint="test")
SOURCE = Padded(torch.tensor([[4, 5, 6, 3], [7, 3, 0, 0]]), torch.tensor([4, 2]))
INPUTS = Padded(torch.tensor([[2, 4, 5], [2, 6, 0]]), torch.tensor([3, 2]))


def weights(layer, decoder="attention"):
    """The attention that is shown: at all steps at once, and step by step."""
    torch.manual_seed(1)
    settings = TransformerConfig(dim=16, heads=2, encoder_layers=1, decoder_layers=3, decoder=decoder, alignment_layer=layer)
    model = transformer.build(settings, TOKENS, TOKENS).eval()
    with torch.inference_mode():
        memory = model.project(model.encode(SOURCE))
        state, found = model.init_state(memory, 1, 5), []
        for last in INPUTS.values.unbind(1):
            output, state = model.step(last, memory, state, attention=True)
            found.append(output.attention)
        return model.decode(INPUTS, memory, attention=True).attention, torch.stack(found, dim=1)


@pytest.mark.parametrize("decoder", ["attention", "ssru"])
def test_the_layer_may_be_chosen(decoder):
    whole, steps = zip(*(weights(layer, decoder) for layer in (1, 2, 3, None)), strict=True)
    for one, other in zip(whole, steps, strict=True):
        torch.testing.assert_close(one[0], other[0], atol=1e-6, rtol=0)
    assert torch.equal(whole[1], whole[3]), "the second last, unless said otherwise"
    assert not torch.allclose(whole[0], whole[1])
    assert not torch.allclose(whole[1], whole[2])


def test_a_layer_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match=r"`model\.alignment_layer` must be at most `model\.decoder_layers` \(3\), but is 4"):
        weights(4)
