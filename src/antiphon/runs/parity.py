"""Compares an exported model with its run: both score and decode the same records.

fp32 must say the same up to rounding. A precision that loses something must say how much quality that costs, with its interval; the
intervals are those of paired resamples (Koehn 2004; `metrics/significance.py`). Speed is by the clock of the processor, so that other
programs on the machine count little.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.contracts.configuration import plain
from antiphon.contracts.engine import FOLDER, SearchesItself
from antiphon.contracts.engine import Precision as Precision
from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.sequences import Prediction
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ExportError
from antiphon.metrics.interface import merit
from antiphon.metrics.scoring import find_metrics
from antiphon.metrics.significance import Comparison, compare
from antiphon.prediction.comparing import batches, examples_of, largest_difference
from antiphon.prediction.predictor import Predictor
from antiphon.prediction.scoring import group_references
from antiphon.recipe.assembly import metric_names
from antiphon.search.beam import BeamConfig
from antiphon.store.checkpoint import WEIGHTS
from antiphon.store.json_text import json_text, plain_numbers

FILE = "parity.json"
ROUNDING = 1e-4
"""How far log-probabilities may be apart in fp32, and outputs whose scores are no further apart are alike good."""
LEAST_EQUAL = 0.999
"""The share of outputs that must be equal in fp32."""
_NEAR = 1e-3
"""How far values may be apart, as a share of the largest, and count as equal."""

POINTS = {
    **dict.fromkeys(("bleu", "bleu_zh", "chrf", "chrf_plus", "ter"), 0.5),
    **dict.fromkeys(("rouge1", "rouge2", "rouge_l", "rouge_lsum"), 0.5),
    **dict.fromkeys(("word_error_rate", "wer_normalized", "character_error_rate", "cer_normalized", "token_error_rate"), 0.3),
}
"""The most of a metric that a lower precision may lose, in its own points."""
SHARE = 0.01
"""The most of any other metric that it may lose, as a share of what it was: 1 % of MASE."""


@dataclass(frozen=True)
class Outputs:
    """The number of equal outputs of a search; `tied` counts others with equal scores: two best outputs between which rounding decides."""

    search: str
    equal: int
    tied: int
    of: int

    @property
    def share(self) -> float:
        """The share of equal outputs."""
        return self.equal / self.of


@dataclass(frozen=True)
class Change:
    """A score before and after, with the 95 % interval of the difference. `lost` is the loss of quality, `allowed` its limit: None for a
    metric that decides nothing."""

    name: str
    before: float
    after: float
    low: float | None
    high: float | None
    lost: float | None
    allowed: float | None


@dataclass(frozen=True)
class Parity:
    """The measurements. Sizes are in bytes, speeds in records per second of CPU time."""

    data: str
    records: int
    precision: Precision
    log_probability: float
    outputs: tuple[Outputs, ...]
    scores: tuple[Change, ...]
    size: tuple[int, int]
    speed: tuple[float, float]
    shortlist: bool = False

    def to_plain(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dict(plain_numbers(asdict(self)))


def measure(before: Predictor, after: Predictor, items: Sequence[Any], data: str, precision: Precision) -> Parity:
    """Compare two predictors, of a run and of its exported folder, on items of the data with the given name."""
    task, size = before.task, before.recipe.evaluation.batch_size
    examples = examples_of(task, items, before.recipe.data.limits, (before.model, after.model))
    apart = largest_difference(before, after, batches(task, examples, size, before.device))
    searches = searches_of(before, after)
    outputs, said, seconds = [], None, (0.0, 0.0)
    for name, settings in searches:
        found = [_timed(one if settings is None else one.with_search(settings), items) for one in (before, after)]
        outputs.append(_outputs(name, found[0][0], found[1][0], symbols=isinstance(task.target_spec, TokenSpec)))
        if settings is None:
            said, seconds = (found[0][0], found[1][0]), (found[0][1], found[1][1])
    assert said is not None, "the recipe's own search is one of them"
    return Parity(
        data=data,
        records=len(items),
        precision=precision,
        log_probability=apart,
        outputs=tuple(outputs),
        scores=tuple(_changes(before, items, *said)),
        size=(_bytes(before.trained[0].folder / WEIGHTS), _bytes(after.trained[0].folder / FOLDER)),
        speed=(len(items) / max(seconds[0], 1e-9), len(items) / max(seconds[1], 1e-9)),
        shortlist="shortlist" in after.trained[0].header.get("engine", {}).get("details", {}),
    )


def searches_of(predictor: Predictor, after: Predictor | None = None) -> list[tuple[str, dict[str, Any] | None]]:
    """The searches to compare by: greedy, beam, and the recipe's own (None), which may be one of them.

    An engine with searches of its own takes single steps slowly: it is not asked for a beam that it does not search by itself.
    """
    own = plain(predictor.recipe.search)
    named = f"{own['name']} {own['beam_size']}" if own.get("beam_size", 1) > 1 else str(own["name"])
    if not isinstance(predictor.task.target_spec, TokenSpec):
        return [(named, None)]
    greedy: list[tuple[str, dict[str, Any] | None]] = []
    if isinstance(predictor.model, StepwiseModel):
        limits = {"limits": own["limits"]} if "limits" in own else {}
        greedy = [("greedy", {"name": "greedy", **limits})] if own["name"] != "greedy" else []
        beam = [("beam 5", {"name": "beam", "beam_size": 5, **limits})] if own["name"] != "beam" and _searches_beams(after) else []
        return [*greedy, *beam, (named, None)]
    if own.get("beam_size", 1) > 1:
        greedy = [(f"{own['name']} 1", {"beam_size": 1})]
    return [*greedy, (named, None)]


def _searches_beams(after: Predictor | None) -> bool:
    model: Any = None if after is None else after.model
    return not isinstance(model, SearchesItself) or model.own_search(BeamConfig()) is not None


def _timed(predictor: Predictor, items: Sequence[Any]) -> tuple[list[Prediction], float]:
    """The predictions, and the CPU seconds. The first ones are predicted twice, since an engine may need a warm-up."""
    predictor.predict_items(items[:2])
    began = time.process_time()
    found = predictor.predict_items(items)
    return found, time.process_time() - began


def _outputs(name: str, before: Sequence[Prediction], after: Sequence[Prediction], *, symbols: bool) -> Outputs:
    equal = tied = 0
    for one, other in zip(before, after, strict=True):
        if same_output(one, other, symbols=symbols):
            equal += 1
        elif symbols and abs(one.hypothesis.score - other.hypothesis.score) <= ROUNDING:
            tied += 1
    return Outputs(name, equal, tied, len(before))


def same_output(one: Prediction, other: Prediction, *, symbols: bool) -> bool:
    """Whether two predictions have the same symbols, or values that are equal up to rounding."""
    first, second = one.hypothesis.elements, other.hypothesis.elements
    if symbols or first.shape != second.shape:
        return bool(np.array_equal(first, second))
    largest = float(np.abs(first).max(initial=0.0, where=np.isfinite(first)))
    return bool(np.allclose(first, second, rtol=0, atol=_NEAR * largest, equal_nan=True))


def _changes(before: Predictor, items: Sequence[Any], one: Sequence[Prediction], other: Sequence[Prediction]) -> Iterator[Change]:
    """Each metric of the recipe; if none has a usual threshold, the first that ranks outputs decides."""
    references = [found for _, found in group_references(before.task, items, alternatives=False)]
    names = metric_names(before.recipe)
    metrics = [metric for metric in find_metrics(names) if metric.higher_is_better is not None]
    usual = [metric.name for metric in metrics if metric.name in POINTS]
    deciding = usual or [metric.name for metric in metrics[:1]]
    first, second = [one.value for one in one], [one.value for one in other]
    for metric in metrics:
        found = compare(metric, first, second, references, resamples=before.recipe.evaluation.resamples or 1000, trials=1)
        yield _change(found, metric.name in deciding)


def _change(found: Comparison, decides: bool) -> Change:
    before, after = found.a.value, found.b.value
    lost = float(merit(before, found.a) - merit(after, found.b))
    allowed = POINTS.get(found.name, SHARE * abs(before)) if decides else None
    return Change(found.name, before, after, found.low, found.high, lost, allowed)


def check(parity: Parity, *, allow_loss: bool) -> None:
    """Raise ExportError if the exported model differs from the run: in fp32 if its outputs differ, in a lower precision if it loses more
    quality than is usual or allowed."""
    where = f"on {parity.records:,} records of {parity.data}"
    if parity.precision == "fp32":
        if not parity.log_probability < ROUNDING:
            raise ExportError(
                f"The export is refused: {where}, what it says differs by {parity.log_probability:.2g} in log-probability from the run,"
                f" more than {ROUNDING:g}. This is a fault of the exporter; please report it."
            )
        for outputs in () if parity.shortlist else parity.outputs:
            alike = (outputs.equal + outputs.tied) / outputs.of
            if alike < LEAST_EQUAL:
                raise ExportError(
                    f"The export is refused: {where}, only {outputs.share:.2%} of the outputs of search `{outputs.search}` are those of the"
                    f" run, less than {LEAST_EQUAL:.1%}. This is a fault of the exporter; please report it."
                )
        if not parity.shortlist:
            return
    how = "with a shortlist" if parity.shortlist else f"in {parity.precision}"
    remedy = (
        "Export with a longer `--shortlist`, count it on more pairs (`--shortlist-data`)"
        if parity.shortlist
        else "Export with `--precision fp32`"
    )
    for change in parity.scores:
        if not allow_loss and change.allowed is not None and change.lost is not None and not change.lost <= change.allowed:
            interval = "" if change.low is None or change.high is None else f" (95 % interval {change.low:+.3g} to {change.high:+.3g})"
            raise ExportError(
                f"The export is refused: {where}, `{change.name}` goes from {change.before:.4g} to {change.after:.4g}{interval} {how},"
                f" which loses more than {change.allowed:.2g}. {remedy}, or take the loss with `--allow-loss`."
            )


def store(parity: Parity, folder: Path) -> None:
    """Store the measurements in an exported folder."""
    (folder / FILE).write_text(json_text(parity.to_plain(), indent=1) + "\n", encoding="utf-8")


def stored(folder: Path) -> dict[str, Any] | None:
    """The measurements stored in an exported folder, as plain values; None if there are none."""
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def table(parity: Parity) -> list[str]:
    """The comparison for people, one line each, in columns: what, before, after, and the difference with its interval."""
    rows = [("", "before", "after", ""), *rows_of(parity)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    head = f"Compared with the run on {parity.records:,} records of {parity.data}:"
    return [head, *(f"  {row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}".rstrip() for row in rows)]


def rows_of(parity: Parity) -> list[tuple[str, str, str, str]]:
    """The measurements, as texts: what, before, after, and the difference."""
    rows = [("log-probabilities", "", "", f"at most {parity.log_probability:.2g} apart")]
    for outputs in parity.outputs:
        tied = f", {outputs.tied:,} more alike good" if outputs.tied else ""
        rows.append((f"outputs, {outputs.search}", "", "", f"{outputs.share:.1%} equal{tied}"))
    for change in parity.scores:
        interval = "" if change.low is None or change.high is None else f" ({change.low:+.3g} to {change.high:+.3g})"
        rows.append((change.name, f"{change.before:.4g}", f"{change.after:.4g}", f"{change.after - change.before:+.3g}{interval}"))
    small, large = (f"{size / 1e6:,.3g} MB" for size in parity.size)
    rows.append(("size", small, large, f"{parity.size[1] / max(parity.size[0], 1):.2f} times"))
    slow, fast = (f"{speed:,.3g}" for speed in parity.speed)
    return [*rows, ("records a second", slow, fast, f"{parity.speed[1] / parity.speed[0]:.2f} times")]


def _bytes(path: Path) -> int:
    """The size of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file())
