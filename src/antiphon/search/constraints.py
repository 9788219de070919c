"""Required phrases: lexically constrained decoding by dynamic beam allocation (Post & Vilar 2018, vectorized as by Hu et al. 2019).

Candidates are sorted into banks by how many symbols of the required phrases they have said. The beam is dealt out over the banks in
turn, the best of each bank first, so hypotheses that are making progress are not crowded out by likelier ones that are making none. A
hypothesis may end only when it has said all phrases, or at the length limit.

Unusual here: progress is exact. For each phrase all ways in which it may be under way are tracked (`suffix`), so "a a b" is found in
"a a a b", and a phrase that another phrase contains counts for both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.sequences import Request
from antiphon.search.preparation import Prepared
from antiphon.search.scorer import Scorer

_NO_SYMBOL = -1


@final
@dataclass(frozen=True)
class RequiredPhrases:
    """The phrases of each row and how much of them has been output; rows follow their hypotheses by `select_rows`.

    `suffix[r, p, j]` is True when the last j symbols of row r are the first j of phrase p. A row with fewer than P phrases has empty
    ones, which count as said.
    """

    phrases: Int[Tensor, "R P L"]
    lengths: Int[Tensor, "R P"]
    said: Bool[Tensor, "R P"]
    suffix: Bool[Tensor, "R P L"]

    @property
    def complete(self) -> Bool[Tensor, " R"]:
        """True for the rows whose phrases have all been output."""
        return self.said.all(1)

    def advance(self, symbols: Int[Tensor, " R"]) -> "RequiredPhrases":
        """The state after one more symbol of each row."""
        hit = self.suffix & (self.phrases == symbols[:, None, None])
        said = self.said | hit.gather(2, (self.lengths - 1).clamp(min=0).unsqueeze(2)).squeeze(2)
        suffix = torch.cat((torch.ones_like(hit[..., :1]), hit[..., :-1]), dim=2)
        return replace(self, said=said, suffix=suffix)

    def next_symbols(self) -> Int[Tensor, "R P"]:
        """The next symbol of each phrase; -1 for phrases that are complete."""
        position = torch.arange(self.phrases.shape[2], device=self.phrases.device)
        furthest = torch.where(self.suffix & (self.phrases != _NO_SYMBOL), position, 0).amax(2, keepdim=True)
        return self.phrases.gather(2, furthest).squeeze(2).masked_fill(self.said, _NO_SYMBOL)

    def banks(self, symbols: Int[Tensor, "R K"]) -> Int[Tensor, "R K"]:
        """How many required symbols each row will have output if one of `symbols` follows: whole phrases, and the phrase that is furthest
        begun."""
        hit = self.suffix.unsqueeze(1) & (self.phrases.unsqueeze(1) == symbols[:, :, None, None])  # (R, K, P, L)
        begun = torch.where(hit, torch.arange(1, hit.shape[3] + 1, device=hit.device), 0).amax(3)  # (R, K, P)
        lengths, said = self.lengths.unsqueeze(1), self.said.unsqueeze(1)
        said = said | (begun == lengths)
        whole = torch.where(said, lengths, 0).sum(2)
        return whole + torch.where(said, 0, begun).amax(2)


@final
class RequiredPhrasesScorer(Scorer):
    """Lets a hypothesis end when it contains all phrases. Its state determines how a beam is allocated (`candidates.constrained`)."""

    def begin(self, model: StepwiseModel, prepared: Prepared, width: int) -> RequiredPhrases | None:
        """The state before the first symbol."""
        return required_phrases(prepared.requests, width, prepared.device)

    def advance(self, state: RequiredPhrases, symbols: Int[Tensor, " R"]) -> RequiredPhrases:
        """The state after one more symbol of each row."""
        return state.advance(symbols)

    def may_end(self, state: RequiredPhrases) -> Bool[Tensor, " R"]:
        """The rows whose phrases have all been output."""
        return state.complete


def required_phrases(requests: Sequence[Request], width: int, device: torch.device) -> RequiredPhrases | None:
    """The phrases required for `width` rows per source, none begun yet; None when no source requires any."""
    asked = [tuple(dict.fromkeys(request.required)) for request in requests]  # to appear twice is not asked for
    most = max(len(phrases) for phrases in asked)
    if most == 0:
        return None
    longest = max(len(phrase) for phrases in asked for phrase in phrases)
    phrases = torch.full((len(asked), most, longest), _NO_SYMBOL)
    for row, own in enumerate(asked):
        for column, phrase in enumerate(own):
            phrases[row, column, : len(phrase)] = torch.tensor(phrase)
    phrases = phrases.repeat_interleave(width, 0).to(device)
    lengths = (phrases != _NO_SYMBOL).sum(2)
    suffix = torch.zeros_like(phrases, dtype=torch.bool)
    suffix[:, :, 0] = True
    return RequiredPhrases(phrases, lengths, lengths == 0, suffix)


def allocate(scores: Float[Tensor, "B N"], banks: Int[Tensor, "B N"], count: int) -> Int[Tensor, "B K"]:
    """The `count` candidates that get a place in the beam, in order: the best of each bank, fullest bank first, then the second best of
    each, ...

    A source without phrases has one bank, and so the order of the scores. Candidates at minus infinity come last.
    """
    by_score = scores.argsort(dim=1, descending=True, stable=True)
    banks = banks.masked_fill(scores == -float("inf"), -1)  # what cannot be chosen must not take a bank's first place
    sorted_banks = banks.gather(1, by_score)
    by_bank = by_score.gather(1, sorted_banks.argsort(dim=1, descending=True, stable=True))
    bank = banks.gather(1, by_bank)
    position = torch.arange(bank.shape[1], device=bank.device).expand_as(bank)
    begins = torch.cat((torch.ones_like(bank[:, :1], dtype=torch.bool), bank[:, 1:] != bank[:, :-1]), dim=1)
    rank = position - torch.where(begins, position, 0).cummax(1).values
    rank = rank.masked_fill(bank < 0, bank.shape[1])
    return by_bank.gather(1, rank.argsort(dim=1, stable=True))[:, :count]
