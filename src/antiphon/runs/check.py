"""Checks a recipe before long training: finds in seconds the problems that would show up later.

Nothing is trained, written or fetched, and of each file only the first records are read. So what the rest of a file holds stays unknown:
`inspect` reads it. The task is fitted to those first records, by which a vocabulary gets smaller than it will be; the model is built
without memory for its weights, and unless it is large a second time, to see that loss and search can use what it says of one record.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch

from antiphon.contracts import registry
from antiphon.contracts.asking import items_of
from antiphon.contracts.loss import loss_for, reads_attention
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.records import Record, Records
from antiphon.contracts.sequences import Example
from antiphon.contracts.specs import TokenSpec
from antiphon.contracts.task import Task
from antiphon.data.cache import check_cache
from antiphon.data.collate import collate
from antiphon.data.limits import Tally, cut_source, fitting, fitting_note, shortened
from antiphon.data.records import FirstRecords, JoinedRecords
from antiphon.errors import AntiphonError, ConfigError, DataError, MissingPackageError
from antiphon.metrics.scoring import evaluate as evaluate_metrics
from antiphon.prediction.decoding import decode_examples
from antiphon.recipe.assembly import (
    build_model,
    build_search,
    build_task,
    metric_names,
    needs_steps,
    open_split,
    resolved,
    stepwise,
)
from antiphon.recipe.learned_loss import loss_to_train
from antiphon.recipe.recipe import Recipe, read_recipe
from antiphon.recipe.tree import existing
from antiphon.recipe.weights import freeze
from antiphon.runs.sweep_space import Source, metric_of, space_of
from antiphon.store import checkpoint
from antiphon.sweeping.journal import need_optuna
from antiphon.training.compiling import check_compiling
from antiphon.training.decoder_inputs import check_inputs, inputs_to_measure
from antiphon.training.device import find_device
from antiphon.training.settings import check_best
from antiphon.training.tracking import trackers_of

SAMPLE = 200
"""Records that are read of each file."""
LARGEST = 50_000_000
"""Parameters of a model that is built with memory for its weights."""

_FETCHED = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?")  # a name on a hub


@dataclass(frozen=True)
class Finding:
    """A finding about a part of the recipe. A `note` is neither good nor bad."""

    part: str
    state: Literal["ok", "note", "wrong"]
    text: str


@dataclass(frozen=True)
class Check:
    """All findings, in the order of the recipe."""

    recipe: str
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether no problem was found."""
        return all(finding.state != "wrong" for finding in self.findings)

    def to_plain(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"recipe": self.recipe, "sound": self.sound, "findings": [asdict(finding) for finding in self.findings]}


def check(path: Path | str, overrides: Sequence[str] = (), *, trust_code: bool = False) -> Check:
    """Check a recipe file, with `key.path=value` changes. Problems are reported as findings, never raised.

    trust_code   whether code outside Antiphon that runs name may be imported
    """
    return Check(str(path), tuple(dict.fromkeys(_check(Path(path), overrides, trust_code))))


def _check(path: Path, overrides: Sequence[str], trust_code: bool) -> Iterator[Finding]:
    try:
        recipe = read_recipe(path, overrides, trust_code=trust_code)
    except AntiphonError as error:
        yield from (Finding("recipe", "wrong", line) for line in str(error).splitlines())
        return
    yield Finding("recipe", "ok", f"{recipe.task.name} with {recipe.model.name}")
    for part, look in (
        ("evaluation.metrics", _metrics),
        ("training.device", _device),
        ("training.trackers", _trackers),
        ("training.init_from", lambda recipe: _run_named(recipe.training.init_from)),
        ("distillation.teachers", _teachers),
        ("search.language_model", _language_model),
        ("model.run", lambda recipe: _run_named(getattr(recipe.model, "run", None))),
        ("data.cache", _cache),
    ):
        yield from _found(part, partial(look, recipe))
    if recipe.sweep is not None:
        yield from _found("sweep", partial(_sweep, Source(existing(path), tuple(overrides), trust_code), recipe))
    published = list(_published(recipe))
    yield from published
    task = build_task(recipe)
    sample: list[Records] = []
    for name in ("train", "validation", "test"):
        yield from _found(f"data.{name}", partial(_split, recipe, task, name, sample))
    if sample and all(finding.state == "ok" for finding in published):
        yield from _found("model", partial(_model, recipe, task, JoinedRecords(sample)))


