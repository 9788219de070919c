"""Tries settings of a recipe, with a training for each trial, and writes the best as a recipe that is ready to train.

    sweep.yaml      the recipe with every setting, by which those who join are known
    journal.log     what is known of all trials (`sweeping/journal.py`)
    trials/0007     a run; lease.json says who is at it, validation.json what the metric made of each validation record
    trials.tsv      a table of all trials; sweep.json has the same, and what follows from it
    best.yaml       the recipe with the settings of the best trial

The same command, started again anywhere where the folder can be reached, joins: it takes up trials whose worker is dead from their
checkpoint, and then begins new ones, until there are as many as the recipe says.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, final

from rich.console import Console

from antiphon.contracts.configuration import plain
from antiphon.errors import CheckpointError, ConfigError, TrainingError
from antiphon.metrics.interface import Score
from antiphon.metrics.scoring import find_metric
from antiphon.metrics.shown import shown
from antiphon.recipe.assembly import Given, metric_names
from antiphon.recipe.recipe import Recipe, changed_keys, read_recipe, write_recipe
from antiphon.recipe.tree import existing
from antiphon.runs.sweep_results import Sweep, results, write_results
from antiphon.runs.sweep_space import Source, metric_of, settings_of, space_of
from antiphon.runs.sweep_trial import Ended, TakenOverError, Watch, run_trial
from antiphon.store import checkpoint
from antiphon.sweeping.journal import FILE, Journal, Known, need_optuna
from antiphon.sweeping.lease import Lease, is_alive, is_held, kept_alive, own_lease, read_lease, release, write_lease
from antiphon.sweeping.settings import SweepConfig
from antiphon.sweeping.space import label_of
from antiphon.training.settings import check_best

RECIPE, TRIALS = "sweep.yaml", "trials"
_ATTEMPTS = 3
"""So many workers may die of one trial without coming to its next checkpoint."""
_FAILURES = 3
"""So many trials may fail before any is good for something."""
_MAY_DIFFER = (
    *(f"training.{name}" for name in ("log_every", "log_records", "samples", "tensorboard", "trackers", "device", "save_minutes")),
    *("training.batching.workers", "data.workers", "data.test", "sweep.trials", "sweep.max_minutes"),
)
"""What changes no score, so that those who join may have it otherwise."""


def sweep(
    recipe: Recipe | Path | str,
    out: Path | str,
    *,
    overrides: Sequence[str] = (),
    trials: int | None = None,
    data: Given | None = None,
    trust_code: bool = False,
    console: Console | None = None,
) -> Sweep:
    """Try the settings in the recipe's `sweep` section; returns the results, which are also written to the folder `out`.

    recipe      a Recipe, or the path of one
    out         a folder; where it has a sweep of this recipe already, this process joins it
    overrides   settings that are to be others in all trials, such as "training.max_minutes=5"
    trials      how many there are to be in all, instead of `sweep.trials`
    data        records instead of the recipe's files, as `antiphon.train` takes them
    trust_code  whether code outside Antiphon that other runs name may be imported
    console     where progress is shown; None is standard error

    Raises ConfigError for settings that are unknown or cannot be, before any trial begins; MissingPackageError without the extra `tune`;
    CheckpointError when the folder cannot be written, or holds something else; TrainingError when the first trials all fail.
    """
    need_optuna()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("A sweep must not be started by `torchrun`: start `antiphon sweep` itself as often as there are processors.")
    source = Source(recipe if isinstance(recipe, Recipe) else existing(Path(recipe)), tuple(overrides), trust_code)
    known = source.with_values({})
    settings = settings_of(known)
    settings = settings if trials is None else replace(settings, trials=trials)
    names = metric_names(known)
    check_best(known.training, names)
    space, remarks = space_of(source)
    folder, console = Path(out), console or Console(stderr=True)
    metric = score_to_find(metric_of(known))
    _prepare(folder, replace(known, sweep=settings))
    journal = Journal(folder, settings, space, maximize=metric.higher_is_better is True)
    worker = _Worker(folder, source, settings, metric, journal, console, data)
    for remark in remarks:
        worker.say(remark)
    try:
        reason = worker.work()
    finally:
        found = results(folder, journal, metric, settings, remarks, resamples=known.evaluation.resamples)
        write_results(found, source)
    worker.say(f"{reason}.")
    return found


def score_to_find(metric: str) -> Score:
    """A score of the metric without a value yet, which says which direction is better."""
    if metric == "loss":
        return Score("loss", float("nan"), "mean per target element", higher_is_better=False)
    found = find_metric(metric)
    return Score(metric, float("nan"), found.signature, found.higher_is_better, target=found.target)


def _prepare(folder: Path, recipe: Recipe) -> None:
    """Create the sweep's folder, or check that it holds this sweep."""
    path = folder / RECIPE
    if any(os.path.lexists(folder / name) for name in ("last", "recipe.yaml", checkpoint.HEADER)):
        raise CheckpointError(f"{folder} holds a run, in which no sweep can begin. Choose another `--out`.")
    if path.is_file():
        old, new = plain(read_recipe(path, trust=recipe.trust)), plain(recipe)
        changes = [key for key in changed_keys(old, new) if not any(key == free or key.startswith(f"{free}.") for free in _MAY_DIFFER)]
        if changes:
            raise ConfigError(
                f"The recipe differs from that of the sweep in {folder}: {', '.join(f'`{key}`' for key in changes)}. Undo the change to"
                " join it, or start a new sweep with another `--out`."
            )
        return
    if (folder / FILE).exists():
        raise CheckpointError(f"{folder} has a journal, but no {RECIPE}. Choose another `--out`.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_recipe(recipe, path)
    except OSError as error:
        raise CheckpointError(f"The sweep's folder {folder} cannot be written: {error.strerror}.") from error


@final
@dataclass(frozen=True)
class _Worker:
    """One process of a sweep."""

    folder: Path
    source: Source
    settings: SweepConfig
    metric: Score
    journal: Journal
    console: Console
    data: Given | None

    def say(self, line: str) -> None:
        """Show a message."""
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def work(self) -> str:
        """Run trials until there are none left to run; returns why. Raises TrainingError when none succeeds."""
        while isinstance(claimed := self._claim(), tuple):
            trial, lease = claimed
            place = self._place(trial.number)
            try:
                with kept_alive(place):
                    self._run(trial, lease)
            except TakenOverError:
                self.say(f"trial {trial.number}: another worker has taken it over, since this one showed no sign of life.")
            finally:
                release(place, lease)
            self._stop_if_all_fail()
        return claimed

    def _place(self, number: int) -> Path:
        return self.folder / TRIALS / f"{number:04d}"

    def _claim(self) -> tuple[Known, Lease] | str:
        """A trial to run, which is new or whose worker is dead; else why there is none."""
        with self.journal.claim():
            trials, alive = self.journal.trials(), []
            for trial in trials:
                if trial.ended:
                    continue
                place = self._place(trial.number)
                before = read_lease(place)
                if before is not None and is_alive(before, place):
                    alive.append(before.worker)
                    continue
                lease = own_lease(_checkpoint(place), before)
                if lease.attempt > _ATTEMPTS:
                    reason = f"Its worker died {_ATTEMPTS} times, perhaps for want of memory."
                    self.journal.end(trial.number, "failed", None, Ended("failed", None, reason, 0.0, 0).facts())
                    continue
                write_lease(place, lease)
                return trial, lease
            if ended := self._ended(trials, alive):
                return ended
            new = self.journal.create()
            if new is None:
                return f"All {len(trials)} combinations were tried"
            lease = own_lease()
            write_lease(self._place(new.number), lease)
            return new, lease

    def _ended(self, trials: Sequence[Known], alive: Sequence[str]) -> str:
        """Why no further trial begins; empty if one does."""
        others = f"; {len(alive)} of them still under way ({'; '.join(alive)})" if alive else ""
        if len(trials) >= self.settings.trials:
            return f"{len(trials)} trials{others}"
        minutes = sum(float(trial.facts.get("seconds", 0.0)) for trial in trials) / 60
        if self.settings.max_minutes is not None and minutes >= self.settings.max_minutes:
            return f"{self.settings.max_minutes:g} minutes used by {len(trials)} trials{others}"
        return ""

    def _run(self, trial: Known, lease: Lease) -> None:
        place, number = self._place(trial.number), trial.number
        values = self.journal.space.values(trial.point)
        again = f", taken up from {lease.checkpoint}" if lease.checkpoint else f", attempt {lease.attempt}" if lease.attempt > 1 else ""
        self.say(f"trial {number} of {self.settings.trials}{again}: {said(values)}")
        try:
            recipe = self.source.with_values(values)
        except ConfigError as error:
            ended = Ended("failed", None, str(error).splitlines()[0], 0.0, 0)
        else:
            quiet = Console(stderr=True, quiet=True)
            watch = Watch(place, self.metric, partial(self._report, number), partial(is_held, place, lease))
            ended = run_trial(recipe, place, self.metric, watch, quiet, self.data)
        if not is_held(place, lease):
            raise TakenOverError
        self.journal.end(number, ended.outcome, None if ended.score is None else self._objective(ended.score.value), ended.facts())
        self.say(f"trial {number} {_ending(ended, self.metric)}")

    def _report(self, number: int, validation: int, best: float) -> bool:
        self.journal.report(number, validation, self._objective(best))
        self.say(f"  trial {number}, validation {validation}: best {self.metric.name} {shown(best)}")
        return self.journal.promises_little(number)

    def _objective(self, value: float) -> float:
        """The value to minimize or maximize: for a metric with a target the distance from it."""
        return value if self.metric.target is None else abs(value - self.metric.target)

    def _stop_if_all_fail(self) -> None:
        trials = [trial for trial in self.journal.trials() if trial.ended]
        if len(trials) >= _FAILURES and all(trial.outcome == "failed" for trial in trials):
            raise TrainingError(f"The first {len(trials)} trials all failed; trial {trials[-1].number}: {trials[-1].facts.get('reason')}")


def _checkpoint(place: Path) -> str:
    """The name of a trial's last checkpoint; empty if it has none."""
    return (place / "last").resolve().name if (place / "last").exists() else ""


def said(values: Mapping[str, Any]) -> str:
    """Settings, formatted for display."""
    return "  ".join(f"{key}={label_of(value)}" for key, value in values.items())


def _ending(ended: Ended, metric: Score) -> str:
    seconds = f" ({ended.steps:,} steps, {ended.seconds:,.0f} s)"
    if ended.score is None:
        return f"{ended.outcome}{seconds}: {ended.reason}"
    low, high = ended.score.low, ended.score.high
    interval = "" if low is None or high is None else f" ({shown(low)} to {shown(high)})"
    return f"complete{seconds}: {metric.name} {shown(ended.score.value)}{interval}"
