"""Hot words: phrases to prefer, such as names that the model has hardly seen (Zhao et al. 2019; the context graph of WeNet).

A hypothesis has, beside its log-probability,

    weight * (the lengths of all occurrences of phrases in it + the length of the longest phrase under way at its end)

so each symbol of a phrase is rewarded when it is said, before the beam could lose the hypothesis, and what was given for a phrase that is
abandoned, or not complete at the end, is taken back.

Unusual here: exact and vectorized. The phrases are an automaton with failure links (Aho & Corasick 1975), so that "b c" is found behind
an abandoned "a b d". A row is the number of its node, and a step is two additions to its row of scores: symbols that go on with any phrase
under way, and symbols that begin one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, final

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from antiphon.contracts.configuration import config
from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.sequences import Request, to_device
from antiphon.errors import ConfigError
from antiphon.search.preparation import Prepared
from antiphon.search.processors import StepScores
from antiphon.search.scorer import Scorer

Phrases = tuple[tuple[int, ...], ...]


@config
class HotWordsConfig:
    """Phrases to prefer, such as names that the model has hardly seen."""

    phrases: tuple[str, ...] = ()
    """Texts, spelt like outputs. A record may have more of them in its field `hot_words`."""
    weight: Annotated[float, Field(gt=0)] = 1.5
    """The bonus of each symbol of a phrase, in log-probability. If it is too large, phrases are recognized that were not spoken."""

    def __post_init__(self) -> None:
        if not all(phrase.strip() for phrase in self.phrases):
            raise ConfigError("`hot_words.phrases` must be texts, but one of them is empty.")


@dataclass(frozen=True)
class _Table:
    """The automata of A sets of phrases, with N nodes in total. Short rows of `symbols` are padded with another of their entries, or with a
    symbol without effect."""

    kept: Float[Tensor, " N"]  # the lengths of the phrases that end here
    pending: Float[Tensor, " N"]  # the length of the longest phrase that is under way
    owner: Int[Tensor, " N"]  # the set
    symbols: Int[Tensor, "N E"]  # those that go on with what is under way, and the nodes behind them
    targets: Int[Tensor, "N E"]
    roots: Int[Tensor, " A"]
    first_symbols: Int[Tensor, "A F"]  # those that begin a phrase
    first_targets: Int[Tensor, "A F"]


@final
@dataclass(frozen=True)
class HotWords:
    """The progress of each row in the phrases: its node."""

    node: Int[Tensor, " R"]
    table: _Table
    steepest: float  # the most that one symbol can add, times the weight

    def select_rows(self, index: Int[Tensor, " N"]) -> "HotWords":
        """Implements `sequences.select_rows`; the table is shared by all rows."""
        return replace(self, node=self.node[index])

    def add_to(self, scores: Float[Tensor, "R V"], weight: float) -> None:
        """Add the bonus of each symbol to its score."""
        table, owner = self.table, self.table.owner[self.node]
        scores.sub_(weight * table.pending[self.node].unsqueeze(1).to(scores.dtype))  # abandoned, unless the symbol goes on
        first, following = table.first_symbols[owner], table.symbols[self.node]
        worth = (weight * (table.kept + table.pending)).to(scores.dtype)
        beginning = scores.gather(1, first) + worth[table.first_targets[owner]]
        going_on = scores.gather(1, following) + worth[table.targets[self.node]]
        scores.scatter_(1, first, beginning).scatter_(1, following, going_on)  # to go on with a longer phrase counts for more

    def advance(self, symbols: Int[Tensor, " R"]) -> "HotWords":
        """The nodes after one more symbol."""
        table, owner = self.table, self.table.owner[self.node]
        node = _found(table.first_symbols[owner], table.first_targets[owner], symbols, table.roots[owner])
        return replace(self, node=_found(table.symbols[self.node], table.targets[self.node], symbols, node))

    def where(self, moves: Bool[Tensor, " R"], other: "HotWords") -> "HotWords":
        """The nodes of these rows where they move, those of the other elsewhere."""
        return replace(self, node=torch.where(moves, self.node, other.node))


def _found(known: Int[Tensor, "R E"], targets: Int[Tensor, "R E"], symbols: Int[Tensor, " R"], otherwise: Int[Tensor, " R"]) -> Tensor:
    hit = known == symbols.unsqueeze(1)
    chosen = targets.gather(1, hit.to(torch.int8).argmax(1, keepdim=True)).squeeze(1)
    return torch.where(hit.any(1), chosen, otherwise)


@final
class HotWordsScorer(Scorer):
    """Scores the phrases for all sources, and those in requests."""

    def __init__(self, settings: HotWordsConfig, phrases: Phrases | None):
        self.settings, self.phrases = settings, phrases
        self._sets: tuple[Phrases, ...] = ()
        self._table: tuple[_Table, float] | None = None  # of the batch before, which mostly has the same phrases

    def begin(self, model: StepwiseModel, prepared: Prepared, width: int) -> HotWords | None:
        """The initial state, with no phrase begun. Raises ConfigError when the phrases are still texts."""
        return self.begun(prepared.requests, width, prepared.device)

    def begun(self, requests: Sequence[Request], width: int, device: torch.device) -> HotWords | None:
        """Like `begin`, for a search without steps."""
        if self.settings.phrases and self.phrases is None:
            raise ConfigError("`search.hot_words.phrases` need `with_help` before the search is used.")
        asked = [tuple(dict.fromkeys((*(self.phrases or ()), *request.hot))) for request in requests]
        if not any(asked):
            return None
        sets = tuple(dict.fromkeys(asked))
        if self._table is None or sets != self._sets or self._table[0].roots.device != device:
            table, steepest = _automata(sets)
            self._sets, self._table = sets, (to_device(table, device), steepest)
        table, steepest = self._table
        numbers = {own: number for number, own in enumerate(sets)}
        owners = torch.tensor([numbers[own] for own in asked], device=device).repeat_interleave(width)
        return HotWords(table.roots[owners], table, steepest * self.settings.weight)

    def score(self, scores: StepScores, last: Int[Tensor, " R"], state: HotWords) -> tuple[StepScores, HotWords]:
        """A bonus for symbols that continue or begin a phrase; all other symbols take back the bonus of a phrase that was begun."""
        state.add_to(scores.ranking, self.settings.weight)
        return scores, state

    def advance(self, state: HotWords, symbols: Int[Tensor, " R"]) -> HotWords:
        """The nodes after one more symbol."""
        return state.advance(symbols)

    def gain(self, state: HotWords, steps: int) -> float:
        """The bonus if every step but the last, which is the end, were the best one of all phrases."""
        return state.steepest * max(steps - 1, 0)


@dataclass
class _Node:
    depth: int
    owner: int
    children: dict[int, int]
    following: dict[int, int]  # children, and those of all shorter phrases under way, but for the root's
    kept: float = 0.0
    pending: float = 0.0


def _automata(sets: Sequence[Phrases]) -> tuple[_Table, float]:
    """The table, and the greatest bonus of a single symbol."""
    nodes: list[_Node] = []
    roots = [_grow(nodes, owner, phrases) for owner, phrases in enumerate(sets)]
    firsts = [list(nodes[root].children.items()) or [(0, root)] for root in roots]
    following = [list(node.following.items()) or firsts[node.owner][:1] for node in nodes]
    symbols, targets = _filled(following)
    first_symbols, first_targets = _filled(firsts)
    worth = [node.kept + node.pending for node in nodes]
    rises = [worth[target] - node.pending for node, own in zip(nodes, following, strict=True) for _, target in own]
    rises += [worth[target] for own in firsts for _, target in own]
    table = _Table(
        kept=torch.tensor([node.kept for node in nodes]),
        pending=torch.tensor([node.pending for node in nodes]),
        owner=torch.tensor([node.owner for node in nodes]),
        symbols=symbols,
        targets=targets,
        roots=torch.tensor(roots),
        first_symbols=first_symbols,
        first_targets=first_targets,
    )
    return table, max(rises)


def _grow(nodes: list[_Node], owner: int, phrases: Phrases) -> int:
    """Add the nodes for a set of phrases; returns the number of the root."""
    root = len(nodes)
    nodes.append(_Node(0, owner, {}, {}))
    for phrase in phrases:
        place = root
        for symbol in phrase:
            if symbol not in nodes[place].children:
                nodes[place].children[symbol] = len(nodes)
                nodes.append(_Node(nodes[place].depth + 1, owner, {}, {}))
            place = nodes[place].children[symbol]
        nodes[place].kept = float(len(phrase))
    # By depth, since the link of a node, to the longest shorter phrase that is under way there, too, leads to a shallower one.
    links, order = {root: root}, [root]
    for number in order:
        node, link = nodes[number], nodes[links[number]]
        if number != root:
            node.kept += link.kept
            node.pending = float(node.depth) if node.children else link.pending
            node.following = {**link.following, **node.children}
        shorter = {} if number == root else {**nodes[root].children, **link.following}
        links.update({child: shorter.get(symbol, root) for symbol, child in node.children.items()})
        order += node.children.values()
    return root


def _filled(entries: Sequence[Sequence[tuple[int, int]]]) -> tuple[Int[Tensor, "N E"], Int[Tensor, "N E"]]:
    """Symbols and targets as tables; short rows are padded with their first entry."""
    longest = max(map(len, entries))
    both = torch.tensor([[*own, *[own[0]] * (longest - len(own))] for own in entries])
    return both[..., 0], both[..., 1]
