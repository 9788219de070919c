"""Reads the files of a run as plain values: the report needs neither the data nor a valid recipe.

Unusual: apart from `recipe.yaml`, nothing has to be there. A part that is missing or damaged becomes a sentence in `problems`, since a
report on half a run is of more use than an error.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from antiphon.errors import CheckpointError
from antiphon.report.quantities import as_real
from antiphon.store.checkpoint import HEADER, find_checkpoint, read_json

Plain = Mapping[str, Any]


@final
@dataclass(frozen=True)
class StoredEvaluation:
    """An evaluation stored by `antiphon.evaluate`, and its time."""

    content: Plain
    written: float

    @property
    def data(self) -> str:
        """The evaluated data: a path, several with commas, or `records`."""
        return str(self.content.get("data", ""))

    @property
    def of(self) -> str:
        """The evaluated model if it was not the run's best checkpoint: another one, or an ensemble. Else ""."""
        return str(self.content.get("of") or "")

    @property
    def scores(self) -> Sequence[Plain]:
        """Name, value, signature, direction and interval of each score."""
        return self.content.get("scores") or ()

    @property
    def items(self) -> Sequence[Plain]:
        """Source, references, prediction, score and finish reason of each record."""
        return self.content.get("items") or ()

    @property
    def baselines(self) -> Mapping[str, Sequence[Plain]]:
        """Scores of baselines on the same records, by name; {} for tasks without any."""
        found = as_mapping(self.content.get("baselines"))
        return {name: [score for score in scores if isinstance(score, dict)] for name, scores in found.items() if isinstance(scores, list)}

    @property
    def details(self) -> Plain:
        """The task's details beside scores; {} for tasks without any."""
        return as_mapping(self.content.get("details"))


@final
@dataclass(frozen=True)
class RunRecord:
    """A run's folder as plain values.

    evaluations   those of the best checkpoint, the newest first
    others        those of other checkpoints, and of ensembles that begin with this run
    inspection    what `antiphon inspect` stored in `audit.json`: the audit, notes, and what training costs; None without
    header        that of the checkpoint in use, {} without one
    """

    folder: Path
    recipe: Plain
    recipe_text: str
    events: Sequence[Plain]
    evaluations: Sequence[StoredEvaluation]
    inspection: Plain | None
    header: Plain
    problems: tuple[str, ...] = field(default=())
    others: Sequence[StoredEvaluation] = field(default=())

    @property
    def audit(self) -> Plain | None:
        """The audit of the data; None if there is none."""
        found = (self.inspection or {}).get("audit", self.inspection)
        return found if isinstance(found, Mapping) else None

    @property
    def of_series(self) -> bool:
        """Whether the run forecasts series."""
        return str(self.setting("task.name")) == "forecasting"

    @property
    def of_speech(self) -> bool:
        """Whether the run recognizes speech."""
        return str(self.setting("task.name")) == "speech_recognition"

    def of_kind(self, *kinds: str) -> list[Plain]:
        """The events of certain kinds, in order."""
        return [event for event in self.events if event.get("kind") in kinds]

    @property
    def improved(self) -> float:
        """When the checkpoint in use was found best (seconds since 1970), from the log, as file times do not survive copying."""
        times = [as_real(event.get("time")) for event in self.of_kind("validation", "average") if event.get("best") is True]
        return max((time for time in times if time is not None), default=0.0)

    def setting(self, dotted: str) -> Any:
        """A value of the recipe by its dotted path, None if it is missing."""
        value: Any = self.recipe
        for key in dotted.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        return value


def as_mapping(value: object) -> Plain:
    """A mapping unchanged, and {} for anything else: files may hold unexpected values."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: object) -> list[Any]:
    """A list unchanged, and [] for anything else."""
    return value if isinstance(value, list) else []


def read_run(run: Path) -> RunRecord:
    """Read a run. Raises CheckpointError when the folder is not one."""
    if not (run / "recipe.yaml").is_file():
        if run.is_file():
            raise CheckpointError(f"A report needs a run, which is a folder, but {run} is a file. Name the folder that training wrote.")
        what = "has no recipe.yaml" if run.is_dir() else "does not exist"
        raise CheckpointError(f"A report needs a run, but {run} {what}. Train one first: antiphon train RECIPE --out {run}.")
    problems: list[str] = []
    recipe_text, recipe = _read_recipe(run / "recipe.yaml")
    evaluations = _read_evaluations(run / "evaluations", problems)
    return RunRecord(
        folder=run,
        recipe=recipe,
        recipe_text=recipe_text,
        events=_read_events(run / "metrics.jsonl", problems),
        evaluations=[evaluation for evaluation in evaluations if not evaluation.of],
        inspection=_read_object(run / "audit.json", problems),
        header=_read_header(run, problems),
        problems=tuple(problems),
        others=[evaluation for evaluation in evaluations if evaluation.of],
    )


def _read_recipe(path: Path) -> tuple[str, Plain]:
    """The recipe's text and its plain values; the plug-ins that it names are not imported."""
    try:
        written = path.read_text(encoding="utf-8-sig")
        recipe = YAML(typ="safe", pure=True).load(written)
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"The run's recipe {path} cannot be read: {reason}. Restore it from one of the run's checkpoints.") from error
    if not isinstance(recipe, Mapping):
        raise CheckpointError(f"The run's recipe {path} must be a mapping, but is {type(recipe).__name__}.")
    return written, recipe


def _read_header(run: Path, problems: list[str]) -> Plain:
    """The header of the checkpoint in use; {} when there is none."""
    if not any((run / name).exists() for name in ("best", "last")):
        return {}
    try:
        return read_json(find_checkpoint(run) / HEADER)
    except CheckpointError as error:
        problems.append(str(error))
        return {}


def _read_events(path: Path, problems: list[str]) -> list[Plain]:
    """The events of training; an incomplete last line, as after a kill, is ignored."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        problems.append(f"{path} cannot be read: {error.strerror}.")
        return []
    events: list[Plain] = []
    unreadable = []
    for number, line in enumerate(lines, start=1):
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if isinstance(event, dict):
            events.append(event)
        elif line.strip() and number < len(lines):
            unreadable.append(number)
    if unreadable:
        where = f"{path}:{unreadable[0]}" + (f" and {len(unreadable) - 1} more lines" if len(unreadable) > 1 else "")
        problems.append(f"{where}: what is no JSON object is left out.")
    return events


def _read_evaluations(folder: Path, problems: list[str]) -> list[StoredEvaluation]:
    found = []
    for path in sorted(folder.glob("*.json")):
        content = _read_object(path, problems)
        if content is not None:
            found.append(StoredEvaluation(content, path.stat().st_mtime))
    return sorted(found, key=lambda evaluation: -evaluation.written)


def _read_object(path: Path, problems: list[str]) -> Plain | None:
    """A JSON object, None when there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        problems.append(f"{path} cannot be read, so it is left out: {error}.")
        return None
    if not isinstance(value, dict):
        problems.append(f"{path} is no JSON object, so it is left out.")
        return None
    return value
