"""The transducer's loss against a plain one, its gradients against numerical ones, and its memory against what all logits would need."""

from functools import partial

import pytest
import torch

from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Frames, Output, Padded
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.layers import lattice
from antiphon.layers.lattice import transducer_losses
from antiphon.layers.transducer import Joiner, Lattice
from antiphon.losses import cross_entropy, transducer
from antiphon.losses.ctc import CTCLoss
from tests.unit.losses.largest import Largest

BLANK = 2
FRAMES, LENGTHS = torch.tensor([6, 3, 1, 4]), torch.tensor([2, 4, 0, 3])
SYMBOLS = torch.tensor([[3, 3, 2, 2], [1, 4, 4, 0], [2, 2, 2, 2], [5, 6, 5, 2]])
TARGET = TokenSpec(size=9, pad=0, unknown=1, start=2, end=3)


def sides(dtype=torch.float64):
    return tuple(torch.randn(*shape, dtype=dtype, requires_grad=True) for shape in ((4, 6, 4), (4, 5, 4), (7, 4), (7,)))


def ours(*given, fast_emit=0.0):
    return transducer_losses(*given, SYMBOLS, FRAMES, LENGTHS, BLANK, fast_emit=fast_emit)


def plain(encoded, predicted, weight, bias):
    """Node by node, as Graves (2012) writes it."""
    log_probs = (torch.tanh(encoded.unsqueeze(2) + predicted.unsqueeze(1)) @ weight.T + bias).log_softmax(-1)
    losses = []
    for row, (frames, length) in enumerate(zip(FRAMES.tolist(), LENGTHS.tolist(), strict=True)):
        reached = {}
        for state in range(frames):
            for column in range(length + 1):
                ways = [torch.zeros((), dtype=log_probs.dtype)] if state == column == 0 else []
                if state:
                    ways.append(reached[state - 1, column] + log_probs[row, state - 1, column, BLANK])
                if column:
                    ways.append(reached[state, column - 1] + log_probs[row, state, column - 1, SYMBOLS[row, column - 1]])
                reached[state, column] = torch.stack(ways).logsumexp(0)
        losses.append(-(reached[frames - 1, length] + log_probs[row, frames - 1, length, BLANK]))
    return torch.stack(losses)


@pytest.mark.parametrize("chunk", [1, 20, lattice.CHUNK])
def test_losses_and_gradients_are_those_of_the_plain_recursion(chunk, seed, monkeypatch):
    monkeypatch.setattr(lattice, "CHUNK", chunk)
    given, weights = sides(), torch.tensor([1.0, 0.5, -2.0, 0.0])
    found, expected = ours(*given), plain(*given)
    torch.testing.assert_close(found, expected)
    with torch.no_grad():
        torch.testing.assert_close(ours(*given), expected)
    gradients = torch.autograd.grad((found * weights).sum(), given)
    for one, other in zip(gradients, torch.autograd.grad((expected * weights).sum(), given), strict=True):
        torch.testing.assert_close(one, other)


def test_gradients_are_numerical_ones(seed):
    assert torch.autograd.gradcheck(ours, sides())


def test_only_what_learns_has_a_gradient(seed):
    given = sides()
    everything = torch.autograd.grad(ours(*given).sum(), given)
    for frozen in range(4):
        some = [side.detach() if place == frozen else side for place, side in enumerate(given)]
        learning = [place for place in range(4) if place != frozen]
        found = torch.autograd.grad(ours(*some).sum(), [some[place] for place in learning])
        for place, gradient in zip(learning, found, strict=True):
            torch.testing.assert_close(gradient, everything[place])


def test_sharp_alignments_have_the_same_gradients_in_single_precision(seed):
    """Nodes that no alignment goes through are left out."""
    given = [side.detach() * factor for side, factor in zip(sides(), (3, 3, 8, 1), strict=True)]
    exact = torch.autograd.grad(plain(*(one := [side.requires_grad_() for side in given])).sum(), one)
    rough = torch.autograd.grad(ours(*(other := [side.detach().float().requires_grad_() for side in given])).sum(), other)
    for found, expected in zip(rough, exact, strict=True):
        torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-4)


def chain(encoded, predicted, weight, bias, *given):
    return lattice.chain_scores(encoded, predicted, lattice.Joined.of(weight, bias), *given, BLANK)


def test_scores_follow_the_chain_rule(seed):
    """What may follow a beginning, any symbol or the end, has the probability 1 altogether."""
    encoded, predicted, weight, bias = (side.detach() for side in sides())
    found = chain(encoded, predicted, weight, bias, SYMBOLS, FRAMES, LENGTHS)
    torch.testing.assert_close(found.sum(1), -ours(encoded, predicted, weight, bias))
    following = [symbol for symbol in range(7) if symbol != BLANK]
    for row, length in ((0, 2), (3, 2), (2, 0)):
        heard, said = (side[row].expand(6, -1, -1) for side in (encoded, predicted[:, : length + 2]))
        begun, frames = SYMBOLS[row, :length].expand(6, -1), FRAMES[row].expand(6)
        ended = chain(heard, said[:, : length + 1], weight, bias, begun, frames, torch.full((6,), length))
        longer = torch.cat([begun, torch.tensor(following).unsqueeze(1)], dim=1)
        grown = chain(heard, said, weight, bias, longer, frames, torch.full((6,), length + 1))
        torch.testing.assert_close(grown[:, length].exp().sum() + ended[0, length].exp(), torch.ones((), dtype=torch.float64))
        torch.testing.assert_close(grown[:, :length], found[row, :length].expand(6, -1))
        assert not found[row, int(LENGTHS[row]) + 1 :].any()


