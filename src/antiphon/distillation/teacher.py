"""One or several trained runs as the teacher of a student; they are checked against the student's recipe before anything else is done.

The teacher lends the student its vocabulary unless the recipe asks for another, gives its outputs for the training sources
(`outputs.py`), and is asked for its probabilities in each update (`probabilities.py`).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, replace
from pathlib import Path
from typing import Any, final

import torch
from pydantic import ValidationError

from antiphon.contracts import registry
from antiphon.contracts.configuration import plain
from antiphon.contracts.loss import Loss, LossOfBatch
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.records import Record, Records
from antiphon.contracts.sequences import Prediction
from antiphon.contracts.specs import TokenSpec
from antiphon.contracts.task import Task
from antiphon.distillation.outputs import Outputs, Say, TaughtRecords, describe
from antiphon.distillation.probabilities import DistillationLoss
from antiphon.errors import CheckpointError, ConfigError
from antiphon.prediction.predictor import Predictor
from antiphon.recipe.assembly import Split, Trained, build_task, load_trained
from antiphon.recipe.recipe import Recipe
from antiphon.store import checkpoint
from antiphon.training.distillation import DistillationConfig

FOLDER = "distilled"
HEADER = "distillation"


def open_teacher(recipe: Recipe, folder: Path, device: torch.device) -> "Teacher | None":
    """The teacher that the recipe names for a run in `folder`; None when it names none.

    Raises ConfigError when the teacher does another task than the recipe, or stands in the student's folder; CheckpointError when it
    has no checkpoint.
    """
    settings = recipe.distillation
    if settings is None:
        return None
    if not settings.teachers:
        raise ConfigError("`distillation.teachers` is missing: start with `antiphon distill TEACHER RECIPE`, or name the teacher's run.")
    for path in settings.teachers:
        if folder.resolve() in (path.resolve(), *checkpoint.find_checkpoint(path).resolve().parents):
            raise ConfigError(
                f"The student's folder must be another than that of its teacher, but both are {folder}. Choose another `--out`."
            )
    trained = [load_trained(path, trust=recipe.trust.of_runs()) for path in settings.teachers]
    for one in trained:
        _check_task(recipe, one)
    teacher = Teacher(recipe, settings, trained, device)
    for one in trained:
        _check_columns(teacher.recipe, one)
    return teacher


@final
class Teacher:
    """Opened runs from whose outputs or probabilities a student learns.

    `recipe` is the student's, with the teacher's settings of the task when the vocabulary is the teacher's; `features` is where its
    vocabulary is, or None when the student learns its own.
    """

    def __init__(self, recipe: Recipe, settings: DistillationConfig, trained: Sequence[Trained], device: torch.device):
        self.settings, self.trained = settings, tuple(trained)
        self.identities = tuple(_identity(one) for one in trained)
        lent = _lent_task(recipe, trained[0])
        self.recipe = recipe if lent is None else replace(recipe, task=lent)
        self.features = None if lent is None else trained[0].folder / checkpoint.FEATURES
        overrides = [f"evaluation.batch_size={settings.batch_size}"]
        self.predictor = _with_search(Predictor(trained, device=str(device), overrides=overrides), settings.search)

    @property
    def header(self) -> dict[str, Any]:
        """The teacher's entry in the header of the student's checkpoints."""
        return {HEADER: {"teachers": list(self.identities), "search": plain(self.predictor.recipe.search)}}

    @property
    def read_beside(self) -> tuple[Seq2SeqModel, ...]:
        """The teacher where it reads every batch together with the student, which must fit into the limits of both."""
        return (self.predictor.model,) if self.settings.asks_for_probabilities else ()

    def check_resumed(self, header: Mapping[str, Any], folder: Path) -> None:
        """Raises CheckpointError when the run in `folder`, whose checkpoint has this header, began with another teacher."""
        if header.get(HEADER, {}).get("teachers") != list(self.identities):
            raise CheckpointError(
                f"The teacher is not the one that the run in {folder} began with: its best checkpoint has changed since, or it is another"
                " run. Name the checkpoint that it began with, or start a new run with another `--out`."
            )

    def check_symbols(self, task: Task) -> None:
        """Raises ConfigError when the student's fitted task is not compatible with the teacher."""
        if not isinstance(task.target_spec, TokenSpec):
            raise ConfigError("Distillation must have a task whose targets are symbols, but this recipe's targets are real values.")
        if not self.settings.asks_for_probabilities:
            return
        for name in (self.recipe.model.name, *(one.recipe.model.name for one in self.trained)):
            if not registry.find("models", name).stepwise:
                raise ConfigError(
                    f"`distillation.level` must be `sequence` with `model.name: {name}`, which does not decode step by step, but is"
                    f" `{self.settings.level}`."
                )
        taught = self.trained[0].task
        for side, theirs, own in (
            ("source", taught.source_spec, task.source_spec),
            ("target", taught.target_spec, task.target_spec),
        ):
            if theirs != own:
                raise ConfigError(
                    f"`distillation.level` must be `sequence` when the {side} vocabulary of the student is not the teacher's, but is"
                    f" `{self.settings.level}`. Leave the vocabulary out of `task`, or set `distillation.level: sequence`."
                )
        if taught.fingerprint != task.fingerprint:
            raise ConfigError(
                "`task` must prepare texts as the teacher's does when `distillation.level` is `token` or `both`, but has other prefixes,"
                " tags or settings. Leave them out of `task`, or set `distillation.level: sequence`."
            )

    def taught(self, split: Split, folder: Path, say: Say) -> Split:
        """The student's training data: their targets are the teacher's outputs, which are decoded and stored where they are missing.

        The true pairs stand beside them as `keep_references` says.
        """
        if not self.settings.stores_outputs:
            return split
        if getattr(self.recipe.task, "alignment", None) is not None:
            raise ConfigError(
                f"`task.alignment` must be left out with `distillation.level: {self.settings.level}`: the targets are the teacher's"
                " outputs, for which there are no alignments. Use `level: token`."
            )
        parts = [
            (self._taught(part, folder / FOLDER / f"{split.name}-{number}.jsonl.zst", say), weight)
            for number, (part, weight) in enumerate(split.parts)
        ]
        if not self.settings.asks_for_probabilities:
            self.predictor.model.to("cpu")  # it has said all that it will be asked for
        kept = self.settings.keep_references
        return Split(split.name, (*parts, *((part, weight * kept) for part, weight in split.parts if kept)))

    def _taught(self, records: Records, path: Path, say: Say) -> Records:
        task = self.trained[0].task
        target = task.target_column
        assert target is not None, "a teacher without a column for its outputs is refused before"
        outputs = Outputs(path, describe(records, self.identities, plain(self.predictor.recipe.search), target))
        if not outputs.manifest.complete:
            say(f"the teacher decodes {records.count():,} training records: {', '.join(str(one.folder) for one in self.trained)}")
            outputs.make(records, (*task.source_columns, target), self._decode, say)
        for note in outputs.notes():
            say(note)
        return TaughtRecords(records, target, outputs)

    def _decode(self, records: Sequence[Record]) -> Sequence[Prediction]:
        return self.predictor.without_copies().predict(list(records), on_error="keep")

    def loss(self, loss: Loss | LossOfBatch) -> Loss | LossOfBatch:
        """The training loss: the given one, combined with the divergence from the teacher's probabilities where these are used."""
        if not self.settings.asks_for_probabilities:
            return loss
        model = self.predictor.model.requires_grad_(False)
        return DistillationLoss(loss, model, self.settings.weight, self.settings.temperature)


