"""The risk of a model's own outputs: against a plain reading of the paper, with gradients, and weights of records."""

from typing import Any

import numpy as np
import pytest
import torch

from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Batch, Hypothesis, Padded, pad
from antiphon.data.collate import collate
from antiphon.errors import ConfigError
from antiphon.layers.transformer_config import TransformerConfig
from antiphon.losses.cross_entropy import CrossEntropy
from antiphon.models import transformer
from antiphon.recipe.assembly import build_losses, build_model, build_task
from antiphon.recipe.learned_loss import loss_to_train
from antiphon.recipe.recipe import recipe_from
from antiphon.training.minimum_risk import MinimumRiskLoss, pulls
from tests.conformance.variants import TOKENS

OUTPUTS = [[[5, 6], [7], [5, 6, 7]], [[8, 9], [4, 4, 4, 4]]]
COSTS = {len(one): 0.1 + 0.2 * len(one) for own in OUTPUTS for one in own}


def toy() -> tuple[Any, Batch]:
    sizes = {"dim": 8, "heads": 2, "encoder_layers": 1, "decoder_layers": 1, "feed_forward_dim": 8, "dropout": 0.0}
    model = transformer.build(validate(TransformerConfig, sizes), TOKENS, TOKENS).double()
    arrays = [np.array(one) for one in ([4, 5, 3], [6, 7, 8, 3])]
    targets = [np.array(one) for one in ([2, 9, 8, 3], [2, 4, 3])]
    return model, Batch(pad(arrays), pad(targets), (0, 1))


def log_prob(model: Any, batch: Batch, row: int, said: list[int]) -> torch.Tensor:
    """The plain way: every step's log-softmax."""
    source = batch.source.select_rows(torch.tensor([row]))
    inputs = Padded(torch.tensor([[2, *said]]), torch.tensor([len(said) + 1]))
    values = model.decode(inputs, model.encode(source)).values.log_softmax(-1)
    return values[0, range(len(said) + 1), [*said, 3]].sum()


def loss_of(model: Any, batch: Batch, **settings: Any) -> MinimumRiskLoss:
    def draw(model: Any, source: Padded, seed: int) -> list[list[Hypothesis]]:
        scores = [[log_prob(model, batch, row, one).item() for one in own] for row, own in enumerate(OUTPUTS)]
        pairs = [zip(own, log, strict=True) for own, log in zip(OUTPUTS, scores, strict=True)]
        found = [[Hypothesis(np.array(one), score, score) for one, score in own] for own in pairs]
        return [[*own, own[0]] for own in found]  # one is drawn twice

    def cost(outputs: Any, reference: np.ndarray) -> np.ndarray:
        return np.array([COSTS.get(len(one), 0.0) for one in outputs])

    kept = {"alpha": 0.5, "share": 0.0, "references": False, **settings}
    return MinimumRiskLoss(model, TOKENS, CrossEntropy(0.1), CrossEntropy(), cost, draw, **kept)


@pytest.mark.parametrize("references", [False, True])
@pytest.mark.parametrize("weights", [None, [0.5, 2.0]])
def test_value_and_gradient_are_those_of_the_paper(weights: list[float] | None, references: bool, seed: int) -> None:
    torch.manual_seed(seed)
    model, batch = toy()
    alpha = 0.5
    risks = []
    for row, own in enumerate(OUTPUTS):
        said = [*own, *([[[9, 8], [4]][row]] if references else [])]
        costs = torch.tensor([COSTS[len(one)] if one in own else COSTS.get(len(one), 0.0) for one in said], dtype=torch.float64)
        logs = torch.stack([log_prob(model, batch, row, one) for one in said])
        risks.append((torch.softmax(alpha * logs, 0) * costs).sum())
    of_rows = torch.stack(risks)
    each = torch.ones(2, dtype=torch.float64) if weights is None else torch.tensor(weights, dtype=torch.float64)
    expected = torch.autograd.grad((of_rows * each).sum() / alpha, list(model.parameters()))
    model.zero_grad()
    loss = loss_of(model, batch, references=references).for_batch(batch)
    given = None if weights is None else torch.tensor(weights)
    found = loss(model(batch.source, batch.inputs), batch.labels, given)
    found.total.backward()
    lengths = batch.labels.lengths
    torch.testing.assert_close(found.rows.double(), of_rows.detach() * lengths, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found.total.detach().double(), (of_rows.detach() * lengths * each).sum(), rtol=1e-5, atol=1e-6)
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)


