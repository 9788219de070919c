"""Beam search over the states of a transducer (Graves 2012): the best sequences, each with the probability of all its alignments that were
kept.

State by state: every hypothesis either waits for the next state (the blank) or says a symbol and stays. Hypotheses that have waited and say
the same are one, and their probabilities add up; so each state ends with `width` different ones.

Unusual here: the search is vectorized over the batch, and rounds within a state end when no hypothesis that could still grow is better
than those that wait, which mostly is at once. Histories are links to what came before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from antiphon.contracts.sequences import Hypothesis
from antiphon.search.ctc_biases import Biases
from antiphon.search.hypotheses import hypothesis
from antiphon.search.prefix_names import named
from antiphon.search.transducer_path import Parts

_NEVER = -torch.inf
_ROOT = -1


@dataclass(frozen=True)
class _Beam:
    """W hypotheses of each source.

    score       log-probability of all ways to it that were kept; minus infinity where there is none
    digest      a number that stands for its symbols
    node        its history
    predicted   the predictor's side, and the state of the predictor
    """

    score: Float[Tensor, "B W"]
    digest: Int[Tensor, "B W"]
    node: Int[Tensor, "B W"]
    predicted: Float[Tensor, "B W J"]
    state: Tensor
    biases: Biases | None

    @property
    def ranking(self) -> Float[Tensor, "B W"]:
        """The score that hypotheses are compared by."""
        return self.score if self.biases is None else self.score + self.biases.said

    def select(self, index: Int[Tensor, "B N"]) -> "_Beam":
        """N selected hypotheses of each source."""
        rows = _rows(index, self.score.shape[1])
        return _Beam(
            self.score.gather(1, index),
            self.digest.gather(1, index),
            self.node.gather(1, index),
            self.predicted.flatten(0, 1)[rows].unflatten(0, index.shape),
            self.state[rows],
            None if self.biases is None else self.biases.select(index),
        )


def _rows(index: Int[Tensor, "B N"], width: int) -> Int[Tensor, " R"]:
    """Indices within a source as indices among all hypotheses of the batch."""
    return (index + torch.arange(0, len(index) * width, width, device=index.device).unsqueeze(1)).flatten()


def _beside(beams: Sequence[_Beam]) -> _Beam:
    """The hypotheses of several beams, concatenated."""
    if len(beams) == 1:
        return beams[0]
    sources = len(beams[0].score)
    biases = [beam.biases for beam in beams if beam.biases is not None]
    states = torch.cat([beam.state.unflatten(0, (sources, -1)) for beam in beams], dim=1)
    score, digest, node = (torch.cat([getattr(beam, name) for beam in beams], dim=1) for name in ("score", "digest", "node"))
    return _Beam(
        score,
        digest,
        node,
        torch.cat([beam.predicted for beam in beams], dim=1),
        states.flatten(0, 1),
        Biases.beside(biases) if biases else None,
    )


@final
@dataclass
class _Histories:
    """All hypotheses ever made, as links: each one's parent, symbol, state, and score at that point."""

    count: int = 0
    parents: list[Tensor] = field(default_factory=list)
    symbols: list[Tensor] = field(default_factory=list)
    states: list[int] = field(default_factory=list)
    scores: list[Tensor] = field(default_factory=list)

    def add(self, parents: Int[Tensor, "B N"], symbols: Int[Tensor, "B N"], state: int, scores: Float[Tensor, "B N"]) -> Int[Tensor, "B N"]:
        """Add hypotheses; returns their numbers."""
        first, self.count = self.count, self.count + parents.numel()
        for kept, new in ((self.parents, parents), (self.symbols, symbols), (self.scores, scores)):
            kept.append(new.flatten())
        self.states.append(state)
        return torch.arange(first, self.count, device=parents.device).view_as(parents)

    def traced(self, nodes: Sequence[int]) -> list[list[tuple[int, int, float]]]:
        """For each hypothesis, the symbols with their states and scores, from the beginning."""
        if not self.count:
            return [[] for _ in nodes]
        parents, symbols, scores = (torch.cat(kept).tolist() for kept in (self.parents, self.symbols, self.scores))
        states = np.repeat(self.states, [len(kept) for kept in self.parents]).tolist()
        found = []
        for node in nodes:
            path = []
            while node != _ROOT:
                path.append((symbols[node], states[node], scores[node]))
                node = parents[node]
            found.append(path[::-1])
        return found


