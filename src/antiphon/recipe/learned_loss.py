"""Builds the training loss for an existing model: a loss may depend on the model's own outputs."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from antiphon.contracts import registry
from antiphon.contracts.loss import Loss, LossOfBatch
from antiphon.contracts.model import Seq2SeqModel, StepwiseModel
from antiphon.contracts.sequences import Hypothesis, Padded
from antiphon.contracts.specs import TokenSpec
from antiphon.contracts.task import Task
from antiphon.heads.choice import head_name
from antiphon.losses.minimum_risk import MinimumRiskConfig
from antiphon.recipe.assembly import build_losses, stepwise, utility_of
from antiphon.recipe.recipe import Recipe
from antiphon.search.limits import LimitsConfig
from antiphon.search.processors import ProcessorsConfig
from antiphon.search.sampling import SamplingConfig, SamplingSearch
from antiphon.training.minimum_risk import MinimumRiskLoss


def loss_to_train(recipe: Recipe, task: Task, model: Seq2SeqModel) -> Loss | LossOfBatch:
    """The training loss for this model. Raises ConfigError when the model, the task or a metric does not suit it."""
    settings, (loss, _) = recipe.training.loss, build_losses(recipe, task)
    if not isinstance(settings, MinimumRiskConfig):
        return loss
    target = task.target_spec
    assert isinstance(target, TokenSpec), "the loss of references has refused real values"
    head = registry.find("heads", head_name(getattr(recipe.model, "head", None), target))
    natural = registry.find("losses", head.loss)  # that of a head that copies is another than cross-entropy
    utility = utility_of(settings.metric, task, "training.loss.metric")

    def cost(outputs: Sequence[np.ndarray], reference: np.ndarray) -> np.ndarray:
        return -np.asarray(utility(outputs, [reference]))[:, 0] / 100  # metrics of texts are percentages

    limits, processors = (getattr(recipe.search, name, None) for name in ("limits", "processors"))
    sampling = SamplingConfig(
        samples=settings.samples,
        temperature=settings.temperature,
        limits=limits or LimitsConfig(),
        processors=processors or ProcessorsConfig(),
    )
    plain = natural.measure(natural.Config(), target)
    likelihood = natural.build(natural.Config(label_smoothing=settings.label_smoothing), target)

    def draw(model: StepwiseModel, source: Padded, seed: int) -> list[list[Hypothesis]]:
        return SamplingSearch(replace(sampling, seed=seed))(model, source)

    return MinimumRiskLoss(
        stepwise(model),
        target,
        likelihood,
        plain,
        cost,
        draw,
        alpha=settings.alpha,
        share=settings.cross_entropy_weight,
        references=settings.references,
    )
