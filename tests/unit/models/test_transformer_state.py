"""The Transformer's buffers: cut when rows are chosen, grown when they are full, never beyond the longest output."""

import pytest
import torch

from antiphon.contracts.sequences import Padded, select_rows
from antiphon.contracts.specs import TokenSpec
from antiphon.layers.decoding_state import AttentionState
from antiphon.models.transformer import TransformerConfig, build

SPEC = TokenSpec(size=11, pad=0, unknown=1, start=2, end=3)


@pytest.mark.parametrize("positions", ["sinusoidal", "relative", "rotary"])
@pytest.mark.parametrize("chosen_at", [(), (1,), (0, 3, 11), tuple(range(20))])
@torch.no_grad()
def test_steps_equal_decode_whenever_rows_are_chosen(positions, chosen_at, seed):
    settings = TransformerConfig(dim=16, heads=2, feed_forward_dim=32, encoder_layers=1, decoder_layers=2, positions=positions)
    model = build(settings, SPEC, SPEC).eval()
    source, inputs = torch.randint(4, 11, (3, 5)), torch.randint(4, 11, (3, 20))
    encoded = model.encode(Padded(source, torch.tensor([5, 3, 4])))
    memory = model.project(encoded)
    state = model.init_state(memory, 1, 20)
    rows = torch.arange(3)
    for step in range(20):
        if step in chosen_at:
            order = torch.tensor([0, 2, 1])
            memory, state, rows = select_rows(memory, order), select_rows(state, order), rows[order]
        output, state = model.step(inputs[rows, step], memory, state)
        expected = model.decode(Padded(inputs, torch.full((3,), 20)), encoded).values[rows, step]
        torch.testing.assert_close(output.values, expected, rtol=1e-4, atol=1e-5)
    assert state.buffer.shape[4] <= 20


def test_rows_at_different_places_keep_the_whole_buffer(seed):
    buffer = torch.randn(2, 1, 2, 1, 30, 4)
    apart = AttentionState(buffer, torch.tensor([1, 2]), 30)
    assert select_rows(apart, torch.tensor([1])).buffer.shape[4] == 30
    together = AttentionState(buffer, torch.tensor([2, 2]), 30)
    chosen = select_rows(together, torch.tensor([1, 0])).buffer
    assert 2 < chosen.shape[4] < 30
    assert torch.equal(chosen[..., :2, :], buffer[[1, 0]][..., :2, :])
