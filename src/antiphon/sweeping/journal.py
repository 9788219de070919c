"""The record of all trials: an Optuna study in one file, to which several processes and machines append.

What of it is whose: Optuna draws settings, judges trials that are under way, and keeps the file, which its own tools can open
(`optuna-dashboard journal.log`). Whether a worker is dead, and that no two of them draw the same, is seen to here:

- A process that is killed while it writes leaves half a line, by which Optuna could read nothing more. It is cut off.
- Optuna's samplers draw the same in every process that has the same seed. Here each trial has a seed of its own, from the sweep's and the
  number of the trial, so that a sweep that was killed and begun again draws what it would have drawn.
- Settings that were tried are not tried again.

Who creates a trial or takes one over holds the journal's `claim`.
"""

import logging
import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

import numpy as np

from antiphon.errors import CheckpointError, MissingPackageError
from antiphon.sweeping.locking import FileLock
from antiphon.sweeping.settings import HyperbandPruningConfig, MedianPruningConfig, SweepConfig
from antiphon.sweeping.space import Choices, Point, Space

FILE = "journal.log"
_STUDY, _OUTCOME, _VALIDATIONS = "sweep", "outcome", "validations"
_REDRAWN = 20
_LISTED = 100_000  # of so many combinations what is left is looked up; of more, chance finds it

Outcome = Literal["running", "complete", "pruned", "diverged", "failed"]


@final
@dataclass(frozen=True)
class Known:
    """A trial as recorded in the journal. `validations` are its best scores so far, after each validation; `facts` what was recorded at its
    end."""

    number: int
    point: Point
    outcome: Outcome
    validations: tuple[float, ...]
    facts: Mapping[str, Any]

    @property
    def ended(self) -> bool:
        """Whether the trial has ended."""
        return self.outcome != "running"


def need_optuna() -> None:
    """Raise MissingPackageError if the extra `tune` is not installed."""
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise MissingPackageError("A sweep", "optuna", "tune") from error


