"""The results of a sweep: a table of its trials, a comparison of the best two, and a recipe with the best settings."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from typing import Any, final

import numpy as np
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from antiphon.contracts.configuration import plain, texts
from antiphon.errors import CheckpointError
from antiphon.metrics.interface import Score, merit
from antiphon.metrics.scoring import find_metric
from antiphon.metrics.shown import shown
from antiphon.metrics.significance import Comparison, compare_statistics
from antiphon.recipe.tree import override_in, parsed, plain_tree
from antiphon.runs.sweep_space import Source
from antiphon.runs.sweep_trial import VALIDATION
from antiphon.store.atomic import replacing
from antiphon.store.checkpoint import read_json, replace_json
from antiphon.store.json_text import json_text, plain_numbers
from antiphon.sweeping.journal import Journal, Known
from antiphon.sweeping.settings import SweepConfig
from antiphon.sweeping.space import label_of

_LEVEL = 0.05
TABLE, SUMMARY, BEST = "trials.tsv", "sweep.json", "best.yaml"


@final
@dataclass(frozen=True)
class SweepTrial:
    """A trial. `validations` are its best scores so far after each validation, `score` that of its best checkpoint on all validation
    records, None unless it is complete; `reason` says why not."""

    number: int
    run: str
    outcome: str
    settings: Mapping[str, Any]
    score: Score | None
    validations: tuple[float, ...]
    seconds: float
    steps: int
    reason: str


@final
@dataclass(frozen=True)
class Sweep:
    """The results of a sweep. `best` is None as long as no trial is complete; `comparison` is the paired test of the best (b) against the
    second (a), None if they were not scored on the same records; `importances` are shares, empty with few trials."""

    folder: Path
    metric: str
    trials: tuple[SweepTrial, ...]
    best: SweepTrial | None
    second: SweepTrial | None
    comparison: Comparison | None
    importances: Mapping[str, float]
    space: Mapping[str, Any]
    remarks: tuple[str, ...] = ()

    def conclusions(self) -> list[str]:
        """The conclusions, in sentences."""
        lines = list(self.remarks)
        counts = {
            outcome: sum(trial.outcome == outcome for trial in self.trials) for outcome in ("pruned", "diverged", "failed", "running")
        }
        if any(counts.values()):
            lines.append(f"Of {len(self.trials)} trials {', '.join(f'{count} {outcome}' for outcome, count in counts.items() if count)}.")
        if self.best is None or self.best.score is None:
            return [*lines, "No trial is complete yet."]
        lines.append(f"Best: trial {self.best.number}, {self.metric} {shown(self.best.score.value)}. Its recipe: {self.folder / BEST}")
        if self.comparison is not None and self.second is not None:
            p, gain = self.comparison.randomization_p, self.comparison.difference
            differs = "differs significantly" if p < _LEVEL else "does not differ significantly"
            lines.append(
                f"It {differs} from the second, trial {self.second.number}: {'+' if gain > 0 else ''}{shown(gain)} {self.metric} (paired"
                f" randomization p {'undefined' if p != p else f'= {p:.3f}' if p >= 0.0005 else '< 0.001'})."
            )
        return lines

    def to_plain(self) -> dict[str, Any]:
        """Plain values, for JSON, with None for NaN."""
        values = {
            "metric": self.metric,
            "trials": [asdict(trial) for trial in self.trials],
            "best": None if self.best is None else self.best.number,
            "second": None if self.second is None else self.second.number,
            "comparison": None if self.comparison is None else asdict(self.comparison),
            "importances": dict(self.importances),
            "space": dict(self.space),
            "remarks": list(self.remarks),
        }
        return dict(plain_numbers(values))


def results(folder: Path, journal: Journal, metric: Score, settings: SweepConfig, remarks: tuple[str, ...], *, resamples: int) -> Sweep:
    """The results so far."""
    trials = tuple(_trial(known, folder, journal, metric) for known in journal.trials())
    ranked = sorted((trial for trial in trials if trial.score is not None), key=_merit, reverse=True)
    best, second = (*ranked, None, None)[:2]
    comparison = _compared(folder, metric, second, best, resamples) if best is not None and second is not None else None
    space = {key: plain_tree(value) for key, value in plain(settings)["space"].items()}
    return Sweep(folder, metric.name, trials, best, second, comparison, journal.importances(), space, remarks)


def _merit(trial: SweepTrial) -> tuple[float, int]:
    assert trial.score is not None
    return float(merit(trial.score.value, trial.score)), -trial.number


def _trial(known: Known, folder: Path, journal: Journal, metric: Score) -> SweepTrial:
    facts, score = known.facts, known.facts.get("score")
    return SweepTrial(
        known.number,
        f"{folder}/trials/{known.number:04d}",
        known.outcome,
        journal.space.values(known.point),
        None if score is None else Score(**score),
        known.validations,
        float(facts.get("seconds", 0.0)),
        int(facts.get("steps", 0)),
        str(facts.get("reason", "")),
    )


def _compared(folder: Path, metric: Score, a: SweepTrial, b: SweepTrial, resamples: int) -> Comparison | None:
    """The paired test of two trials; None if a file is missing, or they were scored on other records."""
    try:
        kept = [read_json(Path(trial.run) / VALIDATION) for trial in (a, b)]
    except CheckpointError:
        return None
    if kept[0]["records"] != kept[1]["records"] or not resamples:
        return None
    both = np.array([one["statistics"] for one in kept], dtype=np.float64)
    return compare_statistics(find_metric(metric.name), both, kept[0]["references"], resamples=resamples)


# ------------------------------------------------------------------------------------------------------------------- files


def write_results(found: Sweep, source: Source) -> None:
    """Write the table, the conclusions, and the best recipe. Raises CheckpointError when they cannot be written."""
    try:
        with replacing(found.folder / TABLE) as file:
            file.write("".join("\t".join(row) + "\n" for row in table(found)))
        replace_json(found.folder / SUMMARY, found.to_plain())
        if found.best is not None:
            with replacing(found.folder / BEST) as file:
                file.write(best_recipe(found, source))
    except OSError as error:
        raise CheckpointError(f"{error.filename or found.folder} cannot be written: {error.strerror}. Trials are intact.") from error


def table(found: Sweep) -> list[list[str]]:
    """Rows of cells, the names of the columns first."""
    header = ["trial", "outcome", *found.space, found.metric, "low", "high", "validations", "steps", "seconds", "reason"]
    rows = [header]
    for trial in found.trials:
        score = trial.score
        numbers = [] if score is None else [score.value, score.low, score.high]
        rows.append(
            [
                str(trial.number),
                trial.outcome,
                *(label_of(trial.settings[key]) for key in found.space),
                *("" if one is None else repr(one) for one in (*numbers, None, None, None)[:3]),
                str(len(trial.validations)),
                str(trial.steps),
                f"{trial.seconds:.1f}",
                trial.reason,
            ]
        )
    return [[cell.replace("\t", " ").replace("\n", " ") for cell in row] for row in rows]


def best_recipe(found: Sweep, source: Source) -> str:
    """The recipe as its author wrote it, with the best trial's settings in place, a comment beside each, and absolute paths."""
    best = found.best
    assert best is not None
    assert best.score is not None
    tree = _tree(source)
    absolute = {*texts(plain(source.with_values(best.settings)))}
    base = source.recipe.parent if isinstance(source.recipe, Path) else Path()
    for override in source.overrides:
        override_in(tree, override)
    _make_absolute(tree, base, absolute)
    tree.pop("sweep", None)
    for key, value in best.settings.items():
        before = _at(tree, key)
        override_in(tree, f"{key}={json_text(value)}")
        _comment(tree, key.split("."), f"from the sweep; {before}")
    out, yaml = StringIO(), YAML(typ="rt")
    yaml.width = 4096
    yaml.dump(tree, out)
    score = best.score
    interval = "" if score.low is None or score.high is None else f" ({shown(score.low)} to {shown(score.high)})"
    complete = sum(trial.outcome == "complete" for trial in found.trials)
    head = (
        f"# Trial {best.number} of the sweep in {found.folder}: {found.metric} {shown(score.value)}{interval} on the validation data, the"
    )
    return f"{head}\n# best of {complete} complete trials, and so a little better than it will be on new data.\n{out.getvalue()}"


