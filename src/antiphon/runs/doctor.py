"""Checks Antiphon's promises for a run, or for an exported folder, on the user's own data and machine.

- the same alone and in any batch
- step by step with a cache, re-ordered in between, the same as all at once
- exported the same as the run
- resumed the same as uninterrupted (`doctor_resuming.py`)
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from antiphon.contracts.asking import items_of
from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.sequences import Batch, select_rows
from antiphon.contracts.specs import TokenSpec
from antiphon.contracts.trust import Trust, foreign
from antiphon.errors import AntiphonError, ConfigError, DataError, ExportError
from antiphon.prediction.comparing import Said, batches, comparable_step, difference, examples_of, moved_probability, said
from antiphon.prediction.predictor import Predictor
from antiphon.prediction.validation import spread
from antiphon.recipe.assembly import Trained, load_trained, read_given
from antiphon.runs import parity
from antiphon.runs.doctor_resuming import resumed_as_uninterrupted
from antiphon.runs.validation_records import validation_items

State = Literal["ok", "wrong", "skipped"]
TIPPED = 0.05
"""How much probability may lie elsewhere in a lower precision, and how far values may be apart: a difference in rounding can tip a value to
the next of few levels."""


@dataclass(frozen=True)
class Examined:
    """The result for one promise: `text` says what was measured, or why nothing was."""

    promise: str
    state: State
    text: str


@dataclass(frozen=True)
class Examination:
    """The results, promise by promise."""

    path: str
    records: int
    found: tuple[Examined, ...]

    @property
    def sound(self) -> bool:
        """Whether no promise is broken."""
        return all(one.state != "wrong" for one in self.found)

    def to_plain(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "sound": self.sound}


def doctor(
    path: Path | str, *, against: Path | str | None = None, data: Any = None, most: int = 100, updates: int = 10, trust_code: bool = False
) -> Examination:
    """Examine a run or an exported folder.

    against     of an exported folder: the run that it was made of
    data        a file or records; None are validation data of the run
    most        how many records are taken, evenly spread
    updates     of a run: how many updates a copy is trained further, once at a stretch and once interrupted; 0 is none
    trust_code  whether code outside Antiphon that the run names may be imported

    Raises DataError when there is nothing to examine it on, ConfigError when `against` is given for a run or is itself exported.
    """
    trust = foreign(trust_code)
    trained = load_trained(path, trust=trust)
    original = None if against is None else _original(trained, path, against, trust)
    predictor = Predictor([trained], device="cpu")
    items = _items(path if against is None else against, trained if original is None else original, most, data)
    examined = [_alone(predictor, items), _steps(predictor, items), _exported(predictor, original, items)]
    if "engine" not in trained.header and updates:
        examined.append(_guarded(Path(path), updates, trust_code))
    return Examination(str(path), len(items), tuple(one for one in examined if one is not None))


def _original(trained: Trained, path: Path | str, against: Path | str, trust: Trust) -> Trained:
    original = load_trained(against, trust=trust)
    if "engine" not in trained.header or "engine" in original.header:
        wrong, what = (path, "is a run") if "engine" not in trained.header else (against, "was exported, too")
        raise ConfigError(f"`--against` compares an exported folder with the run that it was made of, but {wrong} {what}.")
    return original


def _items(run: Path | str, trained: Trained, most: int, data: Any) -> list[Any]:
    """The items to use. The user's records need no targets. Raises DataError when there are none."""
    try:
        items = validation_items(run, trained, most, data)
    except (DataError, ConfigError) as error:
        if data is None:
            raise DataError(f"There is nothing to examine {run} on: {str(error).rstrip('.')}. Name a file with `--data`.") from error
        records = list(items_of(trained.task, read_given(data, trained.task, with_targets=False)))
        items = [records[place] for place in spread(len(records), most)]
    if not items:
        raise DataError(f"There is nothing to examine {run} on: the data has no records. Name a file with `--data`.")
    return items


def _batches(predictor: Predictor, items: Sequence[Any], size: int) -> list[Batch]:
    """Batches of the items with their targets; none if they have no targets."""
    try:
        examples = examples_of(predictor.task, items, predictor.recipe.data.limits, [predictor.model])
    except (DataError, KeyError):
        return []
    return batches(predictor.task, examples, size, predictor.device)


def _is_exact(predictor: Predictor) -> bool:
    return bool(predictor.trained[0].header.get("engine", {}).get("precision", "fp32") == "fp32")


def _limit(predictor: Predictor) -> float:
    return parity.ROUNDING if _is_exact(predictor) else TIPPED


def _apart(predictor: Predictor, one: Said, other: Said) -> float:
    """The difference between two outputs for the same input: for symbols in a lower precision, of their probabilities."""
    spread_out = isinstance(predictor.task.target_spec, TokenSpec) and one.values.shape[-1] > 1  # over all symbols
    return moved_probability(one, other) if spread_out and not _is_exact(predictor) else difference(one, other)


# ---------------------------------------------------------------------------------------------------------- alone and in any batch


