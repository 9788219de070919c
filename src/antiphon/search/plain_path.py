"""Greedy search with the model alone, without scorers, on arrays of the host.

The result is that of `single_path.follow`. Unusual here: a step of a compiled model of one row takes about a millisecond, in which torch
makes some 40 small calls; numpy makes a call in a fifth of the time, and a row that has ended leaves at once, so there are fewer.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.sequences import Hypothesis, select_rows
from antiphon.search.hypotheses import hypothesis
from antiphon.search.preparation import Prepared


def is_plain(prepared: Prepared) -> bool:
    """Whether `follow_plainly` can be used: on the CPU, and with no rules but lengths and forbidden symbols."""
    return prepared.device.type == "cpu" and prepared.processors.plain


@final
@dataclass
class _Rules:
    """The allowed symbols: `forbidden` ones never, the end within limits (R,) for each row."""

    end: int
    forbidden: Int[np.ndarray, " F"]
    minimum: Int[np.ndarray, " R"]
    maximum: Int[np.ndarray, " R"]

    def __post_init__(self) -> None:
        self._rows = np.arange(len(self.minimum))
        self._longest_minimum, self._shortest_maximum = int(self.minimum.max()), int(self.maximum.min())

    def choose(
        self, scores: Float[np.ndarray, "R V"], step: int
    ) -> tuple[Int[np.ndarray, " R"], Float[np.ndarray, " R"], Bool[np.ndarray, " R"] | None]:
        """(The most probable symbols, their log-probabilities, where the limit cut a hypothesis short, if anywhere); overwrites the
        scores."""
        early = self.minimum > step if step < self._longest_minimum else None
        at_limit = self.maximum <= step if step >= self._shortest_maximum else None
        ends = scores[:, self.end].copy()
        scores[:, self.forbidden] = -np.inf
        if early is not None:
            scores[early, self.end] = -np.inf
        symbols = scores.argmax(1)
        chosen = scores[self._rows, symbols]
        if early is not None:  # the rules may leave nothing to say: ending early is all that remains
            stuck = early & (chosen == -np.inf)
            symbols[stuck], chosen[stuck] = self.end, ends[stuck]
        if at_limit is None:
            return symbols, chosen, None
        cut = at_limit & (symbols != self.end)
        symbols[cut], chosen[cut] = self.end, ends[cut]
        return symbols, chosen, cut

    def keep(self, rows: Int[np.ndarray, " N"]) -> "_Rules":
        """The rules for some rows."""
        return _Rules(self.end, self.forbidden, self.minimum[rows], self.maximum[rows])


def follow_plainly(model: StepwiseModel, prepared: Prepared) -> list[list[Hypothesis]]:
    """The hypothesis for each source."""
    limits, steps, normalize = prepared.limits, prepared.limits.steps, prepared.processors.normalize
    rules = _Rules(prepared.spec.end, prepared.processors.forbidden.numpy(), limits.minimum, limits.maximum)
    rows = np.arange(prepared.sources)
    history, log_probs = np.zeros((len(rows), steps), dtype=np.int64), np.zeros((len(rows), steps), dtype=np.float32)
    memory, last = prepared.memory, prepared.starts(len(rows))
    state = model.init_state(memory, 1, steps)
    found: dict[int, Hypothesis] = {}
    for step in range(steps):
        output, state = model.step(last, memory, state)
        scores = normalize(output.values).numpy()
        del output  # so that an engine may write the next one to the same place
        symbols, chosen, cut = rules.choose(scores, step)
        history[rows, step], log_probs[rows, step] = symbols, chosen
        last, ended = torch.from_numpy(symbols), symbols == rules.end
        if not np.count_nonzero(ended):
            continue
        for index in ended.nonzero()[0].tolist():
            row, is_cut = rows[index], cut is not None and cut[index]
            found[int(row)] = hypothesis(history[row, :step], log_probs[row, : step + 1], None, "length" if is_cut else "end")
        stay = (~ended).nonzero()[0]
        if not len(stay):
            break
        rows, rules, kept = rows[stay], rules.keep(stay), torch.from_numpy(stay)
        memory, state, last = select_rows(memory, kept), select_rows(state, kept), last[kept]
    assert len(found) == prepared.sources, "the length limit ends every row"
    return [[found[row]] for row in range(prepared.sources)]
