"""How much is decoded while training: about a tenth of the time, counted and not timed."""

from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from antiphon.contracts.sequences import Example
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.contracts.task import Task
from antiphon.data.mapped import MemoryCorpus
from antiphon.data.mixing import MixedCorpus
from antiphon.errors import ConfigError
from antiphon.prediction.validation_cost import FEWEST, FEWEST_AT_THE_END, FIRST, SEQUENTIAL, ValidationCost, Work, work_of
from antiphon.recipe.recipe import recipe_from
from antiphon.search.beam import BeamConfig
from antiphon.search.direct import DirectConfig
from antiphon.search.greedy import GreedyConfig
from antiphon.search.rollout import RolloutConfig
from antiphon.training.settings import TrainingConfig

SYMBOLS = TokenSpec(9, 0, 1, 2, 3)


def cost(count: int, source: int = 15, target: int = 15, spec: Any = SYMBOLS, device: str = "cpu") -> ValidationCost:
    task = Mock(spec=Task)
    task.target_spec = spec
    example = Example(np.zeros(source, dtype=np.int64), np.zeros(target, dtype=np.int64))
    return ValidationCost(task, [MemoryCorpus([example] * count)], torch.device(device))


def settings(**changes: Any) -> TrainingConfig:
    return TrainingConfig(max_minutes=1.0, **changes)


EPOCH = Work(29_000 * 30.0, 200.0)  # about Multi30k


def test_a_tenth_of_the_time_is_the_default() -> None:
    measured = cost(1014)
    plan = measured.plan(settings(), EPOCH, GreedyConfig())
    assert plan.epochs == 1
    assert 300 < plan.records < 700
    assert cost(1014, device="cuda").plan(settings(), EPOCH, GreedyConfig()).records < plan.records / 4
    spent = measured.loss + plan.records * measured.decoding(GreedyConfig())
    assert 0.09 * EPOCH.elements < spent <= 0.1 * EPOCH.elements


def test_what_does_not_fit_into_an_epoch_is_done_after_several() -> None:
    """The loss alone of as many validation records as training records takes a third."""
    small = Work(200 * 30.0, 3.0)
    plan = cost(200).plan(settings(), small, GreedyConfig())
    assert plan.records >= FEWEST
    assert plan.epochs > 3
    due = [epoch for epoch in range(1, 4 * plan.epochs + 1) if plan.due(epoch)]
    assert due[:FIRST] == [1, 2, 3, 4, 5], "how a run begins is seen at once"
    assert due[FIRST:] == [number * plan.epochs for number in range(1, 5) if number * plan.epochs > FIRST]


def test_what_the_recipe_says_bounds_what_is_decoded() -> None:
    assert cost(1014).plan(settings(validation_records=40), EPOCH, GreedyConfig()).records == 40
    assert cost(1014).plan(settings(validation_records=None, validation_share=None), EPOCH, GreedyConfig()).records == 1014
    assert cost(1014).plan(settings(validation_records=None, validation_share=1.0), EPOCH, GreedyConfig()).records == 1014
    every = cost(1014).plan(settings(validate_every=1), EPOCH, GreedyConfig())
    assert (every.records, every.epochs) == (FEWEST, 1), "an interval that the recipe names is kept"
    assert cost(20).plan(settings(), EPOCH, GreedyConfig()).records == 20
    with pytest.raises(ConfigError, match="validation_share"):
        recipe_from({"task": "translation", "model": "lstm", "training": {"max_steps": 1, "validation_share": 0}})


def test_searches_cost_what_they_follow() -> None:
    symbols, values = cost(10), cost(10, spec=ValueSpec(1))
    assert symbols.decoding(GreedyConfig()) == pytest.approx(5 + SEQUENTIAL["cpu"] * 15)
    assert symbols.decoding(BeamConfig(beam_size=5)) == pytest.approx(5 + 3 * SEQUENTIAL["cpu"] * 15)
    assert values.decoding(DirectConfig()) == pytest.approx(10), "all steps at once are a forward pass"
    assert values.decoding(RolloutConfig(samples=100)) == pytest.approx(5 + 100 / 3 * 15)
    assert values.decoding(RolloutConfig(samples=1)) == pytest.approx(5 + SEQUENTIAL["cpu"] * 15)


def test_the_work_of_an_epoch_counts_what_it_shows() -> None:
    example = Example(np.zeros(4, dtype=np.int64), np.zeros(6, dtype=np.int64))
    work = work_of(MixedCorpus([MemoryCorpus([example] * 5)], [2.0]), 10, 4.0)
    assert (work.elements, work.of(2)) == (100.0, 50.0)


def test_the_best_is_scored_in_full_where_that_takes_no_longer_than_its_share() -> None:
    many, beam = cost(20_000), BeamConfig(beam_size=5)
    assert cost(300).at_the_end(settings(), EPOCH, 1, beam) == 300
    assert many.at_the_end(settings(), EPOCH, 1, beam) == FEWEST_AT_THE_END
    assert FEWEST_AT_THE_END < many.at_the_end(settings(), EPOCH, 4000, beam) < 20_000
    assert many.at_the_end(settings(validation_share=None), EPOCH, 1, beam) == 20_000


def test_validations_by_the_budget_decode_what_fits_between_two() -> None:
    """Few until it is known how many updates are between two validations; then as with that many."""
    measured, search = cost(1014), GreedyConfig()
    automatic = settings(validate_every="auto")
    assert measured.plan(automatic, EPOCH, search).records == FEWEST
    assert measured.plan(automatic, EPOCH, search, 150) == measured.plan(settings(validate_every=150), EPOCH, search)
