"""The batches of training: this rank's part of each global one."""

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import final

from antiphon.contracts.abilities import Augments, augments
from antiphon.contracts.corpus import StoredCorpus
from antiphon.contracts.sequences import Batch
from antiphon.contracts.task import Task
from antiphon.data.batching import BatchingConfig, Sampler
from antiphon.data.collate import collate
from antiphon.data.loader import Loader
from antiphon.data.mixing import MixedCorpus
from antiphon.errors import ConfigError
from antiphon.training.distributed import Ranks


@final
class TrainingBatches:
    """This rank's part of each global batch. `say` is told when worker processes cannot go on; with `stands_in` it is never None.

    Raises ConfigError for workers that would have nothing to do.
    """

    def __init__(
        self,
        corpus: StoredCorpus | MixedCorpus,
        task: Task,
        settings: BatchingConfig,
        seed: int,
        ranks: Ranks,
        say: Callable[[str], None] = warnings.warn,
        *,
        stands_in: bool = False,
    ):
        if settings.workers and not task.samples_encodings and not augments(task):
            raise ConfigError(
                "`training.batching.workers` must be left out where examples are read as they are stored, which a thread does faster:"
                " this task neither samples encodings nor augments."
            )
        self.sampler = Sampler(corpus, settings, seed)
        together = partial(collate, source=task.source_spec, target=task.target_spec)
        self.loader = Loader(
            corpus,
            self.sampler,
            together,
            seed=seed,
            sample=task.samples_encodings,
            augment=task.augment if isinstance(task, Augments) and task.augments else None,
            rank=ranks.rank,
            world=ranks.world,
            stands_in=stands_in,
            workers=settings.workers,
            say=say,
        )
        self._estimate: int | None = None

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch | None]:
        """Batches of an epoch, from number `start` on."""
        return self.loader.batches(epoch, start)

    def estimate(self) -> int:
        """About how many batches an epoch has."""
        if self._estimate is None:
            self._estimate = self.sampler.estimate_batches()
        return self._estimate