def _found(part: str, look: Callable[[], Iterator[str | Finding]]) -> Iterator[Finding]:
    """The findings of a check, in which the errors that it raises become problems."""
    try:
        for found in look():
            yield Finding(part, "ok", found) if isinstance(found, str) else found
    except AntiphonError as error:
        yield from (Finding(part, "wrong", line) for line in str(error).splitlines())


# ---------------------------------------------------------------------------------------------------------------- settings


def _metrics(recipe: Recipe) -> Iterator[str]:
    names = metric_names(recipe)
    check_best(recipe.training, names)
    yield f"{', '.join(names) or 'none'}; the best checkpoint is chosen by {recipe.training.best}"


def _device(recipe: Recipe) -> Iterator[str]:
    name = recipe.training.device
    device = find_device(name, "training.device")
    yield f"auto: {device}" if name == "auto" else name


def _trackers(recipe: Recipe) -> Iterator[str]:
    for tracker in trackers_of(recipe.training):
        registry.find("trackers", tracker.name).need()
        yield f"{tracker.name} can be used"


def _run_named(path: Path | None) -> Iterator[str]:
    if path is not None:
        saved = checkpoint.read(checkpoint.find_checkpoint(path).resolve())
        yield f"{path} holds a checkpoint of `{saved.header['model']['name']}`"


def _teachers(recipe: Recipe) -> Iterator[str]:
    for teacher in recipe.distillation.teachers if recipe.distillation else ():
        yield from _run_named(teacher)


def _language_model(recipe: Recipe) -> Iterator[str]:
    helper = getattr(recipe.search, "language_model", None)
    if helper is None:
        return
    yield from _run_named(helper.run)
    if helper.ngram is not None:
        if not helper.ngram.is_file():
            raise ConfigError(f"`search.language_model.ngram` must be a file, but there is no {helper.ngram}.")
        yield f"{helper.ngram} is there"


def _cache(recipe: Recipe) -> Iterator[str]:
    folder = recipe.data.cache
    if folder is None:
        return
    check_cache(folder)
    yield f"{folder} {'is there' if folder.exists() else 'can be made'}"


def _sweep(source: Source, recipe: Recipe) -> Iterator[str | Finding]:
    """Check what `antiphon sweep` would try."""
    metric = metric_of(recipe)
    space, remarks = space_of(source)
    count = "" if math.isinf(space.count()) else f" with {space.count():,.0f} combinations"
    yield f"{', '.join(space.parts)}{count}; the best trial is chosen by {metric}"
    for remark in remarks:
        yield Finding("sweep", "note", remark)
    try:
        need_optuna()
    except MissingPackageError as error:
        yield Finding("sweep", "note", str(error))


def _published(recipe: Recipe) -> Iterator[Finding]:
    """Check the published checkpoints that the model or a vocabulary uses."""
    named = {"model.path": getattr(recipe.model, "path", None)}
    for name in recipe.task.__dataclass_fields__:
        value = getattr(recipe.task, name)
        if getattr(value, "kind", None) == "pretrained":
            named[f"task.{name}.model"] = value.model
    for part, path in named.items():
        if path is not None and Path(path).is_dir():
            yield Finding(part, "ok", f"{path} is there")
        elif path is not None and _FETCHED.fullmatch(str(path)):
            yield Finding(part, "note", f"{path} is no folder here: training takes it from the hub. So the model was not checked.")
        elif path is not None:
            yield Finding(part, "wrong", f"There is no folder {path}, and it is no name on the hub such as `facebook/bart-base`.")


# -------------------------------------------------------------------------------------------------------------------- data


def _split(recipe: Recipe, task: Task, name: str, sample: list[Records]) -> Iterator[str | Finding]:
    """Read the first records of each file; those of the training data are kept in `sample`."""
    source = getattr(recipe.data, name)
    if source is None and name == "train":
        raise ConfigError("`data.train` is missing: name the files to learn from.")
    if source is None and name == "validation":
        raise ConfigError("`data.validation` is missing: name a file, or how many records to split off the training data.")
    if source is None:
        yield Finding("data.test", "note", "none: `antiphon evaluate` will need `--data`")
    elif isinstance(source, int):
        yield f"{source:,} of the training records"
        count = JoinedRecords(sample).count()
        if 0 < count < SAMPLE and source >= count:
            raise DataError(f"`data.validation` must be less than the number of training records ({count}), but is {source}.")
    else:
        open_split(name, source, task)  # what is wrong with the list as a whole
        for file in source:
            parts = [records for records, _ in open_split(name, (file,), task).parts]  # several where a pattern matches several
            first = FirstRecords(parts[0] if len(parts) == 1 else JoinedRecords(parts), SAMPLE)
            count = first.count()
            shown = file.path or " and ".join(filter(None, (file.source, file.target)))
            if not count:
                raise DataError(f"{shown} has no records.")
            yield f"{shown}: {count:,} {'records were' if count < SAMPLE else 'records, the first, were'} read"
            sample += [first] if name == "train" else []