def _alone(predictor: Predictor, items: Sequence[Any]) -> Examined:
    """Compares outputs, and scores of targets, for each record alone and in a batch."""
    promise, symbols = "the same alone and in any batch", isinstance(predictor.task.target_spec, TokenSpec)
    alone = Predictor(predictor.trained, device="cpu", overrides=["evaluation.batch_size=1"])
    pairs = list(zip(predictor.predict_items(items, on_error="keep"), alone.predict_items(items, on_error="keep"), strict=True))
    other = [
        number
        for number, (one, two) in enumerate(pairs, 1)
        if not parity.same_output(one, two, symbols=symbols) and not _tied(one.hypothesis.score, two.hypothesis.score, symbols)
    ]
    apart = max(_apart_alone(predictor, items), default=0.0)
    counted = f"{len(items) - len(other):,} of {len(items):,} outputs are equal, what is said differs by at most {apart:.2g}"
    if not other and apart <= _limit(predictor):
        return Examined(promise, "ok", counted)
    which = f" (records {', '.join(map(str, other[:4]))}{', ...' if len(other) > 4 else ''})" if other else ""
    return Examined(promise, "wrong", f"{counted}{which}; allowed is {_limit(predictor):g}")


def _tied(one: float, two: float, symbols: bool) -> bool:
    return symbols and abs(one - two) <= parity.ROUNDING


def _apart_alone(predictor: Predictor, items: Sequence[Any]) -> Iterator[float]:
    for batch in _batches(predictor, items, predictor.recipe.evaluation.batch_size):
        among = said(predictor.model, batch)
        for row in range(len(batch.source.lengths)):
            index = torch.tensor([row])
            for whole, single in zip(among, said(predictor.model, batch.select_rows(index)), strict=True):
                yield _apart(predictor, single, Said(whole.values[index], whole.mask[index]))


# ------------------------------------------------------------------------------------------------------------------- step by step


def _steps(predictor: Predictor, items: Sequence[Any]) -> Examined:
    """Decodes targets step by step, each beside another one with which it changes places after every step, as in a beam."""
    promise, model = "step by step the same as at once", predictor.model
    if not isinstance(model, StepwiseModel):
        return Examined(promise, "skipped", "this model says all at once")
    given = _batches(predictor, items, predictor.recipe.evaluation.batch_size)
    if not given:
        return Examined(promise, "skipped", "the records have no targets")
    apart = max(_apart_in_steps(predictor, model, batch) for batch in given)
    engine = predictor.trained[0].header.get("engine")
    exported = "" if engine is None else f" (`{engine['name']}` has steps only: one row each against two that change places)"
    said_so = f"what is said differs by at most {apart:.2g}{exported}"
    limit = _limit(predictor)
    return Examined(promise, "ok", said_so) if apart <= limit else Examined(promise, "wrong", f"{said_so}; allowed is {limit:g}")


@torch.inference_mode()
def _apart_in_steps(predictor: Predictor, model: StepwiseModel, batch: Batch) -> float:
    whole, labels, inputs = said(model, batch)[-1], batch.labels, batch.inputs
    memory = model.project(model.encode(batch.source))
    rows, steps = len(inputs.lengths), inputs.values.shape[1]
    state = model.init_state(memory, 2, steps)
    beside = inputs.values.roll(1, 0)
    swapped = torch.arange(2 * rows).view(rows, 2).flip(1).flatten()
    found = []
    for step in range(steps):
        place = step % 2  # of the target, which changes places with its neighbour
        pair = [inputs.values[:, step], beside[:, step]]
        last = torch.stack(pair[::-1] if place else pair, dim=1).flatten(0, 1)
        output, state = model.step(last, memory, state)
        told = comparable_step(model, output, labels.values[:, step].repeat_interleave(2, 0))
        found.append(told.unflatten(0, (rows, 2))[:, place])
        state = select_rows(state, swapped)
    return _apart(predictor, Said(torch.stack(found, dim=1), whole.mask), whole)


# ----------------------------------------------------------------------------------------------------------- exported and resumed


def _exported(predictor: Predictor, original: Trained | None, items: Sequence[Any]) -> Examined | None:
    """The comparison that follows every export, on these records; None for a run."""
    promise, engine = "exported the same as the run", predictor.trained[0].header.get("engine")
    if engine is None:
        return None
    if original is None:
        return Examined(promise, "skipped", "name the run that it was made of with `--against`")
    try:
        before = Predictor([replace(original, recipe=_searching(original, predictor))], device="cpu")
        found = parity.measure(before, predictor, items, "this data", engine["precision"])
        parity.check(found, allow_loss=False)
    except ExportError as error:
        return Examined(promise, "wrong", str(error).removeprefix("The export is refused: ").split(" Export with ")[0])
    except (DataError, KeyError):
        return Examined(promise, "skipped", "the records have no targets")
    return Examined(promise, "ok", "; ".join(" ".join(filter(None, row)) for row in parity.rows_of(found)))


def _searching(original: Trained, predictor: Predictor) -> Any:
    """The run's recipe with the search of the folder, which may have been exported with another."""
    return replace(original.recipe, search=predictor.recipe.search, evaluation=predictor.recipe.evaluation)


def _guarded(run: Path, updates: int, trust_code: bool) -> Examined:
    """Skip a check that cannot be done, with the reason."""
    promise = "resumed the same as uninterrupted"
    try:
        different = resumed_as_uninterrupted(run, updates, trust_code=trust_code)
    except (AntiphonError, OSError) as error:
        return Examined(promise, "skipped", str(error))
    text = f"after {updates} updates of a copy, once at a stretch and once stopped in between, "
    if different:
        return Examined(promise, "wrong", f"{text}{different}")
    return Examined(promise, "ok", f"{text}all tensors of model and optimizer are equal to the bit")
