"""The recurrent stack against torch's own stacked, packed LSTM and GRU."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from antiphon.layers import recurrent
from antiphon.layers.recurrent import RecurrentStack, RecurrentState, drop


def reference_of(stack, input_dim, dim, layers, *, bidirectional):
    """torch's own stack with the same weights."""
    kind = nn.LSTM if stack.cell == "lstm" else nn.GRU
    torchs = kind(input_dim, dim // 2 if bidirectional else dim, layers, batch_first=True, bidirectional=bidirectional).double()
    weights = {}
    for depth, layer in enumerate(stack.layers):
        weights.update({name.replace("_l0", f"_l{depth}"): tensor for name, tensor in layer.state_dict().items()})
    torchs.load_state_dict(weights)
    return torchs


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_stack_equals_torchs(cell, bidirectional, seed):
    stack = RecurrentStack(3, 6, 2, cell=cell, bidirectional=bidirectional, dropout=0.0, variational=False).double()
    x, lengths = torch.randn(3, 5, 3, dtype=torch.float64), torch.tensor([2, 5, 1])
    out, state = stack(x, lengths)
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    expected, finals = reference_of(stack, 3, 6, 2, bidirectional=bidirectional)(packed)
    padded, _ = pad_packed_sequence(expected, batch_first=True)
    mask = torch.arange(5) < lengths.unsqueeze(1)
    torch.testing.assert_close(out[mask], padded[mask])
    hidden, cell_state = finals if cell == "lstm" else (finals, None)
    torch.testing.assert_close(state.hidden, hidden.view(2, -1, 3, hidden.shape[-1]).permute(2, 0, 1, 3).flatten(2))
    if cell_state is None:
        assert state.cell is None
    else:
        torch.testing.assert_close(state.cell, cell_state.view(2, -1, 3, cell_state.shape[-1]).permute(2, 0, 1, 3).flatten(2))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_final_state_is_that_of_the_last_real_step(cell, seed):
    stack = RecurrentStack(3, 6, 2, cell=cell, bidirectional=False, dropout=0.0, variational=False).double()
    x, lengths = torch.randn(2, 5, 3, dtype=torch.float64), torch.tensor([5, 2])
    _, together = stack(x, lengths)
    _, alone = stack(x[1:, :2])
    torch.testing.assert_close(together.hidden[1:], alone.hidden)
    state = RecurrentState(torch.zeros(1, 2, 6, dtype=torch.float64), torch.zeros(1, 2, 6, dtype=torch.float64) if cell == "lstm" else None)
    for step in range(2):
        out, state = stack.step(x[1:, step], state)
    torch.testing.assert_close(state.hidden, alone.hidden)
    torch.testing.assert_close(out, alone.hidden[:, -1])


def test_variational_dropout_keeps_one_mask_over_the_steps(seed):
    x = torch.ones(4, 50, 30)
    kept = drop(x, 0.5, variational=True, training=True)
    assert torch.equal(kept, kept[:, :1].expand_as(kept))
    assert set(kept.unique().tolist()) == {0.0, 2.0}, "what is kept is scaled up"
    assert not torch.equal(kept[0], kept[1]), "each sequence has its own mask"
    varied = drop(x, 0.5, variational=False, training=True)
    assert not torch.equal(varied, varied[:, :1].expand_as(varied))
    assert float(varied.mean()) == pytest.approx(1.0, abs=0.1)
    assert drop(x, 0.5, variational=True, training=False) is x


def packed(stack, x, lengths, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(recurrent, "_REAL", 2.0)  # more than all: whatever is padded is packed
        return stack(x, lengths)


def flat(found, mask):
    out, state = found
    return [out[mask], state.hidden, *(() if state.cell is None else (state.cell,))]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cells_that_hold_through_padding_learn_what_packed_ones_do(cell, bidirectional, dtype, monkeypatch, seed):
    stack = RecurrentStack(5, 8, 2, cell=cell, bidirectional=bidirectional, dropout=0.0, variational=False).to(dtype)
    lengths = torch.tensor([7, 9, 4, 1, 9])
    x = torch.randn(5, 9, 5, dtype=dtype)
    mask = torch.arange(9) < lengths.unsqueeze(1)
    x = torch.where(mask.unsqueeze(-1), x, 50 * torch.randn_like(x)).requires_grad_()  # what lies behind the ends has no meaning
    results, expected = flat(stack(x, lengths), mask), flat(packed(stack, x, lengths, monkeypatch), mask)
    inputs, upstream = [x, *stack.parameters()], [torch.randn_like(result) for result in results]
    results += torch.autograd.grad(results, inputs, upstream)
    expected += torch.autograd.grad(expected, inputs, upstream)
    for one, other in zip(results, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=2e-5 if dtype == torch.float32 else 1e-10)


def test_mostly_padding_is_packed(monkeypatch, seed):
    seen = []
    monkeypatch.setattr(
        recurrent, "pack_padded_sequence", lambda *given, **options: seen.append(1) or pack_padded_sequence(*given, **options)
    )
    stack = RecurrentStack(3, 4, 1, cell="lstm", bidirectional=True, dropout=0.0, variational=False)
    x = torch.randn(4, 10, 3)
    stack(x, torch.tensor([10, 10, 10, 10]))
    stack(x, torch.tensor([10, 6, 2, 2]))
    assert not seen, "half is real"
    stack(x, torch.tensor([10, 5, 2, 2]))
    assert seen, "more than half is padding"


def test_a_sequence_of_nothing_changes_no_other(seed):
    """Beside one that is short, too, where padding would be packed away."""
    stack = RecurrentStack(3, 4, 1, cell="lstm", bidirectional=True, dropout=0.0, variational=False)
    x = torch.randn(3, 9, 3)
    out, state = stack(x, torch.tensor([4, 0, 1]))
    alone, _ = stack(x[:1, :4])
    torch.testing.assert_close(out[0, :4], alone[0])
    assert not state.hidden[1].any()
