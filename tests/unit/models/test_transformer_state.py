"""The Transformer's buffers: cut when rows are chosen, shared by the rows of a source, grown when they are full."""

from dataclasses import replace

import pytest
import torch

from antiphon.contracts.sequences import Padded, map_tensors, reorder, select_rows
from antiphon.contracts.specs import TokenSpec
from antiphon.layers.decoding_state import AttentionState
from antiphon.layers.lockstep import LockstepState
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
    assert state.buffer.shape[4] <= 20 + 8


VARIANTS = [
    {},
    {"positions": "relative"},
    {"positions": "rotary", "key_value_heads": 2},
    {"positions": "relative", "key_value_heads": 1},
    {"positions": "learned", "norm_position": "post"},
    {"wait_k": 2},
]


@pytest.mark.parametrize("settings", VARIANTS)
@pytest.mark.parametrize("width", [1, 3, 9])
@torch.no_grad()
def test_rows_follow_others_of_their_source(settings, width, seed):
    """Re-ordered in every step, while sources leave, once rows follow those of another source: as all steps at once."""
    config = TransformerConfig(dim=16, heads=4, feed_forward_dim=32, encoder_layers=1, decoder_layers=2, **settings)
    model = build(config, SPEC, SPEC).eval()
    encoded = model.encode(Padded(torch.randint(4, 11, (3, 5)), torch.tensor([5, 3, 4])))
    memory, sources = model.project(encoded), torch.arange(3)
    state = model.init_state(memory, width, 20)
    said = torch.randint(4, 11, (3 * width, 1))
    for step in range(20):
        output, state = model.step(said[:, -1], memory, state, attention=step % 2 == 0)
        rows = sources.repeat_interleave(width)
        lengths = torch.full((len(rows),), step + 1)
        expected = model.decode(Padded(said, lengths), select_rows(replace(encoded, final=None), rows), attention=True)
        torch.testing.assert_close(output.values, expected.values[:, -1], rtol=1e-4, atol=1e-5)
        if step % 2 == 0:
            torch.testing.assert_close(output.attention, expected.attention[:, -1], rtol=1e-4, atol=1e-5)
        index = torch.randint(width, (len(sources), width)) + torch.arange(0, len(rows), width)[:, None]
        if step == 9:  # a source leaves
            memory, sources, index = select_rows(memory, torch.tensor([0, 2])), sources[[0, 2]], index[[0, 2]]
            state = select_rows(state, index.flatten())
        elif step == 14 and width > 1:  # every second hypothesis follows the other source's
            order = torch.tensor([1, 0])
            memory, sources = select_rows(memory, order), sources[order]
            index = index[order].flip(1)
            state = select_rows(state, index.flatten())
        elif step == 16:  # one hypothesis each is left, and becomes all
            index = index[:, :1].expand(-1, width)
            state = select_rows(state, index[:, 0])
            state = select_rows(state, torch.arange(len(sources)).repeat_interleave(width))
        else:
            state = reorder(state, index)
        said = torch.cat([said[index.flatten()], torch.randint(4, 11, (index.numel(), 1))], dim=1)
    assert isinstance(state, LockstepState)


@torch.no_grad()
def test_re_ordering_copies_a_mask_and_no_keys(seed):
    model = build(TransformerConfig(dim=16, heads=2, feed_forward_dim=32, encoder_layers=1, decoder_layers=2), SPEC, SPEC).eval()
    memory = model.project(model.encode(Padded(torch.randint(4, 11, (2, 5)), torch.tensor([5, 5]))))
    state = model.init_state(memory, 3, 30)
    grown = set()
    for step in range(30):
        _, state = model.step(torch.randint(4, 11, (6,)), memory, state)
        before = state.buffer.data_ptr()
        state = reorder(state, torch.tensor([[0, 0, 1], [5, 4, 4]]))
        assert step == 0 or state.buffer.data_ptr() == before
        grown.add(state.buffer.shape[4])
        assert state.buffer.shape[4] <= 3 * max(2 * (step + 1), step + 9)
    assert len(grown) <= 5, "buffers grow to twice their size"


@torch.no_grad()
def test_a_state_can_be_kept_and_gone_back_to(seed):
    model = build(TransformerConfig(dim=16, heads=2, feed_forward_dim=32, encoder_layers=1, decoder_layers=1), SPEC, SPEC).eval()
    memory = model.project(model.encode(Padded(torch.randint(4, 11, (1, 5)), torch.tensor([5]))))
    _, state = model.step(torch.tensor([2, 2]), memory, model.init_state(memory, 2, 9))
    state = reorder(state, torch.tensor([[0, 0]]))
    kept = map_tensors(torch.clone, state)
    once, _ = model.step(torch.tensor([4, 5]), memory, state)
    again, _ = model.step(torch.tensor([4, 5]), memory, kept)
    assert torch.equal(once.values, again.values)


@torch.no_grad()
def test_a_graphs_state_holds_tensors_and_all_the_room(seed):
    model = build(TransformerConfig(dim=16, heads=2, feed_forward_dim=32, encoder_layers=1, decoder_layers=1), SPEC, SPEC).eval()
    inputs = torch.randint(4, 11, (2, 6))
    encoded = model.encode(Padded(torch.randint(4, 11, (2, 5)), torch.tensor([5, 3])))
    memory = model.project(encoded)
    state = model.init_state(memory, 1, 6).of_graph()
    expected = model.decode(Padded(inputs, torch.tensor([6, 6])), encoded).values
    for step in range(6):
        output, state = model.step(inputs[:, step], memory, state)
        assert isinstance(state, AttentionState)
        assert state.buffer.shape[4] == 6
        torch.testing.assert_close(output.values, expected[:, step], rtol=1e-4, atol=1e-5)
