"""Inspects a training beforehand: the data as the model will see it, the size of the model, and the cost of training."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from antiphon.contracts.asking import restored, unfolded
from antiphon.contracts.corpus import StoredCorpus
from antiphon.contracts.specs import Spec, TokenSpec, ValueSpec
from antiphon.contracts.task import Task
from antiphon.contracts.trust import foreign
from antiphon.data.audit import Audit, Part, View, audit
from antiphon.data.cache import make_cache
from antiphon.data.limits import fitting, fitting_note
from antiphon.data.series_audit import AuditsSeries, SeriesAudit
from antiphon.data.windows import WindowCorpus
from antiphon.errors import CheckpointError, DataError
from antiphon.readers.placeholders import placeholders
from antiphon.recipe.assembly import alignment_notes, build_corpora, build_model, build_task, fit_task, metric_names, open_splits
from antiphon.recipe.exported import refuse_exported
from antiphon.recipe.kept_vocabulary import with_kept_vocabulary
from antiphon.recipe.recipe import Recipe, read_recipe, with_overrides
from antiphon.recipe.splits import unused_columns
from antiphon.runs.speed import PROBED_UPDATES, Cost, measure
from antiphon.runs.unusable import all_unusable
from antiphon.store import checkpoint
from antiphon.training.batches import check_packing
from antiphon.training.device import find_device
from antiphon.training.outlook import outlook_notes
from antiphon.training.settings import check_best, warmup_notes

Say = Callable[[str], None]


@dataclass(frozen=True)
class Inspection:
    """The results of `inspect`. `series` has an entry for each split when the data are series, and is empty otherwise."""

    name: str
    audit: Audit
    cost: Cost
    notes: tuple[str, ...]
    vocabulary: dict[str, int]
    series: dict[str, SeriesAudit]
    specs: dict[str, Spec]

    def to_plain(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "name": self.name,
            "audit": self.audit.to_plain(),
            "cost": {field: getattr(self.cost, field) for field in self.cost.__dataclass_fields__},
            "notes": list(self.notes),
            "vocabulary": self.vocabulary,
            "series": {name: split.to_plain() for name, split in self.series.items()},
        }


def inspect(path: Path | str, overrides: Sequence[str] = (), *, trust_code: bool = False, progress: Say | None = None) -> Inspection:
    """Inspect a recipe, or a run (whose folder then also gets `audit.json`, for the report).

    trust_code   whether code outside Antiphon that a run names may be imported
    progress     is told what is being done, a few words at a time

    Raises ConfigError, DataError or CheckpointError.
    """
    path, say = Path(path), progress or _say_nothing
    if path.is_dir():
        refuse_exported(path, "inspected")
        recipe = with_overrides(read_recipe(path / "recipe.yaml", trust=foreign(trust_code)), overrides)
        found = _inspect(str(path), recipe, recipe.data.cache or path / "corpus", fitted=_features_of(path), say=say)
        audited = path / "audit.json"
        try:
            checkpoint.replace_json(audited, found.to_plain())
        except OSError as error:
            raise CheckpointError(f"{audited} cannot be written: {error.strerror}. Make room, or inspect the recipe instead.") from error
        return found
    recipe = read_recipe(path, overrides, trust_code=trust_code)
    with tempfile.TemporaryDirectory(prefix="antiphon-") as folder:
        return _inspect(str(path), recipe, recipe.data.cache or Path(folder), fitted=None, say=say)


def _features_of(run: Path) -> Path | None:
    return checkpoint.read(checkpoint.find_checkpoint(run).resolve()).features if (run / "last").exists() else None


def _inspect(name: str, recipe: Recipe, folder: Path, *, fitted: Path | None, say: Say) -> Inspection:
    find_device(recipe.training.device, "training.device")
    check_best(recipe.training, metric_names(recipe))
    recipe, kept = with_kept_vocabulary(recipe) if fitted is None else (recipe, ())
    make_cache(recipe.data.cache)
    task = build_task(recipe)
    splits = open_splits(recipe, task)
    if fitted is not None:
        task.load(fitted)
    else:
        say("fitting the task to the training data")
        fit_task(task, splits["train"])
    model = build_model(recipe, task)
    check_packing(recipe.training.batching, recipe.training.decoder_inputs, model)
    learned = fitting(recipe.data.limits, model)
    parts: dict[str, list[Part]] = {}
    corpora: dict[str, list[StoredCorpus]] = {}
    for split_name, split in splits.items():
        limits = learned if split_name == "train" else fitting(recipe.data.limits.of_sources(), model)
        scored = split_name == "validation" or (split_name == "test" and isinstance(task.target_spec, ValueSpec))
        keep = scored or task.samples_encodings  # of series it means: those windows that are scored
        progress = partial(_encoded, say, split_name)
        try:
            corpora[split_name] = build_corpora(
                split, task, folder, limits, keep_records=keep, workers=recipe.data.workers, progress=progress
            )
        except DataError as error:
            raise all_unusable(split, task, error) from error
        parts[split_name] = [
            Part(corpus.records() if isinstance(corpus, WindowCorpus) else unfolded(task, records), corpus)
            for (records, _), corpus in zip(split.parts, corpora[split_name], strict=True)
        ]
    view = View(
        source=partial(_source_of, task),
        target=partial(_target_of, task),
        pieces=task.pieces,
        restored=partial(restored, task),
        placeholders=placeholders,
    )
    say("looking at the data")
    found = audit(parts, view, task.source_spec, task.target_spec)
    sizes = {side: getattr(spec, "size", 0) for side, spec in (("source", task.source_spec), ("target", task.target_spec))}
    held_out = [split.note for split in splits.values() if split.note]
    said = (*held_out, *kept, *unused_columns(splits["train"], task))
    aligned = alignment_notes(recipe, task, model, corpora["train"], splits["train"])
    say(f"trying {PROBED_UPDATES + 1} updates")
    planned: list[str] = []
    cost = measure(recipe, task, model, corpora, splits, planned.append)
    coming = [*warmup_notes(recipe.training, cost.batches_per_epoch), *outlook_notes(recipe.training, cost.updates)]
    return Inspection(
        name,
        found,
        cost,
        (*said, *task.notes, *fitting_note(recipe.data.limits, learned), *aligned, *planned, *coming),
        sizes,
        _series(task, corpora),
        {"source": task.source_spec, "target": task.target_spec},
    )


def _say_nothing(said: str) -> None:
    """For callers who want no messages."""


def _encoded(say: Say, split: str, records: int) -> None:
    say(f"{split}: {records:,} records encoded")


def _series(task: Task, corpora: dict[str, list[StoredCorpus]]) -> dict[str, SeriesAudit]:
    return task.audit_series(corpora) if isinstance(task, AuditsSeries) else {}


@dataclass(frozen=True, repr=False)
class _Named:
    """Values that are identified by a name, whose length means nothing."""

    name: str

    def __repr__(self) -> str:
        return self.name


def _source_of(task: Task, record: Any) -> Any:
    """The text of a source; for values only a name that identifies them; None if sources are always empty."""
    if isinstance(task.source_spec, TokenSpec) and task.source_spec.says_nothing:
        return None
    shown = task.source_of(record)
    return shown if isinstance(task.source_spec, TokenSpec) else _Named(shown)


def _target_of(task: Task, record: Any) -> Any:
    columns = (task.target_column,) if task.target_column else task.columns[1:2]
    return task.reference(record) if any(record.get(column) is not None for column in columns) else None
