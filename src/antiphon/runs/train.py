"""Train a model from a recipe: records in, a run folder out.

recipe.yaml       every setting, defaults included
features/         the fitted vocabularies
corpus/           encoded training and validation data
distilled/        of a student: the teacher's outputs for the training data
metrics.jsonl     what happened, one event a line
checkpoints/      step-N ...; `best` and `last` lead to two of them
"""

import errno
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from rich.console import Console

from antiphon.contracts.abilities import Augments, Calibrates
from antiphon.contracts.configuration import plain
from antiphon.contracts.corpus import StoredCorpus
from antiphon.contracts.loss import Loss, LossOfBatch
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Batch
from antiphon.contracts.task import Task
from antiphon.data.batching import BatchingConfig, Sampler
from antiphon.data.collate import collate
from antiphon.data.corpus import MixedCorpus
from antiphon.data.loader import Loader
from antiphon.data.mapped import MappedCorpus
from antiphon.distillation.teacher import Teacher, open_teacher
from antiphon.errors import AntiphonError, CheckpointError, ConfigError
from antiphon.prediction.validation import Validation, decode_records
from antiphon.prediction.validation_cost import work_of
from antiphon.recipe.assembly import (
    Given,
    Split,
    alignment_notes,
    build_corpora,
    build_losses,
    build_model,
    build_search,
    build_task,
    fit_task,
    header_of,
    load_trained,
    metric_names,
    mixed,
    open_splits,
    resolved,
)
from antiphon.recipe.recipe import Recipe, changed_keys, read_recipe, write_recipe
from antiphon.recipe.weights import start_weights
from antiphon.store import checkpoint
from antiphon.training import distributed
from antiphon.training.decoder_inputs import check_inputs
from antiphon.training.distributed import Ranks
from antiphon.training.loggers import ConsoleLogger, JsonLinesLogger, Logger, TensorBoardLogger
from antiphon.training.optimizers import build_optimizer
from antiphon.training.settings import check_best
from antiphon.training.step import Update, seed_from
from antiphon.training.trainer import Trainer

# Changing these between a start and a resume cannot change what has been learned so far.
FREE_TO_CHANGE = (
    *(f"training.{name}" for name in ("max_steps", "max_epochs", "max_minutes", "patience", "log_every", "log_records", "keep")),
    *(f"training.{name}" for name in ("samples", "tensorboard", "device", "nonfinite_patience")),
    "search",
    "evaluation",
    "data.test",
    "distillation.teachers",  # the path of the same teacher: another teacher is noticed by its weights
    "distillation.batch_size",
    "model.path",  # a published checkpoint may move: it is needed no more, or known by its hash
    "model.run",  # the base of adapters, too
)


def train(
    recipe: Recipe | Path | str, out: Path | str, *, resume: bool = False, data: Given | None = None, console: Console | None = None
) -> Path:
    """Train a model; returns the run's folder.

    recipe    a Recipe, or the path of one
    out       the run's folder, which must not hold a run yet, unless it is resumed
    resume    continue the run in `out`, exactly as if it had never stopped
    data      records instead of the recipe's files: {"train": ..., "validation": ..., "test": ...}, each an iterable of mappings, a
              function that returns one, or a data frame
    console   where progress is shown; None is standard error

    Raises ConfigError, DataError, CheckpointError or TrainingError; a run that was interrupted can be resumed.
    """
    if not isinstance(recipe, Recipe):
        recipe = read_recipe(recipe)
    try:
        return _train(recipe, Path(out), resume, data, console or Console(stderr=True))
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        raise CheckpointError(
            f"{error.filename or out} cannot be written: {error.strerror}. Checkpoints are intact; make room or choose another `--out`."
        ) from error


# No room (on the disk, in a quota, or for one file), or no permission.
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)