@final
class TransducerBeam:
    """The search over a batch of sources, whose states may arrive in parts."""

    def __init__(self, parts: Parts, sources: int, width: int, most: int, biases: Biases | None = None):
        """`width` hypotheses are kept for each source, and at most `most` symbols may be output at one state; `biases` are those of one
        empty hypothesis."""
        self.parts, self.width, self.most = parts, width, most
        self.seen = 0
        self._histories = _Histories()
        predicted, state = parts.model.begin(sources)
        nothing = torch.zeros(sources, 1, dtype=torch.int64, device=predicted.device)
        score = predicted.new_zeros(sources, 1, dtype=torch.promote_types(predicted.dtype, torch.float32))
        self._beam = _Beam(score, nothing, nothing + _ROOT, predicted.unsqueeze(1), state, biases)

    def extend(self, encoded: Float[Tensor, "B S J"], frames: Int[Tensor, " B"]) -> None:
        """Process some more states, of which the first `frames` of each row are real."""
        for place in range(int(frames.max()) if len(frames) else 0):
            self._beam = self._next(encoded[:, place], (place < frames).unsqueeze(1), self.seen + place)
        self.seen += encoded.shape[1]

    def _next(self, encoded: Float[Tensor, "B J"], real: Tensor, place: int) -> _Beam:
        """The best hypotheses after one more state; unchanged where the state is padding."""
        growing, waiting = self._beam, list[_Beam]()
        for said in range(self.most + 1):
            log_probs = self.parts.log_probs(encoded.unsqueeze(1), growing.predicted)
            silent = growing.score + log_probs[..., self.parts.target.pad]
            if not said:
                silent = torch.where(real, silent, growing.score)
            waiting.append(_with_score(growing, silent))
            if said == self.most:
                break
            log_probs[..., self.parts.target.pad] = _NEVER
            worst = waiting[0].ranking.amin(1, keepdim=True) if waiting[0].score.shape[1] == self.width else None
            grown = self._grown(growing, log_probs, worst, real, place)
            if grown is None:
                break
            growing = grown
        return self._merged(_beside(waiting))

    def _grown(self, beam: _Beam, log_probs: Float[Tensor, "B W V"], worst: Tensor | None, real: Tensor, place: int) -> _Beam | None:
        """The best hypotheses extended by one more symbol, as far as they are better than the worst that is kept; None where there are
        none."""
        symbols = log_probs.shape[2]
        scores = beam.score.unsqueeze(2) + log_probs
        ranking = scores if beam.biases is None else scores + beam.biases.said.unsqueeze(2) + beam.biases.following
        best, index = ranking.flatten(1).topk(min(self.width, ranking[0].numel()))
        alive = real & (best > (_NEVER if worst is None else worst))
        if not bool(alive.any()):
            return None
        parents, said = index // symbols, index % symbols
        score = scores.flatten(1).gather(1, index).masked_fill(~alive, _NEVER)
        before = beam.select(parents)
        predicted, state = self.parts.model.advance(said.flatten(), before.state)
        node = self._histories.add(before.node, said, place, score)
        digest = named(before.digest, said)
        biases = None if before.biases is None else before.biases.grown(said)
        return _Beam(score, digest, node, predicted.unflatten(0, said.shape), state, biases)

    def _merged(self, beam: _Beam) -> _Beam:
        """The best different hypotheses; equal symbol sequences are merged, with the history of the most probable one."""
        score = beam.score
        if score.shape[1] != self.width:
            same = beam.digest.unsqueeze(2) == beam.digest.unsqueeze(1)
            pairs = score.unsqueeze(1).expand_as(same).masked_fill(~same, _NEVER)
            likeliest = pairs.argmax(2) == torch.arange(score.shape[1], device=score.device)
            score = pairs.logsumexp(2).masked_fill(~likeliest, _NEVER)
            beam = _with_score(beam, score)
        count = min(self.width, score.shape[1])
        return beam.select(beam.ranking.topk(count).indices)

    def hypotheses(self, n_best: int) -> list[list[Hypothesis]]:
        """The `n_best` best hypotheses of each source, as if its states ended here."""
        beam, end = self._beam, self.parts.target.end
        ranking = beam.score if beam.biases is None else beam.score + beam.biases.whole(end)
        order = ranking.argsort(dim=1, descending=True, stable=True)[:, :n_best]
        nodes, scores, ranks = (table.gather(1, order).tolist() for table in (beam.node, beam.score, ranking))
        paths = iter(self._histories.traced([node for own in nodes for node in own]))
        found = []
        for own_scores, own_ranks in zip(scores, ranks, strict=True):
            made = [_made(next(paths), score, rank) for score, rank in zip(own_scores, own_ranks, strict=True)]
            found.append([item for item in made if item.log_prob > -np.inf])
        return found


def _with_score(beam: _Beam, score: Float[Tensor, "B W"]) -> _Beam:
    return _Beam(score, beam.digest, beam.node, beam.predicted, beam.state, beam.biases)


def _made(path: list[tuple[int, int, float]], score: float, rank: float) -> Hypothesis:
    symbols = np.array([symbol for symbol, _, _ in path], dtype=np.int64)
    states = np.array([state for _, state, _ in path], dtype=np.int64)
    reached = np.array([0.0, *(then for _, _, then in path), score])
    reached = np.maximum.accumulate(reached[::-1])[::-1]  # ways to a beginning may have met later: it is as likely as what goes on with it
    made = hypothesis(symbols, np.diff(reached), rank, "end")
    return replace(made, spans=np.stack([states, states + 1], axis=1))
