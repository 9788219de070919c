"""The batches of training: this rank's part of each global one."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import final

import torch

from antiphon.contracts.abilities import Augments
from antiphon.contracts.asking import augments
from antiphon.contracts.corpus import StoredCorpus
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Batch, Example, map_tensors
from antiphon.contracts.task import Task
from antiphon.data.batching import BatchingConfig, Sampler
from antiphon.data.collate import collate
from antiphon.data.loader import Loader
from antiphon.data.mixing import MixedCorpus
from antiphon.errors import ConfigError
from antiphon.training.decoder_inputs import DecoderInputs, TeacherForcingConfig
from antiphon.training.distributed import Ranks


@final
@dataclass(frozen=True)
class Pinned:
    """Collates batches in pinned memory, from which a GPU copies while it computes. In processes without the GPU it is ordinary memory."""

    together: Callable[[Sequence[Example]], Batch]

    def __call__(self, examples: Sequence[Example]) -> Batch:
        """The batch of some examples."""
        batch = self.together(examples)
        return map_tensors(torch.Tensor.pin_memory, batch) if torch.cuda.is_available() else batch


@final
class TrainingBatches:
    """This rank's part of each global batch. `say` is called when worker processes cannot go on; with `stands_in` the part is never None.

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
        together: Callable[[Sequence[Example]], Batch] = partial(
            collate, source=task.source_spec, target=task.target_spec, pack=settings.pack
        )
        if ranks.device.type == "cuda":
            together = Pinned(together)
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
        """The batches of an epoch, from number `start` on."""
        return self.loader.batches(epoch, start)

    def estimate(self) -> int:
        """The approximate number of batches in an epoch."""
        if self._estimate is None:
            self._estimate = self.sampler.estimate_batches()
        return self._estimate


def check_packing(settings: BatchingConfig, inputs: DecoderInputs, model: Seq2SeqModel) -> None:
    """Raise ConfigError when several pairs are to be packed in one row, but the model cannot keep them apart."""
    if not settings.pack:
        return
    if not isinstance(inputs, TeacherForcingConfig):
        raise ConfigError(
            f"`training.batching.pack` must be left out with `training.decoder_inputs: {inputs.name}`, which begins"
            " only once in each row. Leave"
            " one of them out."
        )
    if not model.packs:
        raise ConfigError(
            f"`training.batching.pack` must be left out for this {type(model).__name__}, which cannot keep the pairs of a row apart:"
            " packing is for encoder-decoders by attention alone (`model.name: transformer` on symbols or single steps, with `decoder:"
            " attention` and without `window`, `chunk_length`, `wait_k`, `ctc`, `channels: independent` and the head `pointer`)."
        )
