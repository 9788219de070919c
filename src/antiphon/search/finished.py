"""The finished hypotheses of a beam search: the best `n_best` of each group of each source, and the score that others must beat.

Lists on the host: a hypothesis finishes once, so this is no part of the loop over steps and rows.
"""

from collections.abc import Sequence
from typing import final

import numpy as np

from antiphon.contracts.sequences import Hypothesis


@final
class FinishedHypotheses:
    """For source b and group g, `counts[b, g]` hypotheses have finished, a new one must score above `worst[b, g]` to be kept, and none is
    kept once it is `closed[b, g]`, so that no group profits when others take longer."""

    def __init__(self, sources: int, groups: int, n_best: int):
        self.counts = np.zeros((sources, groups), dtype=np.int64)
        self.worst = np.full((sources, groups), -np.inf)
        self.closed = np.zeros((sources, groups), dtype=bool)
        self._kept: list[list[list[Hypothesis]]] = [[[] for _ in range(groups)] for _ in range(sources)]
        self._n_best = n_best

    def add(self, source: int, group: int, finished: Hypothesis) -> None:
        """Keep a hypothesis if it is among the best of its group so far."""
        if self.closed[source, group]:
            return
        own = self._kept[source][group]
        self.counts[source, group] += 1
        own.append(finished)
        own.sort(key=lambda item: (item.finish_reason == "constraint", -item.score))  # stable: of equals the earlier stays first
        del own[self._n_best :]
        if len(own) == self._n_best and own[-1].finish_reason != "constraint":
            self.worst[source, group] = own[-1].score

    def lists(self) -> list[list[Hypothesis]]:
        """The hypotheses of each source: the best of each group, the first group's first, then the second best of each, ..."""
        return [_in_turn(groups, self._n_best) for groups in self._kept]


def _in_turn(groups: Sequence[Sequence[Hypothesis]], most: int) -> list[Hypothesis]:
    """Take from each group in turn its best hypothesis that no other group gave before."""
    given: list[Hypothesis] = []
    rest = [list(own) for own in groups]
    while any(rest):
        for own in rest:
            while own and any(np.array_equal(own[0].elements, other.elements) for other in given):
                del own[0]
            if own:
                given.append(own.pop(0))
    return given[:most]
