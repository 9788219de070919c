"""The training section: what is said about a budget that the warm-up uses up."""

import pytest

from antiphon.training.distributed import DistributedConfig
from antiphon.training.schedules import ConstantConfig
from antiphon.training.settings import TrainingConfig, warmup_notes


@pytest.mark.parametrize(
    ("budget", "updates", "share"),
    [
        ({"max_steps": 50}, "50", "50%"),
        ({"max_steps": 100}, "100", "100%"),
        ({"max_epochs": 2}, "40", "40%"),
        ({"max_epochs": 2, "accumulation": 3}, "14", "14%"),
        ({"max_epochs": 2, "max_steps": 500}, "40", "40%"),
        ({"max_epochs": 200, "max_steps": 25, "max_minutes": 5}, "25", "25%"),
    ],
    ids=str,
)
def test_a_warm_up_that_outlasts_the_budget_is_said(budget, updates, share):
    settings = TrainingConfig(schedule=ConstantConfig(warmup_steps=100), **budget)
    assert warmup_notes(settings, batches_per_epoch=20) == [
        f"`training.schedule.warmup_steps` is 100, and the budget is about {updates} updates: the learning rate rises until the end,"
        f" to {share} of `training.optimizer.learning_rate`. Lower the one or raise the other."
    ]


@pytest.mark.parametrize("budget", [{"max_steps": 101}, {"max_epochs": 6}, {"max_minutes": 1}, {"max_steps": 0}], ids=str)
def test_of_a_warm_up_that_ends_there_is_nothing_to_say(budget):
    assert warmup_notes(TrainingConfig(schedule=ConstantConfig(warmup_steps=100), **budget), batches_per_epoch=20) == []


def test_only_shards_are_kept_elsewhere():
    with pytest.raises(ValueError, match=r"`distributed.offload` must be left out without `distributed.shard`"):
        TrainingConfig(max_steps=1, distributed=DistributedConfig(offload=True))


def test_compiled_layers_have_no_shards():
    with pytest.raises(ValueError, match=r"`compile` must be false with `distributed.shard`"):
        TrainingConfig(max_steps=1, compile=True, distributed=DistributedConfig(shard=True))
