"""Hypotheses that share rows keep what each of them said, however they are re-ordered."""

import torch

from antiphon.contracts.sequences import map_tensors, select_rows
from antiphon.engines.rows_state import empty

LAYERS, HEADS, WIDTH = SIZES = (2, 3, 4)


class Both:
    """A state, and what it should hold: a history of its own for each row, (R, T, L, H, K) of keys and of values."""

    def __init__(self, sources, beams, state=None, history=None):
        self.sources, self.beams = sources, beams
        self.state = empty(sources, beams, SIZES, torch.zeros(1)) if state is None else state
        self.history = [torch.zeros(sources * beams, 0, *SIZES)] * 2 if history is None else history

    def step(self):
        """A step, which writes as the graph does."""
        rows = [torch.randn(self.sources * self.beams, *SIZES) for _ in range(2)]
        state = self.state.ready(self.sources)
        for place, new in zip((state.kept.keys, state.kept.values), rows, strict=True):
            place[..., state.position, :] = new.transpose(0, 1)
        history = [torch.cat([old, new.unsqueeze(1)], dim=1) for old, new in zip(self.history, rows, strict=True)]
        return Both(self.sources, self.beams, state.behind(), history)

    def select(self, index, sources, beams):
        index = torch.tensor(index)
        return Both(sources, beams, select_rows(self.state, index), [old[index] for old in self.history])

    def check(self):
        state = self.state.ready(self.sources)
        for place, expected in zip((state.kept.keys, state.kept.values), self.history, strict=True):
            assert expected.shape[1] == state.position
            for row in range(self.sources * self.beams):
                first = row // self.beams * self.beams
                own = [place[:, first + state.ancestors[row, step], :, step] for step in range(state.position)]
                assert torch.equal(torch.stack(own), expected[row])


def test_each_row_keeps_its_history_when_a_beam_is_reordered(seed):
    both, draw = Both(3, 4), torch.Generator().manual_seed(seed)
    for _ in range(40):  # room is made twice
        both = both.step()
        parents = torch.randint(4, (3, 4), generator=draw) + torch.arange(0, 12, 4).unsqueeze(1)
        both = both.select(parents.flatten().tolist(), 3, 4)
    both.check()


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


def test_a_source_leaves_and_beams_stay(seed):
    both = Both(3, 2).step().select([1, 0, 2, 2, 5, 4], 3, 2).step()
    both = both.select([5, 4, 1, 1], 2, 2).step()
    both.check()


def test_states_of_one_parent_go_on_apart(seed):
    parent = Both(2, 2).step()
    first, second = parent.select([1, 0, 3, 2], 2, 2), parent.select([0, 0, 2, 2], 2, 2)
    first, second = first.step().step(), second.step()
    first.check()
    second.check()
    parent.check()


def test_a_copy_goes_back(seed):
    begun = Both(2, 2).step()
    copy = Both(2, 2, map_tensors(torch.clone, begun.state), begun.history)
    begun.step().step().check()
    copy.check()
    copy.step().check()
