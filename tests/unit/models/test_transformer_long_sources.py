"""Encoders for long sources: a window and chunks against the full encoder under an explicit mask, with the same weights."""

import pytest
import torch

from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Padded
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.models.transformer import TransformerConfig, build

TOKENS = TokenSpec(size=11, pad=0, unknown=1, start=2, end=3)
VALUES = ValueSpec(channels=2)
WITH_POSITIONS = pytest.mark.parametrize(
    ("spec", "positions"),
    [(VALUES, "sinusoidal"), *((TOKENS, kind) for kind in ("sinusoidal", "learned", "rotary", "relative"))],
    ids=["values", "sinusoidal", "learned", "rotary", "relative"],
)


def make(source=TOKENS, **settings):
    torch.manual_seed(1)
    sizes = {"dim": 16, "heads": 4, "feed_forward_dim": 16, "encoder_layers": 2, "decoder_layers": 1, "dropout": 0.0}
    return build(validate(TransformerConfig, {**sizes, **settings}, path="model"), source, TOKENS).eval()


def source_of(spec, length):
    values = torch.randint(4, 11, (3, length)) if spec is TOKENS else torch.randn(3, length, 2)
    return Padded(values, torch.tensor([length, max(1, length // 2), max(1, length - 1)]))


def encoded_under(model, source, allowed):
    """What the full encoder makes of the source when it may look only where `allowed` (S, S) is True."""
    positioned, positions = model.source_positioned, torch.arange(source.values.shape[1])
    visible = (allowed & source.mask[:, None, None, :]) | torch.eye(len(positions), dtype=torch.bool)
    bias = positioned.bias
    mask = visible if bias is None else bias(positions, positions).masked_fill(~visible, float("-inf"))
    rotation = positioned.rotary.angles(positions) if positioned.rotary else None
    x = positioned.embed(source.values, positions)
    for layer in model.encoder:
        x = layer(x, mask, rotation)
    return model.encoder_norm(x)


@WITH_POSITIONS
@pytest.mark.parametrize(
    ("window", "global_positions", "length"), [(1, 0, 9), (3, 2, 10), (3, 9, 30), (17, 1, 70), (20, 0, 21), (99, 1, 30), (2, 1, 1)]
)
@torch.no_grad()
def test_a_window_is_the_full_encoder_under_a_mask(window, global_positions, length, spec, positions, seed):
    full = make(spec, positions=positions, key_value_heads=2)
    near = make(spec, positions=positions, key_value_heads=2, window=window, global_positions=global_positions)
    near.load_state_dict(full.state_dict())
    source, steps = source_of(spec, length), torch.arange(length)
    allowed = ((steps.unsqueeze(1) - steps).abs() <= window) | (steps < global_positions) | (steps < global_positions).unsqueeze(1)
    expected = encoded_under(full, source, allowed)
    torch.testing.assert_close(near.encode(source).states[source.mask], expected[source.mask], rtol=1e-5, atol=2e-6)


@WITH_POSITIONS
@pytest.mark.parametrize(("chunk_length", "length"), [(1, 5), (4, 12), (4, 13), (50, 13), (5, 1)])
@torch.no_grad()
def test_chunks_are_the_full_encoder_under_a_mask(chunk_length, length, spec, positions, seed):
    full, pieces = make(spec, positions=positions), make(spec, positions=positions, chunk_length=chunk_length)
    pieces.load_state_dict(full.state_dict())
    source, chunk = source_of(spec, length), torch.arange(length) // chunk_length
    expected = encoded_under(full, source, chunk.unsqueeze(1) == chunk)
    found = pieces.encode(source)
    assert found.states.shape[1] == length
    torch.testing.assert_close(found.states[source.mask], expected[source.mask], rtol=1e-5, atol=2e-6)
    assert bool(found.states.isfinite().all())


@pytest.mark.parametrize("settings", [{"window": 3}, {"window": 3, "global_positions": 1}, {"chunk_length": 5}])
def test_checkpointed_activations_change_no_gradient(settings, seed):
    source, inputs = source_of(TOKENS, 40), Padded(torch.randint(4, 11, (3, 6)), torch.tensor([6, 6, 6]))
    gradients = []
    for checkpointed in (False, True):
        model = make(**settings, checkpoint_activations=checkpointed, positions="relative").train()
        model(source, inputs).values.square().sum().backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0}, "`model.window` must be at least 1, but is 0"),
        ({"chunk_length": 0}, "`model.chunk_length` must be at least 1, but is 0"),
        ({"window": 4, "chunk_length": 8}, "`model.window` must be left out"),
        ({"window": 4, "global_positions": -1}, "`model.global_positions` must be at least 0, but is -1"),
        ({"global_positions": 2}, "`model.global_positions` must be 0 without a `model.window`"),
        ({"decoder": "lstm"}, "`model.decoder`"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        make(**settings)
