"""Minimum risk training: the loss of a batch samples outputs from the model, and a metric determines their costs.

Outputs are drawn as for a search, without gradients and without dropout. Then they are said once more with gradients, as targets, each
pulled up or down; since only these pulls differ from cross-entropy, its loss does the work, and no tensor of all logits exists.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from antiphon.contracts.loss import Loss, LossSum
from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.sequences import Batch, Hypothesis, Output, Padded, pad, select_rows
from antiphon.contracts.specs import TokenSpec

Cost = Callable[[Sequence[np.ndarray], np.ndarray], Float[np.ndarray, " N"]]
"""(N outputs, the reference), each (T,) symbols -> what each output costs."""

Draw = Callable[[StepwiseModel, Padded, int], list[list[Hypothesis]]]
"""(model, sources, seed) -> outputs drawn for each source."""


def pulls(log_probs: Float[Tensor, " N"], costs: Float[Tensor, " N"], alpha: float) -> tuple[Float[Tensor, " N"], Float[Tensor, ""]]:
    """The weight of each output's log-probability in the gradient: the derivative of the risk divided by alpha; and the risk."""
    shares = torch.softmax(alpha * log_probs, dim=0)
    risk = (shares * costs).sum()
    return shares * (costs - risk), risk


@final
@dataclass(frozen=True)
class MinimumRiskLoss:
    """A loss that needs the batch, the model, and the costs of outputs.

    likelihood   the loss of references that stands beside the risk, with its `share`
    plain        the negative log-probability of symbols, without smoothing
    alpha        how sharp the distribution over the outputs is
    references   whether the reference is one of the outputs
    """

    model: StepwiseModel
    target: TokenSpec
    likelihood: Loss
    plain: Loss
    cost: Cost
    draw: Draw
    alpha: float
    share: float
    references: bool

    def for_batch(self, batch: Batch) -> Loss:
        """The loss function for this batch."""
        return _RiskOfBatch(self, batch)

    def drawn(self, batch: Batch) -> list[list[Hypothesis]]:
        """Different outputs for each source, sampled from the model in evaluation mode."""
        seed = int(torch.randint(1 << 31, ()))  # belongs to the update, so that a resumed run draws the same
        learns = self.model.training
        self.model.eval()
        try:
            found = self.draw(self.model, batch.source, seed)
        finally:
            self.model.train(learns)
        return [list({item.elements.tobytes(): item for item in own}.values()) for own in found]


@final
@dataclass(frozen=True)
class _RiskOfBatch:
    """The loss of one batch."""

    owner: MinimumRiskLoss
    batch: Batch

    def __call__(self, output: Output, labels: Padded, weights: Float[Tensor, " B"] | None = None) -> LossSum:
        """The risk of each record, times the length of its labels, and the cross-entropy, weighted by their shares."""
        share = self.owner.share
        risk = self._risk(labels, weights)
        return (1 - share) * risk + share * self.owner.likelihood(output, labels, weights) if share else risk

    def _risk(self, labels: Padded, weights: Float[Tensor, " B"] | None) -> LossSum:
        owner, device = self.owner, labels.values.device
        said, rows, pulled, risks = list[np.ndarray](), list[int](), list[Tensor](), list[Tensor]()
        for row, own in enumerate(owner.drawn(self.batch)):
            reference = labels.values[row, : int(labels.lengths[row])].cpu().numpy()
            outputs = [np.append(item.elements, owner.target.end) for item in own]
            scores = [item.log_prob for item in own]
            if owner.references and not any(np.array_equal(one, reference) for one in outputs):
                outputs, scores = [*outputs, reference], [*scores, self._log_prob(row, reference)]
            costs = torch.as_tensor(owner.cost([one[:-1] for one in outputs], reference[:-1]), dtype=torch.float32)
            pull, risk = pulls(torch.tensor(scores), costs, owner.alpha)
            said, rows = said + outputs, rows + [row] * len(outputs)
            pulled.append(pull)
            risks.append(risk)
        index, pull = torch.tensor(rows, device=device), torch.cat(pulled).to(device)
        of_rows = torch.stack(risks).to(device) * labels.lengths
        value = of_rows.sum() if weights is None else (of_rows * weights).sum()
        if weights is not None:
            pull = pull * weights[index]
        surrogate = self._said_again(said, index, -pull)  # pulling a log-probability down is pushing its negative up
        return LossSum(value + surrogate - surrogate.detach(), of_rows)

    def _said_again(self, outputs: Sequence[np.ndarray], rows: Tensor, weights: Tensor) -> Tensor:
        """The weighted sum of the negative log-probabilities of outputs, with gradients."""
        owner = self.owner
        memory = select_rows(owner.model.encode(self.batch.source), rows)
        inputs, labels = self._framed(outputs)
        return owner.plain(owner.model.decode(inputs, memory), labels, weights).total

    def _log_prob(self, row: int, reference: np.ndarray) -> float:
        """The log-probability of a reference, in the terms of the search."""
        owner = self.owner
        index = torch.tensor([row], device=self.batch.source.lengths.device)
        learns = owner.model.training
        owner.model.eval()
        try:
            with torch.no_grad():
                inputs, labels = self._framed([reference])
                memory = owner.model.encode(self.batch.source.select_rows(index))
                return -float(owner.plain(owner.model.decode(inputs, memory), labels).total)
        finally:
            owner.model.train(learns)

    def _framed(self, outputs: Sequence[np.ndarray]) -> tuple[Padded, Padded]:
        """The decoder inputs and labels for outputs that end with the end symbol."""
        device, target = self.batch.source.values.device, self.owner.target
        labels = pad(outputs, float(target.pad))
        inputs = pad([np.concatenate([[target.start], one[:-1]]) for one in outputs], float(target.pad))
        return Padded(inputs.values.to(device), inputs.lengths.to(device)), Padded(labels.values.to(device), labels.lengths.to(device))