def test_fast_emit_pulls_more_at_symbols(seed):
    """Symbols pull more than they do by themselves (Yu et al. 2021), and what is reported stays the loss."""
    given = sides()
    assert torch.equal(ours(*given, fast_emit=0.3), ours(*given))
    (slow,) = torch.autograd.grad(ours(*given).sum(), given[3])
    (fast,) = torch.autograd.grad(ours(*given, fast_emit=0.3).sum(), given[3])
    more = (fast - slow) / 0.3
    assert float(more.sum()) == pytest.approx(0, abs=1e-9), "a softmax's"
    assert float(more[BLANK]) > 0, "the blank is pushed down"


def test_what_lies_behind_the_ends_changes_nothing(seed):
    encoded, predicted, weight, bias = sides(torch.float32)
    before = ours(encoded, predicted, weight, bias)
    encoded, predicted, symbols = encoded.detach().clone(), predicted.detach().clone(), SYMBOLS.clone()
    for row in range(4):
        encoded[row, FRAMES[row] :], predicted[row, LENGTHS[row] + 1 :], symbols[row, LENGTHS[row] :] = 1e4, float("nan"), 6
    encoded.requires_grad_(), predicted.requires_grad_()
    after = transducer_losses(encoded, predicted, weight, bias, symbols, FRAMES, LENGTHS, BLANK)
    torch.testing.assert_close(after, before)
    for gradient, own in zip(torch.autograd.grad(after.sum(), (encoded, predicted)), (FRAMES, LENGTHS + 1), strict=True):
        assert bool(gradient.isfinite().all())
        assert not any(gradient[row, own[row] :].any() for row in range(4))


def test_all_logits_never_exist_at_once(seed):
    encoded, predicted = torch.randn(4, 60, 16, requires_grad=True), torch.randn(4, 41, 16, requires_grad=True)
    weight, bias = torch.randn(1000, 16, requires_grad=True), torch.zeros(1000, requires_grad=True)
    symbols, frames, lengths = torch.randint(1, 1000, (4, 40)), torch.full((4,), 60), torch.full((4,), 40)

    with Largest() as made:
        transducer_losses(encoded, predicted, weight, bias, symbols, frames, lengths, 0).sum().backward()
    assert made.elements <= lattice.CHUNK < 4 * 60 * 41 * 1000 / 8


def test_bf16_is_close(seed):
    given = sides(torch.float32)
    exact = ours(*given)
    with torch.autocast("cpu", torch.bfloat16):
        rough = ours(*given)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, rtol=0.05, atol=0.1)
    for gradient, side in zip(torch.autograd.grad(rough.sum(), given), given, strict=True):
        assert gradient.dtype == side.dtype
        assert bool(gradient.isfinite().all())


# ---------------------------------------------------------------------------------------------------------- the plug-in


def said(ctc=True):
    joiner, head = Joiner(5, 5, 5, TARGET.size), torch.nn.Linear(5, TARGET.size)
    states, mask = torch.randn(2, 6, 5), torch.arange(6) < torch.tensor([[6], [4]])
    frames = Frames(states, mask, head, (torch.randn(2, 6, 5),)) if ctc else None
    return Output(joiner.from_predictor(torch.randn(2, 4, 5)), Lattice(joiner, joiner.from_encoder(states), mask), frames=frames)


LABELS = Padded(torch.tensor([[4, 4, 8, 3], [7, 3, 0, 0]]), torch.tensor([4, 2]))


def test_the_loss_weighs_the_transducer_and_ctc(seed):
    output, weights = said(), torch.tensor([2.0, 0.5])
    build = partial(validate, transducer.plugin.Config)
    own = transducer.plugin.measure(build({}), TARGET)(output, LABELS)
    ctc = CTCLoss(TARGET, 0.2)(output, LABELS)
    both = transducer.plugin.build(build({"ctc_weight": 0.4, "intermediate_weight": 0.2}), TARGET)(output, LABELS, weights)
    torch.testing.assert_close(both.rows, 0.4 * ctc.rows + 0.6 * own.rows)
    torch.testing.assert_close(both.total, (both.rows * weights).sum())
    assert not both.rows.requires_grad
    without = transducer.plugin.build(build({"ctc_weight": 0.4}), TARGET)
    alone = said(ctc=False)
    torch.testing.assert_close(without(alone, LABELS).rows, transducer.plugin.measure(build({}), TARGET)(alone, LABELS).rows)


def test_losses_and_models_that_do_not_suit_each_other_are_refused():
    with pytest.raises(ConfigError, match="must not be `transducer` when the target is real-valued"):
        transducer.plugin.build(transducer.TransducerLossConfig(), ValueSpec(1))
    loss = transducer.plugin.build(transducer.TransducerLossConfig(), TARGET)
    with pytest.raises(ConfigError, match="must not be `transducer` for another model"):
        loss(Output(torch.randn(2, 4, 5), torch.nn.Linear(5, 9)), LABELS)
    with pytest.raises(ConfigError, match="must be `transducer` for `model: transducer`"):
        cross_entropy.measure(cross_entropy.CrossEntropyConfig(), TARGET)(said(), LABELS)