# ------------------------------------------------------------------------------------------------------------------- model


def _model(recipe: Recipe, task: Task, records: Records) -> Iterator[str | Finding]:
    """Fit the task, build the model, and check that they go together."""
    try:
        task.fit(records)
        items = list(islice(_usable(recipe, task, records), 8))
    except MissingPackageError:
        raise
    except (ConfigError, DataError) as error:
        count = records.count()
        few = f"the first {count:,} records do not tell" if count >= SAMPLE else "the training data is not fit for it"
        yield Finding("model", "note" if count >= SAMPLE else "wrong", f"Not built, since {few}: {error}")
        return
    known = resolved(recipe)
    try:
        with torch.device("meta"):
            model = build_model(known, task)
    except (NotImplementedError, RuntimeError):  # it looks into its weights while it is built
        model = build_model(known, task)
    limits = fitting(recipe.data.limits, model)
    yield from (Finding("data.limits", "note", note) for note in fitting_note(recipe.data.limits, limits))
    count = sum(parameter.numel() for parameter in model.parameters())
    check_inputs(recipe.training.decoder_inputs, model)
    if recipe.training.compile:
        check_compiling(model, find_device(recipe.training.device, "training.device"))
    freeze(model, recipe.training.freeze)
    yield f"{recipe.model.name}: about {count:,} parameters"
    if isinstance(task.target_spec, TokenSpec):
        references = [task.reference(item) for item in items]
        yield from _found("evaluation.metrics", partial(_score, recipe, references))
    if count > LARGEST:
        yield Finding("training.loss", "note", f"not tried, nor the search, since the model has more than {LARGEST:,} parameters")
        return
    examples = [cut_source(task.encode(item), limits, task.source_spec) for item in items]
    sizes = [len(example.source) + len(example.target if example.target is not None else ()) for example in examples]
    shortest = sizes.index(min(sizes))
    kept = shortened(examples[shortest], limits, task.source_spec, task.target_spec, Tally(), "The shortest of the first records")
    if kept is None:
        yield Finding("training.loss", "note", "not tried, nor the search: the first records are longer than `data.limits`, or the model")
        return
    model = build_model(known, task).eval()
    yield from _found("training.loss", partial(_loss, known, task, model, kept))
    yield from _found("search", partial(_search, known, task, model, kept, items[shortest]))


def _score(recipe: Recipe, references: Sequence[Any]) -> Iterator[str]:
    """Check that metrics have the packages that they need."""
    names = metric_names(recipe)
    evaluate_metrics(names, references, [[reference] for reference in references], resamples=0)
    yield from [f"{', '.join(names)} can be computed"] if names else []


def _loss(recipe: Recipe, task: Task, model: Seq2SeqModel, example: Example) -> Iterator[str]:
    """Check that the loss suits the model's output."""
    loss = loss_to_train(recipe, task, model)
    batch = collate([example], source=task.source_spec, target=task.target_spec)
    with torch.no_grad():
        memory, inputs = model.encode(batch.source), inputs_to_measure(recipe.training.decoder_inputs, model, batch.inputs)
        output = model.decode(inputs, memory, attention=reads_attention(loss))
        found = loss_for(loss, batch)(output, batch.labels)
    yield f"scores a record with {float(found.rows) / max(int(batch.labels.lengths), 1):.3g} before training"


def _search(recipe: Recipe, task: Task, model: Seq2SeqModel, example: Example, item: Record) -> Iterator[str]:
    """Check that the search suits the model; the vocabulary of its language model is not compared, since the task's is not fitted yet."""
    if needs_steps(recipe.search):
        stepwise(model)
    if getattr(recipe.search, "language_model", None) is None:
        search = build_search(recipe.search, task)
        decode_examples(model, search, task, [example], [task.request(item)], batch_size=1, device=torch.device("cpu"))
    yield f"{recipe.search.name} finds outputs of the model"


def _usable(recipe: Recipe, task: Task, records: Records) -> Iterator[Record]:
    """Items that can be used in training. Raises DataError when there are none."""
    first: DataError | None = None
    none = True
    for item in items_of(task, records, scored=True):
        try:
            task.encode(item)
        except DataError as error:
            first = first or error
        else:
            none = False
            yield item
    if none:
        raise first or DataError("nothing in them can be learned from.")