def _train(recipe: Recipe, folder: Path, resume: bool, data: Given | None, console: Console) -> Path:
    started = resume and (folder / "recipe.yaml").is_file()
    recipe = resolved(recipe, read_recipe(folder / "recipe.yaml") if started else None)
    ranks = distributed.start(recipe.training.device)
    teacher = open_teacher(recipe, folder, ranks.device)
    recipe = recipe if teacher is None else teacher.recipe
    with checkpoint.held(folder) if ranks.first else nullcontext():
        return _train_in(recipe, folder, resume, data, console, ranks, teacher)


def _train_in(
    recipe: Recipe, folder: Path, resume: bool, data: Given | None, console: Console, ranks: Ranks, teacher: Teacher | None
) -> Path:
    last = _prepare_folder(folder, recipe, resume, ranks)
    if teacher is not None and last is not None:
        teacher.check_resumed(last.header, folder)
    metrics = metric_names(recipe)
    check_best(recipe.training, metrics)
    task, splits, corpora = _prepare_data(recipe, folder, data, ranks, console, teacher, fitted=last.features if last else None)
    facts = _facts(corpora["train"])
    if last is not None and last.header.get("data", facts) != facts:
        raise CheckpointError(
            f"The training data is not what the run in {folder} began with: {last.header['data']['examples']:,} examples then,"
            f" {facts['examples']:,} now, and not the same. Undo the change to resume, or start a new run with another `--out`"
            " (`training.init_from` takes over the weights)."
        )
    torch.manual_seed(seed_from(recipe.seed))
    model = build_model(recipe, task).to(ranks.device)
    check_inputs(recipe.training.decoder_inputs, model)
    notes = [
        *start_weights(model, recipe, task, fresh=last is None),
        *alignment_notes(recipe, task, model, corpora["train"], splits["train"]),
    ]
    header = {**header_of(recipe, task), "data": facts, **(teacher.header if teacher else {})}
    trainer = _make_trainer(recipe, task, model, corpora, splits, metrics, folder, header, ranks, console, teacher, resumed=last)
    if ranks.first:
        parameters = sum(parameter.numel() for parameter in model.parameters())
        for line in (*task.notes, *notes, f"{recipe.model.name}: {parameters:,} parameters on {ranks.device}, {ranks.world} process(es)"):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    trainer.run()
    if ranks.first and isinstance(task, Calibrates) and task.calibrates:
        for line in _calibrate(recipe, task, folder, corpora["validation"], ranks.device):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    return folder


def _calibrate(recipe: Recipe, task: Task, folder: Path, corpora: Sequence[StoredCorpus], device: torch.device) -> Sequence[str]:
    """Let the task learn from the best checkpoint's predictions for the validation data. What cannot be learned is said, and no error."""
    assert isinstance(task, Calibrates), "a task that learns nothing of its predictions is not asked"
    trained = load_trained(folder)
    items = [corpus.record(index) for corpus in corpora for index in range(len(corpus))]
    try:
        predictions = decode_records(recipe, task, trained.model.to(device), build_search(recipe.search, task), device, items)
        return task.calibrate(items, predictions, trained.folder)
    except AntiphonError as error:
        return [f"Nothing was calibrated: {error}"]


