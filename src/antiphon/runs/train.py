"""Trains a model from a recipe: records in, a run folder out.

recipe.yaml       every setting, defaults included
features/         the fitted vocabularies
corpus/           encoded training and validation data
distilled/        of a student: the teacher's outputs for the training data
metrics.jsonl     what happened, one event a line
checkpoints/      step-N ...; `best` and `last` lead to two of them
"""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from antiphon.contracts.abilities import Calibrates
from antiphon.contracts.asking import unfolded
from antiphon.contracts.configuration import plain
from antiphon.contracts.corpus import StoredCorpus
from antiphon.contracts.files import is_remote, restored
from antiphon.contracts.loss import Loss, LossOfBatch
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.records import Records
from antiphon.contracts.task import Task
from antiphon.contracts.tracker import Event, EventSink, TrackedRun
from antiphon.data.identity import identity_of
from antiphon.data.limits import fitting_note, split_limits
from antiphon.data.mapped import MappedCorpus
from antiphon.data.places import listed
from antiphon.data.weights import weights_said
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
    keeps_records,
    load_trained,
    metric_names,
    mixed,
    open_splits,
    resolved,
)
from antiphon.recipe.kept_vocabulary import with_kept_vocabulary
from antiphon.recipe.learned_loss import loss_to_train
from antiphon.recipe.recipe import Recipe, read_recipe, with_overrides
from antiphon.recipe.weights import start_weights
from antiphon.runs.agreeing import check_same_data, check_same_program
from antiphon.runs.planning import with_earlier_budget, with_found_budget
from antiphon.runs.resuming import (
    LOG,
    RECIPE,
    as_it_began,
    earlier_recipe,
    prepare_folder,
    refuse_other_data,
    stored_identity,
    why_complete,
)
from antiphon.store import atomic, checkpoint
from antiphon.store.remote_runs import RemoteRun, working_folder
from antiphon.training import distributed
from antiphon.training.batches import TrainingBatches, check_packing
from antiphon.training.compiling import compile_blocks, compiling_said
from antiphon.training.decoder_inputs import check_inputs
from antiphon.training.distributed import Ranks, sharding_notes
from antiphon.training.gradients import make_gradients
from antiphon.training.learner import Learner
from antiphon.training.loggers import CallbackLogger, ConsoleLogger, JsonLinesLogger, warn
from antiphon.training.optimizers import build_optimizer
from antiphon.training.outlook import OutlookWarner
from antiphon.training.precision import precision_notes
from antiphon.training.progress import Progress
from antiphon.training.seeds import seed_from
from antiphon.training.settings import check_best, warmup_notes
from antiphon.training.step import Update
from antiphon.training.tracking import open_trackers, trackers_of
from antiphon.training.trainer import Trainer

Callback = Callable[[Event], object]


def train(
    recipe: Recipe | Path | str,
    out: Path | str,
    *,
    settings: Sequence[str] = (),
    overrides: Sequence[str] = (),
    resume: bool = False,
    data: Given | None = None,
    trust_code: bool = False,
    console: Console | None = None,
    callbacks: Sequence[Callback] = (),
) -> Path:
    """Train a model; returns the run's folder.

    recipe      a Recipe, or the path of one
    out         the run's folder, which must not hold a run yet, unless it is resumed; for one in a storage elsewhere (s3://bucket/run) a
                folder of this machine is returned
    settings    settings that are to be others, such as ["training.max_minutes=5"]: what `--set` is on the command line
    overrides   the same, by the name that it has in `antiphon.load`
    resume      continue the run in `out`, exactly as if it had never stopped; where there is none, begin it
    data        records instead of the recipe's files: {"train": ..., "validation": ..., "test": ...}, each an iterable of mappings, a
                function that returns one, or a data frame
    trust_code  whether code outside Antiphon that other runs name (a teacher, the base of adapters) may be imported
    console     where progress is shown; None is standard error
    callbacks   functions that are called with each event, a mapping with a `kind`, in the first process; what one raises ends training
                there and then, and the run can be resumed from its last checkpoint

    Raises ConfigError, DataError, CheckpointError or TrainingError; a run that was interrupted can be resumed.
    """
    overrides = (*settings, *overrides)
    if not isinstance(recipe, Recipe):
        recipe = read_recipe(recipe, overrides, trust_code=trust_code)
    else:
        recipe = replace(recipe, trust=replace(recipe.trust, runs=True)) if trust_code else recipe
        recipe = with_overrides(recipe, overrides) if overrides else recipe
    try:
        order = _Order(working_folder(out), resume, data, console or Console(stderr=True), tuple(callbacks))
        return _train_elsewhere(recipe, order, out) if is_remote(out) else _train(recipe, order)
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        raise CheckpointError(
            f"{error.filename or out} cannot be written: {error.strerror}. Checkpoints are intact; make room or choose another `--out`."
        ) from error


