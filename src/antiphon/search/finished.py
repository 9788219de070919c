"""The finished hypotheses of a beam search: the best `n_best` of each source, and what the search must beat to go on.

Lists on the host: a hypothesis finishes once, so this is no part of the loop over steps and rows.
"""

from typing import final

import numpy as np

from antiphon.contracts.sequences import Hypothesis


@final
class FinishedHypotheses:
    """`counts[b]` hypotheses of source b have finished; a new one must score above `worst[b]` to be kept."""

    def __init__(self, sources: int, n_best: int):
        self.counts = np.zeros(sources, dtype=np.int64)
        self.worst = np.full(sources, -np.inf)
        self._kept: list[list[Hypothesis]] = [[] for _ in range(sources)]
        self._n_best = n_best

    def add(self, source: int, finished: Hypothesis) -> None:
        """Keep it if it is among the best so far and new; the groups of a diverse beam may find the same one twice."""
        own = self._kept[source]
        if any(np.array_equal(finished.elements, other.elements) for other in own):
            return
        self.counts[source] += 1
        own.append(finished)
        own.sort(key=lambda item: (item.finish_reason == "constraint", -item.score))  # stable: of equals the earlier stays first
        del own[self._n_best :]
        if len(own) == self._n_best and own[-1].finish_reason != "constraint":
            self.worst[source] = own[-1].score

    def lists(self) -> list[list[Hypothesis]]:
        """Per source its hypotheses, the best first."""
        return self._kept
