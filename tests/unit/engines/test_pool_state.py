"""Hypotheses that share a pool keep what each of them said, however they are re-ordered."""

import torch

from antiphon.contracts.sequences import map_tensors, select_rows
from antiphon.engines.pool_state import empty

SIZES = (2, 3, 4)  # layers, heads, their width


def said(state, rows):
    """What each row sees: its keys and values in the order of their places, (R, T, L, G, K) each."""
    found = []
    beams = rows // state.pool.places.shape[0]
    for row in range(rows):
        source, seen = row // beams, (state.visible[row] == 0).nonzero().squeeze(1)
        order = seen[state.pool.places[source, seen].argsort()]
        assert state.pool.places[source, order].tolist() == list(range(state.position))
        keys, values = state.pool.keys[:, source, :, :, order], state.pool.values[:, source, :, order, :]
        found.append((keys.permute(3, 0, 1, 2), values.permute(2, 0, 1, 3)))
    return [torch.stack(part) for part in zip(*found, strict=True)]


class Both:
    """A state with a pool, and what it should hold: a history of its own for each row."""

    def __init__(self, sources, beams, state=None, history=None):
        self.sources, self.beams = sources, beams
        self.state = empty(sources, beams, SIZES, torch.zeros(1)) if state is None else state
        self.history = [torch.zeros(sources * beams, 0, *SIZES)] * 2 if history is None else history

    def step(self):
        layers, groups, width = SIZES
        rows = [torch.randn(self.sources, self.beams, layers, groups, width) for _ in range(2)]
        state = self.state.ready(self.sources)
        state = state.appended(rows[0].permute(2, 0, 3, 4, 1), rows[1].permute(2, 0, 3, 1, 4))
        history = [torch.cat([old, new.flatten(0, 1).unsqueeze(1)], dim=1) for old, new in zip(self.history, rows, strict=True)]
        return Both(self.sources, self.beams, state, history)

    def select(self, index, sources, beams):
        index = torch.tensor(index)
        return Both(sources, beams, select_rows(self.state, index), [old[index] for old in self.history])

    def check(self):
        for found, expected in zip(said(self.state.ready(self.sources), self.sources * self.beams), self.history, strict=True):
            assert torch.equal(found, expected)


def test_each_row_keeps_its_history_when_a_beam_is_reordered(seed):
    both, draw = Both(3, 4), torch.Generator().manual_seed(seed)
    for _ in range(60):  # the pool becomes full several times
        both = both.step()
        parents = torch.randint(4, (3, 4), generator=draw) + torch.arange(0, 12, 4).unsqueeze(1)
        both = both.select(parents.flatten().tolist(), 3, 4)
    both.check()
    assert both.state.pool.room < 60 * 4, "slots that nobody follows are given up"


def test_rows_that_never_move_keep_their_history(seed):
    both = Both(2, 1)
    for _ in range(40):
        both = both.step()
    both.check()


def test_sources_leave_and_hypotheses_become_more(seed):
    both = Both(3, 1).step().step()
    both = both.select([0, 0, 2, 2], 2, 2).step()  # the second source leaves, the others have two hypotheses each
    both.check()
    both = both.select([3, 2], 1, 2).step()
    both.check()


def test_states_of_one_parent_go_on_apart(seed):
    parent = Both(2, 2).step()
    first, second = parent.select([1, 0, 3, 2], 2, 2), parent.select([0, 0, 2, 2], 2, 2)
    first, second = first.step().step(), second.step()
    first.check()
    second.check()


def test_a_copy_goes_back(seed):
    begun = Both(2, 2).step()
    copy = Both(2, 2, map_tensors(torch.clone, begun.state), begun.history)
    begun.step().step().check()
    copy.check()
    copy.step().check()