def _check_task(recipe: Recipe, one: Trained) -> None:
    theirs, own = one.recipe.task.name, recipe.task.name
    if theirs != own:
        raise ConfigError(
            f"The teacher must do the student's task, but the run in {one.folder} does `{theirs}`, and `task.name` is `{own}`."
        )
    if not isinstance(one.task.target_spec, TokenSpec):
        raise ConfigError(f"A teacher must write symbols, but the run in {one.folder} writes real values.")


def _check_columns(recipe: Recipe, one: Trained) -> None:
    task = build_task(recipe)
    own, theirs = ((*found.source_columns[:1], found.target_column) for found in (task, one.task))
    if own != theirs:
        raise ConfigError(
            f"The teacher must turn `{own[0]}` into `{own[1]}`, as `task` says, but the run in {one.folder} turns `{theirs[0]}` into"
            f" `{theirs[1]}`. Give the columns of the data the same names in both recipes."
        )
    if theirs[1] is None and recipe.distillation is not None and recipe.distillation.stores_outputs:
        raise ConfigError(f"`distillation.level` must be `token` for `{recipe.task.name}`, whose targets stand in no column of the data.")


def _lent_task(recipe: Recipe, one: Trained) -> Any:
    """The teacher's task settings, overridden by those in the recipe; None when the student learns its own vocabulary.

    Unless `distillation.vocabulary` says which, the teacher's is taken if the recipe states nothing that the teacher does otherwise.
    """
    assert recipe.distillation is not None, "without distillation nobody lends anything"
    wanted, own, theirs = recipe.distillation.vocabulary, recipe.task, one.recipe.task
    stated = {name: getattr(own, name) for name, setting in own.__dataclass_fields__.items() if getattr(own, name) != _default(setting)}
    beside = {name: getattr(own, name) for name in ("weight", "alignment") if hasattr(own, name)}  # of the data, not of the vocabulary
    same = all(getattr(theirs, name) == value for name, value in stated.items() if name not in beside)
    if wanted == "own" or (wanted is None and not same):
        return None
    try:
        return replace(theirs, **(beside | stated))
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise ConfigError(
            f"`task` does not go with the teacher's vocabulary: {reason} Leave it out, or set `distillation.vocabulary: own`."
        ) from error


def _default(setting: Any) -> Any:
    return setting.default if setting.default_factory is MISSING else setting.default_factory()


def _identity(one: Trained) -> str:
    """A hash that changes with the teacher's weights, vocabulary or task, but not with its scores or its location."""
    files = checkpoint.read_json(one.folder / checkpoint.MANIFEST)
    made_of = {name: found for name, found in files.items() if name == checkpoint.WEIGHTS or name.startswith(f"{checkpoint.FEATURES}/")}
    model = {name: value for name, value in plain(one.recipe.model).items() if name != "path"}  # where published weights once lay
    parts = [made_of, one.task.fingerprint, model]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _with_search(predictor: Predictor, settings: Mapping[str, Any] | None) -> Predictor:
    try:
        return predictor.with_search(settings) if settings else predictor
    except ConfigError as error:
        raise ConfigError(str(error).replace("`search", "`distillation.search")) from error