def _prepare_folder(folder: Path, recipe: Recipe, resume: bool, ranks: Ranks) -> checkpoint.Checkpoint | None:
    """Make the run's folder, or find the checkpoint to resume from."""
    if ranks.first:  # the others look when all is well: what is wrong is said once
        _check_folder(folder, recipe, resume)
        try:
            (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
            for place in (folder, folder / "checkpoints", folder / "corpus"):
                checkpoint.clean(place)
            partial = folder / f".recipe.yaml.partial-{os.getpid()}"
            write_recipe(recipe, partial)
            os.replace(partial, folder / "recipe.yaml")
        except OSError as error:
            raise CheckpointError(f"The run's folder {folder} cannot be written: {error.strerror}.") from error
    ranks.wait()
    if not resume or not os.path.lexists(folder / "last"):
        return None
    if not (folder / "last").exists():
        raise CheckpointError(f"{folder / 'last'} leads to a checkpoint that is gone. Link it to another one in {folder / 'checkpoints'}.")
    return checkpoint.read((folder / "last").resolve())


def _check_folder(folder: Path, recipe: Recipe, resume: bool) -> None:
    """Refuse to resume what is not there or has changed, and to overwrite what has. Without a checkpoint nothing can be lost."""
    started = os.path.lexists(folder / "last")
    if resume:
        if not (folder / "recipe.yaml").is_file():
            raise CheckpointError(f"There is no run to resume in {folder}. Start it without `--resume`.")
        if started:
            _refuse_changes(plain(read_recipe(folder / "recipe.yaml")), plain(recipe), folder)
    elif started:
        raise CheckpointError(f"{folder} already holds a run. Continue it with `--resume`, or choose another `--out`.")


def _refuse_changes(old: dict[str, Any], new: dict[str, Any], folder: Path) -> None:
    changes = [key for key in changed_keys(old, new) if not any(key == free or key.startswith(f"{free}.") for free in FREE_TO_CHANGE)]
    if changes:
        raise ConfigError(
            f"The recipe differs from that of the run in {folder}: {', '.join(f'`{key}`' for key in changes)}. Undo the change to resume,"
            " or start a new run with another `--out` (`training.init_from` takes over the weights)."
        )


def _prepare_data(
    recipe: Recipe, folder: Path, given: Given | None, ranks: Ranks, console: Console, teacher: Teacher | None, *, fitted: Path | None
) -> tuple[Task, dict[str, Split], dict[str, list[StoredCorpus]]]:
    """Fit the task and encode the data: rank 0 does it, the others open the result."""
    task = build_task(recipe)
    splits = open_splits(recipe, task, given)
    if "validation" not in splits:
        raise ConfigError("`data.validation` is missing: name a file, or how many records to split off the training data.")
    features = folder / checkpoint.FEATURES
    if not ranks.first:
        ranks.wait()
    if fitted is not None or not ranks.first:
        task.load(fitted or features)
    else:
        _fit(task, splits["train"], features, lent=teacher.features if teacher else None)
    if teacher is not None:
        teacher.check_symbols(task)
        splits["train"] = teacher.taught(splits["train"], folder, partial(_say, console if ranks.first else None))
    taught = teacher is not None and teacher.settings.stores_outputs  # belongs to this run alone
    cache = folder / "corpus" if taught or recipe.data.cache is None else recipe.data.cache
    limits = {"train": recipe.data.limits, "validation": recipe.data.limits.of_sources()}
    corpora = {
        name: build_corpora(splits[name], task, cache, limits[name], keep_records=name == "validation" or task.samples_encodings)
        for name in ("train", "validation")
    }
    if ranks.first:
        for name, parts in corpora.items():
            for line in _tallies(name, parts):
                console.print(line, highlight=False, markup=False, soft_wrap=True)
        ranks.wait()
    return task, splits, corpora


def _facts(corpora: Sequence[StoredCorpus]) -> dict[str, Any]:
    """What tells training data apart, wherever the files lie: how many examples there are, and a hash of all their lengths."""
    lengths = hashlib.sha256()
    for corpus in corpora:
        lengths.update(np.asarray(corpus.source_lengths, dtype=np.int64).tobytes())
        lengths.update(np.asarray(corpus.target_lengths, dtype=np.int64).tobytes())
    return {"examples": sum(map(len, corpora)), "lengths": lengths.hexdigest()}


def _say(console: Console | None, line: str) -> None:
    if console is not None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _fit(task: Task, split: Split, features: Path, lent: Path | None) -> None:
    """Learn the vocabulary, or take the one that is lent, and keep it in the run."""
    import shutil

    if lent is None:
        fit_task(task, split)
    else:
        task.load(lent)
    shutil.rmtree(features, ignore_errors=True)
    features.mkdir(parents=True)
    task.save(features)


def _tallies(name: str, corpora: Sequence[StoredCorpus]) -> Iterator[str]:
    """What became of the records: nothing is left out silently."""
    for corpus in corpora:
        tally = corpus.tally
        unit = tally.get("unit", "records")
        windows = f", {tally['windows']:,} windows" if "windows" in tally else ""
        yield f"{name}: {tally['kept']:,} of {tally['read']:,} {unit}{windows}"
        for verb in ("dropped", "truncated"):
            for reason, count in tally[verb].items():
                first = ", ".join(map(str, tally["first"].get(reason, [])[:3]))
                yield f"  {count:,} {verb}: {reason} ({unit} {first}{', ...' if count > 3 else ''})"
        if isinstance(corpus, MappedCorpus) and _all_targets_equal(corpus):
            yield f"  all {len(corpus):,} targets are the same: a model will learn to say nothing else. Is `task.target` the right column?"


def _all_targets_equal(corpus: MappedCorpus) -> bool:
    if len(corpus) < 2 or not corpus.has_targets:
        return False
    targets = (corpus.example(row).target for row in range(len(corpus)))
    first = next(targets)
    return all(first is not None and target is not None and np.array_equal(first, target) for target in targets)


def make_update(recipe: Recipe, model: Seq2SeqModel, loss: Loss | LossOfBatch, ranks: Ranks) -> Update:
    """The update that the recipe asks for."""
    settings = recipe.training
    return Update(
        model,
        loss,
        build_optimizer(settings.optimizer, model),
        ranks,
        inputs=settings.decoder_inputs,
        clip_norm=settings.clip_norm,
        precision=settings.precision,
        seed=recipe.seed,
    )


def _make_trainer(
    recipe: Recipe,
    task: Task,
    model: Seq2SeqModel,
    corpora: dict[str, list[StoredCorpus]],
    splits: dict[str, Split],
    metrics: tuple[str, ...],
    folder: Path,
    header: dict[str, Any],
    ranks: Ranks,
    console: Console,
    teacher: Teacher | None,
    *,
    resumed: checkpoint.Checkpoint | None,
) -> Trainer:
    settings = recipe.training
    loss, measure = build_losses(recipe, task)
    update = make_update(recipe, model, teacher.loss(loss) if teacher else loss, ranks)
    learned = mixed(corpora["train"], splits["train"])
    batches = TrainingBatches(learned, task, settings.batching, recipe.seed, ranks)
    work = work_of(learned, len(batches.sampler), batches.estimate() / settings.accumulation)
    say = partial(_say, console if ranks.first else None)
    validation = Validation(recipe, task, corpora["validation"], measure, metrics, ranks, work, say)
    say(validation.note)
    trainer = Trainer(
        model,
        update,
        batches,
        validation,
        settings,
        ranks,
        folder=folder,
        header=header,
        save_features=task.save,
    )
    if resumed is not None:
        trainer.resume(resumed)
    ranks.broadcast(parameter.data for parameter in model.parameters())
    trainer.loggers = _loggers(recipe, folder, ranks, console, trainer.progress.step)
    return trainer


def _loggers(recipe: Recipe, folder: Path, ranks: Ranks, console: Console, step: int) -> list[Logger]:
    if not ranks.first:
        return []
    loggers: list[Logger] = [JsonLinesLogger(folder / "metrics.jsonl", keep_until=step), ConsoleLogger(console)]
    if recipe.training.tensorboard:
        loggers.append(TensorBoardLogger(folder / "tensorboard", keep_until=step))
    return loggers


@final
class TrainingBatches:
    """This rank's part of each global batch."""

    def __init__(self, corpus: StoredCorpus | MixedCorpus, task: Task, settings: BatchingConfig, seed: int, ranks: Ranks):
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


__all__ = ["TrainingBatches", "make_update", "train"]