def test_cross_entropy_has_its_share() -> None:
    torch.manual_seed(1)
    model, batch = toy()
    output = model(batch.source, batch.inputs)
    risk = loss_of(model, batch).for_batch(batch)(output, batch.labels)
    both = loss_of(model, batch, share=0.25).for_batch(batch)(output, batch.labels)
    likelihood = CrossEntropy(0.1)(output, batch.labels)
    torch.testing.assert_close(both.rows.double(), (0.75 * risk.rows + 0.25 * likelihood.rows).double(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(both.total.double(), (0.75 * risk.total + 0.25 * likelihood.total).double(), rtol=1e-5, atol=1e-6)


def test_what_costs_more_than_the_risk_is_pulled_down() -> None:
    pull, risk = pulls(torch.tensor([-1.0, -2.0, -9.0]), torch.tensor([0.2, 0.8, 0.5]), 0.005)
    assert 0.49 < float(risk) < 0.51, "nearly even"
    assert (pull[0] < 0).item()
    assert (pull[1] > 0).item()
    assert float(pull.sum()) == pytest.approx(0, abs=1e-6)


def recipe(**loss: Any) -> Any:
    return recipe_from(
        {
            "task": {"name": "translation", "vocabulary": {"kind": "character"}},
            "model": {"name": "lstm", "dim": 8, **loss.pop("model", {})},
            "training": {"max_steps": 1, "loss": {"name": "minimum_risk", "samples": 4, **loss}},
            "search": {"name": "greedy", "limits": {"max_length": 4}},
        }
    )


@pytest.mark.parametrize("settings", [{}, {"metric": "word_error_rate", "references": True}, {"model": {"head": "pointer"}}])
def test_a_recipe_draws_scores_and_learns(settings: dict[str, Any]) -> None:
    """Also with a head that copies; the same state of chance draws the same outputs, within the limits of the search."""
    chosen = recipe(**settings)
    task = build_task(chosen)
    rows = [{"source": "abc", "target": "cba"}, {"source": "ab", "target": "ba"}]
    task.fit(rows)
    torch.manual_seed(3)
    model = build_model(chosen, task).train()
    batch = collate([task.encode(row) for row in rows], task.source_spec, task.target_spec)
    loss = loss_to_train(chosen, task, model)
    assert isinstance(loss, MinimumRiskLoss)
    torch.manual_seed(5)
    one = loss.drawn(batch)
    assert [item.elements.tolist() for item in loss.drawn(batch)[0]] != [item.elements.tolist() for item in one[0]]
    torch.manual_seed(5)
    assert [item.elements.tolist() for item in loss.drawn(batch)[0]] == [item.elements.tolist() for item in one[0]]
    assert max(len(item.elements) for own in one for item in own) <= 4
    assert model.training
    output = model(batch.source, batch.inputs)
    found = loss.for_batch(batch)(output, batch.labels)
    found.total.backward()
    assert bool(build_losses(chosen, task)[1](output, batch.labels).rows.isfinite().all()), "what is reported suits the head"
    assert all(parameter.grad is not None and bool(parameter.grad.isfinite().all()) for parameter in model.parameters())


def test_what_does_not_suit_is_refused() -> None:
    chosen = recipe(metric="length_ratio")
    task = build_task(chosen)
    task.fit([{"source": "abc", "target": "cba"}])
    with pytest.raises(ConfigError, match=r"`training.loss.metric` must say which of two outputs is better"):
        loss_to_train(chosen, task, build_model(chosen, task))
