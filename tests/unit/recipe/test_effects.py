"""What has no effect on a prediction is no setting of it."""

import pytest

from antiphon.errors import ConfigError
from antiphon.recipe.effects import EVALUATION, PREDICTION


@pytest.mark.parametrize(
    "change",
    [
        "training.max_steps=3",
        "data.train=x",
        "data={train: x}",
        "data.limits={max_source_length: 3, max_target_length: 4}",
        "model.dropout=0.1",
        "model.encoder.attention_dropout=0.1",
        "task.augmentation={}",
        "task.vocabulary.size=100",
        "task.backtest.windows=2",
        "evaluation.metrics=[bleu]",
        "seed=3",
        "distillation.level=token",
    ],
)
def test_a_setting_without_effect_is_refused(change: str) -> None:
    with pytest.raises(ConfigError, match=r"has no effect on a prediction. What can be set: `search`, `task`, `model`"):
        PREDICTION.check(["search.beam_size=1", change])


@pytest.mark.parametrize(
    "change",
    [
        "search=greedy",
        "search.processors={allow_unknown: false}",
        "task.horizon=3",
        "task.vocabulary.languages=[a, b]",
        "model.path=elsewhere",
        "evaluation.batch_size=4",
        "evaluation={batch_size: 4}",
        "data.limits.too_long=truncate",
        "data.limits={max_source_length: 3}",
        "trainig.max_steps=3",  # who applies it names the nearest key
        "search.beam_size=[",
        "search",
    ],
)
def test_what_has_an_effect_is_left_alone(change: str) -> None:
    PREDICTION.check([change])


def test_an_evaluation_has_more() -> None:
    EVALUATION.check(["evaluation.metrics=[bleu]", "data.test=x", "task.backtest.windows=2", "training.batching.target_tokens=9"])
    with pytest.raises(ConfigError, match=r"`training.max_steps` must not be set here, since it has no effect on an evaluation."):
        EVALUATION.check(["training.max_steps=3"])