def _tree(source: Source) -> CommentedMap:
    if isinstance(source.recipe, Path):
        return parsed(source.recipe)
    yaml, text = YAML(typ="rt"), StringIO()
    yaml.dump(plain(source.recipe), text)
    tree: CommentedMap = yaml.load(text.getvalue())
    return tree


def _at(tree: Any, key: str) -> str:
    """The comment on a setting in the recipe."""
    for name in key.split("."):
        if not isinstance(tree, Mapping) or name not in tree:
            return "the recipe does not say"
        tree = tree[name]
    return f"the recipe has {label_of(plain_tree(tree))}"


def _comment(tree: CommentedMap, keys: Sequence[str], text: str) -> None:
    """Put a comment beside a setting, which is moved to a line of its own, before the author's own comment."""
    *parents, last = keys
    for parent in parents:
        if not isinstance(tree[parent], CommentedMap):
            tree[parent] = CommentedMap(tree[parent])
        tree = tree[parent]
        tree.fa.set_block_style()
    written = tree.ca.items.get(last, [None] * 3)[2]
    own = f"; {written.value.strip().removeprefix('#').strip()}" if written is not None else ""
    tree.ca.items.pop(last, None)
    tree.yaml_add_eol_comment(text + own, last)


def _make_absolute(tree: Any, base: Path, absolute: set[str]) -> None:
    """Turn paths relative to the recipe's folder into the absolute ones of the parsed recipe."""
    items = list(tree.items()) if isinstance(tree, Mapping) else list(enumerate(tree)) if isinstance(tree, list) else []
    for key, value in items:
        if isinstance(value, str) and not os.path.isabs(value) and (whole := str((base / value).absolute())) in absolute:
            tree[key] = whole
        else:
            _make_absolute(value, base, absolute)