@final
class Journal:
    """The trials of the sweep in `folder`. `maximize` says whether higher scores are better.

    Raises CheckpointError when the file is damaged or cannot be written.
    """

    def __init__(self, folder: Path, settings: SweepConfig, space: Space, *, maximize: bool):
        import optuna

        logging.getLogger("optuna").setLevel(logging.WARNING)
        self.settings, self.space, self.maximize = settings, space, maximize
        path = folder.absolute() / FILE
        self._claim = FileLock(folder / ".claim.lock")
        lock: Any = _MendingLock(path)
        try:
            self.storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(os.fspath(path), lock_obj=lock))
            self.study = optuna.create_study(
                storage=self.storage,
                study_name=_STUDY,
                direction=self._direction,
                sampler=optuna.samplers.RandomSampler(seed=0),  # draws nothing
                load_if_exists=True,
            )
        except OSError as error:
            raise CheckpointError(f"{path} cannot be written: {error.strerror}. Make room or choose another `--out`.") from error
        except (ValueError, KeyError, AssertionError) as error:
            raise CheckpointError(f"{path} is damaged: {error}. Choose another `--out`; the runs in `trials` are intact.") from error

    @property
    def _direction(self) -> Literal["minimize", "maximize"]:
        return "maximize" if self.maximize else "minimize"

    @contextmanager
    def claim(self) -> Iterator[None]:
        """A context in which no other process creates a trial or takes one over."""
        with self._claim:
            yield

    def trials(self) -> list[Known]:
        """All trials, in their order."""
        return [_known(trial) for trial in self.study.get_trials(deepcopy=False)]

    def create(self) -> Known | None:
        """Create a trial, within a `claim`; None when every combination has been tried."""
        import optuna

        trials = self.study.get_trials(deepcopy=False)
        number = len(trials)
        point = self._draw([trial.params for trial in trials], number)
        if point is None:
            return None
        state, distributions = optuna.trial.TrialState.RUNNING, self._distributions()
        self.study.add_trial(optuna.trial.create_trial(state=state, params=dict(point), distributions=distributions))
        return self.trials()[number]

    def report(self, number: int, validation: int, best: float) -> None:
        """Record the best score so far after a validation, counted from 1. What is already recorded stays."""
        if validation not in self.study.get_trials(deepcopy=False)[number].intermediate_values:
            self._trial(number).report(best, validation)

    def promises_little(self, number: int) -> bool:
        """Whether the trial should be pruned; never at the last validation of the first complete trial, as it would end there anyway."""
        pruner, most = self._pruner(), self.study.user_attrs.get(_VALIDATIONS)
        if pruner is None or (most is not None and len(self.trials()[number].validations) >= most):
            return False
        self.study.pruner = pruner
        return bool(self._trial(number).should_prune())

    def end(self, number: int, outcome: Outcome, objective: float | None, facts: Mapping[str, Any]) -> None:
        """Record how a trial ended; `objective` is the score of a complete one."""
        import optuna

        # Of those that diverge the sampler learns, as of those that are pruned: Optuna's failures it would draw again and again.
        states = {"complete": "COMPLETE", "pruned": "PRUNED", "diverged": "PRUNED", "failed": "FAIL"}
        self._trial(number).set_user_attr(_OUTCOME, {"outcome": outcome, **facts})
        if outcome == "complete" and _VALIDATIONS not in self.study.user_attrs:
            self.study.set_user_attr(_VALIDATIONS, len(self.trials()[number].validations))
        self.study.tell(number, objective, state=optuna.trial.TrialState[states[outcome]])

    def importances(self) -> dict[str, float]:
        """The importance of each setting: how much it decides whether a trial is among the best half of the complete ones, as shares of one
        (PED-ANOVA, Watanabe, Bansal and Hutter 2023); empty where there are too few trials."""
        import optuna

        complete = [trial for trial in self.study.get_trials(deepcopy=False) if trial.state == optuna.trial.TrialState.COMPLETE]
        if len(complete) < 2 * _FEWEST or len({trial.value for trial in complete}) < 2:
            return {}
        varied = [key for key in self.space.parts if len({trial.params[key] for trial in complete}) > 1]
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.5)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = optuna.importance.get_param_importances(self.study, evaluator=evaluator, params=varied)
        return {key: float(value) for key, value in found.items() if math.isfinite(value)}

    def _trial(self, number: int) -> Any:
        import optuna

        study = self.storage.get_study_id_from_name(_STUDY)
        return optuna.trial.Trial(self.study, self.storage.get_trial_id_from_study_id_trial_number(study, number))

    # ------------------------------------------------------------------------------------------------------------- drawing

    def _draw(self, tried: Sequence[Mapping[str, Any]], number: int) -> Point | None:
        """Draw settings that have not been tried."""
        seen = {_key(point) for point in tried}
        if self.settings.sampler == "grid" or self.space.count() <= _LISTED:
            left = [point for point in self.space.every() if _key(point) not in seen]
            if not left:
                return None
        if self.settings.sampler == "grid":
            return left[int(np.random.default_rng([self.settings.seed, number]).integers(len(left)))]
        for attempt in range(_REDRAWN):
            point = self._suggested(number, attempt)
            if _key(point) not in seen:
                return point
        generator = np.random.default_rng([self.settings.seed, number])
        if self.space.count() <= _LISTED:
            return left[int(generator.integers(len(left)))]
        return next(point for _ in range(_LISTED) if _key(point := self.space.draw(generator)) not in seen)

    def _suggested(self, number: int, attempt: int) -> Point:
        """What the sampler suggests next. It is asked in memory, so that suggestions that are not tried leave no trace."""
        seed = int(np.random.default_rng([self.settings.seed, number, attempt]).integers(2**31))
        if self.settings.sampler == "random":
            return self.space.draw(np.random.default_rng(seed))
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is experimental
            sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
            study = optuna.create_study(direction=self._direction, sampler=sampler)
            study.add_trials(self.study.get_trials(deepcopy=False))
            drawn = study.ask(self._distributions()).params
        return self.space.rounded(drawn)

    def _distributions(self) -> dict[str, Any]:
        """The space as Optuna's distributions."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        found: dict[str, Any] = {}
        for key, part in self.space.parts.items():
            if isinstance(part, Choices):
                found[key] = CategoricalDistribution(part.labels)
            elif part.integer:
                found[key] = IntDistribution(int(part.low), int(part.last), log=part.log, step=int(part.step or 1))
            else:
                found[key] = FloatDistribution(part.low, part.last, log=part.log, step=part.step)
        return found

    def _pruner(self) -> Any:
        import optuna

        settings = self.settings.pruning
        if isinstance(settings, MedianPruningConfig):
            return optuna.pruners.MedianPruner(settings.first_trials, settings.first_validations + 1)
        if isinstance(settings, HyperbandPruningConfig) and (most := self.study.user_attrs.get(_VALIDATIONS)):
            return optuna.pruners.HyperbandPruner(settings.first_validations, max(int(most), settings.first_validations), settings.factor)
        return None


_FEWEST = 5
"""The number of complete trials, in each half, below which no importances are given."""


def _known(trial: Any) -> Known:
    facts = dict(trial.user_attrs.get(_OUTCOME, {}))
    outcome: Outcome = facts.pop("outcome", "failed") if trial.state.is_finished() else "running"
    validations = tuple(value for _, value in sorted(trial.intermediate_values.items()))
    return Known(trial.number, dict(trial.params), outcome, validations, facts)


def _key(point: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """A key that is equal for equal settings."""
    return tuple(sorted((key, repr(value)) for key, value in point.items()))


@final
class _MendingLock:
    """The lock of the journal's file. Whoever acquires it cuts off an incomplete entry left by a process that died."""

    def __init__(self, path: Path):
        self.path, self.lock = path, FileLock(path.with_name(f".{path.name}.lock"))

    def acquire(self) -> bool:
        """Wait for it."""
        self.lock.acquire()
        if self.path.exists():
            _mend(self.path)
        return True

    def release(self) -> None:
        """Release the lock."""
        self.lock.release()


def _mend(path: Path) -> None:
    with open(path, "rb+") as file:
        size = file.seek(0, os.SEEK_END)
        if not size:
            return
        file.seek(size - 1)
        if file.read(1) != b"\n":
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