# No room (on the disk, in a quota, or for one file), or no permission.
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)


def _nothing() -> None:
    """Do nothing with a new checkpoint, which stays where it is."""


@dataclass(frozen=True)
class _Order:
    """The options of `train`, besides the recipe."""

    folder: Path
    resume: bool
    data: Given | None
    console: Console
    callbacks: tuple[Callback, ...]
    saved: Callable[[], None] = _nothing


def _train_elsewhere(recipe: Recipe, order: _Order, out: Path | str) -> Path:
    """Train a run in a remote storage, which always holds the latest checkpoint."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(f"`--out {restored(out)}` is for one process: several need a folder that all of them see.")
    run = RemoteRun(out)
    with checkpoint.held(run.folder):
        run.open(resume=order.resume)
    try:
        _train(recipe, replace(order, saved=run.send))
    except KeyboardInterrupt:  # which has saved, and logged it
        run.send()
        raise
    run.send()
    return run.folder


def _train(recipe: Recipe, order: _Order) -> Path:
    folder = order.folder
    earlier = earlier_recipe(folder, recipe) if order.resume and (folder / RECIPE).is_file() else None
    recipe = with_earlier_budget(resolved(recipe, earlier), earlier)
    recipe, said = with_kept_vocabulary(recipe, earlier)
    ranks = distributed.start(recipe.training.device)
    for line in said if ranks.first else ():
        _say(order.console, line)
    check_same_program(recipe, ranks)
    teacher = open_teacher(recipe, folder, ranks.device)
    recipe = recipe if teacher is None else teacher.recipe
    with checkpoint.held(folder) if ranks.first else nullcontext():
        _train_in(recipe, order, ranks, teacher)
    return folder


def _train_in(recipe: Recipe, order: _Order, ranks: Ranks, teacher: Teacher | None) -> None:
    folder, say = order.folder, partial(_say, order.console if ranks.first else None)
    last = prepare_folder(folder, recipe, order.resume, ranks, say)
    recipe = recipe if last is None else as_it_began(recipe, last)
    if teacher is not None and last is not None:
        teacher.check_resumed(last.header, folder)
    if complete := why_complete(folder, recipe, last):
        say(f"The run in {folder} is complete: {complete}. Raise the budget to train on.")
        return
    metrics = metric_names(recipe)
    check_best(recipe.training, metrics)
    task, model, splits, corpora = _prepare(recipe, order, ranks, teacher, fitted=last.features if last else None)
    identities = {name: identity_of(parts) for name, parts in corpora.items()}
    check_same_data(identities, ranks)
    refuse_other_data(last.header.get("data") if last else None, identities, folder)
    model = model.to(ranks.device)
    check_inputs(recipe.training.decoder_inputs, model)
    check_packing(recipe.training.batching, recipe.training.decoder_inputs, model)
    notes = [
        *start_weights(model, recipe, task, fresh=last is None),
        *alignment_notes(recipe, task, model, corpora["train"], splits["train"]),
    ]
    loss, (_, measure) = loss_to_train(recipe, task, model), build_losses(recipe, task)
    learned = mixed(corpora["train"], splits["train"])
    ranks.broadcast(parameter.data for parameter in model.parameters())
    update = make_update(recipe, model, teacher.loss(loss) if teacher else loss, ranks)
    beside = [one.model for one in teacher.trained] if teacher else ()
    recipe = with_found_budget(recipe, task, learned, update, say, beside=beside, path=folder / RECIPE)
    batches = TrainingBatches(
        learned, task, recipe.training.batching, recipe.seed, ranks, say, stands_in=recipe.training.distributed.shards(ranks.world)
    )
    work = work_of(learned, len(batches.sampler), batches.estimate() / recipe.training.accumulation)
    validation = Validation(recipe, task, corpora["validation"], measure, metrics, ranks, work, say)
    trainer = Trainer(
        model,
        update,
        batches,
        validation,
        recipe.training,
        ranks,
        folder=folder,
        header={**header_of(recipe, task), "data": stored_identity(identities), **(teacher.header if teacher else {})},
        save_features=task.save,
        conclude=partial(_calibrate, recipe, task, folder, corpora["validation"], ranks.device, say),
        saved=order.saved,
        say=say,
    )
    if last is not None:
        trainer.resume(last)
    notes += [*warmup_notes(recipe.training, batches.estimate()), *precision_notes(recipe.training.precision, ranks.device)]
    notes += [validation.note] if validation.note else []
    notes += sharding_notes(recipe.training.distributed, ranks)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    for line in (*task.notes, *notes, f"{recipe.model.name}: {parameters:,} parameters on {ranks.device}, {ranks.world} process(es)"):
        say(line)
    if ranks.first:
        trainer.events.sinks = _sinks(recipe, order, say, trainer.progress)
    with compiling_said():
        trainer.run()


def _calibrate(
    recipe: Recipe, task: Task, folder: Path, corpora: Sequence[StoredCorpus], device: torch.device, say: Callable[[str], None]
) -> None:
    """Let the task calibrate on the best checkpoint's predictions for the validation data. If that is impossible, there is a message, and
    no error."""
    if not (isinstance(task, Calibrates) and task.calibrates):
        return
    trained = load_trained(folder, trust=recipe.trust)
    items = [corpus.record(index) for corpus in corpora for index in range(len(corpus))]
    try:
        predictions = decode_records(recipe, task, trained.model.to(device), build_search(recipe.search, task), device, items)
        for line in task.calibrate(items, predictions, trained.folder):
            say(line)
    except AntiphonError as error:
        say(f"Nothing was calibrated: {error}")


def _prepare(
    recipe: Recipe, order: _Order, ranks: Ranks, teacher: Teacher | None, *, fitted: Path | None
) -> tuple[Task, Seq2SeqModel, dict[str, Split], dict[str, list[StoredCorpus]]]:
    """Fit the task, build the model, and encode the data that fits into it: rank 0 fits and encodes, the others open the result."""
    folder, say = order.folder, partial(_say, order.console if ranks.first else None)
    task = build_task(recipe)
    splits = open_splits(recipe, task, order.data)
    if "validation" not in splits:
        raise ConfigError("`data.validation` is missing: name a file, or how many records to split off the training data.")
    if splits["validation"].note:
        say(splits["validation"].note)
    features = folder / checkpoint.FEATURES
    if not ranks.first:
        ranks.wait()
    if fitted is not None or not ranks.first:
        task.load(fitted or features)
    else:
        _fit(task, splits["train"], features, lent=teacher.features if teacher else None)
    if teacher is not None:
        teacher.check_symbols(task)
        splits["train"] = teacher.taught(splits["train"], folder, say)
    taught = teacher is not None and teacher.settings.stores_outputs  # belongs to this run alone
    cache = folder / "corpus" if taught or recipe.data.cache is None else recipe.data.cache
    torch.manual_seed(seed_from(recipe.seed))
    model = build_model(recipe, task)
    limits = split_limits(recipe.data.limits, model, *(teacher.read_beside if teacher else ()))
    corpora = {
        name: build_corpora(
            splits[name],
            task,
            cache,
            limits[name],
            keep_records=keeps_records(task, name),
            workers=recipe.data.workers if ranks.first else 1,
        )
        for name in limits
    }
    if ranks.first:
        for line in fitting_note(recipe.data.limits, limits["train"]):
            say(line)
        for name, parts in corpora.items():
            for (records, _), corpus in zip(splits[name].parts, parts, strict=True):
                for line in _tally(name, corpus, unfolded(task, records)):
                    say(line)
            for corpus in parts:
                _warn_of_equal_targets(corpus, order.console)
        ranks.wait()
    return task, model, splits, corpora


def _say(console: Console | None, line: str) -> None:
    if console is not None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _fit(task: Task, split: Split, features: Path, lent: Path | None) -> None:
    """Learn the vocabulary, or take one from elsewhere, and store it in the run."""
    if lent is None:
        fit_task(task, split)
    else:
        task.load(lent)
    with atomic.replacing_folder(features) as place:
        task.save(place)


def _tally(name: str, corpus: StoredCorpus, records: Records) -> Iterator[str]:
    """Report what became of the records: nothing is left out silently."""
    tally = corpus.tally
    unit = tally.get("unit", "records")
    windows = f", {tally['windows']:,} windows" if "windows" in tally else ""
    yield f"{name}: {tally['kept']:,} of {tally['read']:,} {unit}{windows}"
    for verb in ("dropped", "truncated"):
        for reason, count in tally[verb].items():
            first = [one if isinstance(one, str) else records.label(one) for one in tally["first"].get(reason, [])[:3]]
            which = f"{unit} " if "unit" in tally and any(isinstance(one, str) for one in tally["first"].get(reason, [])) else ""
            yield f"  {count:,} {verb}: {reason} ({which}{listed(first, count)})"
    if isinstance(corpus, MappedCorpus) and corpus.weights is not None:
        yield f"  {weights_said(corpus.weights)}"


def _warn_of_equal_targets(corpus: StoredCorpus, console: Console) -> None:
    if not isinstance(corpus, MappedCorpus) or len(corpus) < 2 or not corpus.has_targets:
        return
    targets = (corpus.example(row).target for row in range(len(corpus)))
    first = next(targets)
    if all(first is not None and target is not None and np.array_equal(first, target) for target in targets):
        text = f"  all {len(corpus):,} targets are the same: a model will learn to say nothing else. Is `task.target` the right column?"
        warn(console, text)


def make_update(recipe: Recipe, model: Seq2SeqModel, loss: Loss | LossOfBatch, ranks: Ranks) -> Update:
    """The update that the recipe asks for. Weights are sharded here, if they are to be, so that the optimizer gets the shards."""
    settings = recipe.training
    learner = Learner(model, loss, settings.decoder_inputs)
    gradients = make_gradients(learner, ranks, settings.precision, recipe.seed, settings.distributed)
    compilation = compile_blocks(model, ranks.device) if settings.compile else None
    optimizer = build_optimizer(settings.optimizer, model)
    return Update(learner, gradients, optimizer, ranks, clip_norm=settings.clip_norm, compilation=compilation)


def _sinks(recipe: Recipe, order: _Order, say: Callable[[str], None], progress: Progress) -> list[EventSink]:
    """The sinks for events: the log first, so that it also has an event at which another sink fails."""
    folder = order.folder
    run = TrackedRun(folder, folder.resolve().name, plain(recipe), progress.step)
    opened = open_trackers(trackers_of(recipe.training), run, partial(warn, order.console))  # before the log, since they may not be there
    log = JsonLinesLogger(folder / LOG, keep_until=progress.step, validation_due=progress.validation_due)
    warner = OutlookWarner(recipe.training, partial(warn, order.console))
    return [log, ConsoleLogger(order.console), warner, *opened, *map(CallbackLogger, order.callbacks)]


__all__ = ["make_update", "train"]
