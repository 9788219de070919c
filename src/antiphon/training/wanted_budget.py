"""The batch size that suits the size of the data, where memory alone would allow more: `training.batching.target_tokens: auto` takes the
smaller of both. Small batches give many updates in little time, which a few large ones cannot replace."""

import math

from antiphon.training.settings import TrainingConfig

UPDATES = 2500  # that a training should have at least
PASSES = 5.0  # over the data, that minutes are taken to have room for
LEAST, MOST = 250, 25_000  # target elements; the most is that of Vaswani et al. 2017


def wanted_budget(settings: TrainingConfig, elements: int) -> int:
    """The largest budget of a batch, in target elements, that leaves enough updates for an epoch of this size."""
    if settings.max_steps is not None:  # as many updates as are asked for, of whatever size
        return MOST
    passes = PASSES if settings.max_epochs is None else settings.max_epochs
    return int(min(MOST, max(LEAST, math.ceil(elements * passes / UPDATES / settings.accumulation))))
