"""The training section: losses, validation metrics, learning rate, gradient norm and speed over steps, and unusual events."""

from collections.abc import Mapping, Sequence
from typing import Any

from antiphon.report.markup import Markup, code, element, folded, join, note, paragraph, section, table
from antiphon.report.plots import LineChart, Marker, Point, Series
from antiphon.report.quantities import as_real, number, plural
from antiphon.report.run_record import Plain, RunRecord
from antiphon.report.scores import score_name

_LISTED = 20
_LOGGED = (
    ("learning_rate", "Learning rate"),
    ("gradient_norm", "Gradient norm, before clipping"),
    ("elements_per_second", "Target elements per second"),
)
_ORDINARY = ("train", "validation", "sample", "records")


def learning_curves(record: RunRecord) -> Markup:
    """The section on training."""
    steps = [step for event in record.of_kind("train", "validation") if (step := as_real(event.get("step"))) is not None]
    if not steps:
        command = code(f"antiphon train ... --out {record.folder}")
        return section("training", "Training", note("Nothing is logged yet: ", command, " writes the log."))
    best = best_step(record)
    marker = Marker(float(best), f"best: step {best:,}") if best is not None else None
    charts = [_losses(record, max(steps), marker)]
    for name in _metric_names(record):
        series = Series(score_name(name), _points(record.of_kind("validation"), name, "scores"), dots=True)
        if series.points:
            charts.append(LineChart(f"Validation {score_name(name)}", [series], max(steps), marker))
    for key, title in _LOGGED:
        points = _points(record.of_kind("train"), key)
        if points:
            charts.append(LineChart(title, [Series(title, points)], max(steps), marker))
    return section(
        "training",
        "Training",
        element("div", {"class": "charts"}, *(chart.figure() for chart in charts)),
        _loss_note(record),
        _unusual(record),
        _validations(record),
    )


def best_step(record: RunRecord) -> int | None:
    """The step of the checkpoint in use: from its header, or else that of the last validation that was the best so far."""
    step = record.header.get("step")
    if isinstance(step, int):
        return step
    best = [event.get("step") for event in record.of_kind("validation", "average") if event.get("best") is True]
    return next((step for step in reversed(best) if isinstance(step, int)), None)


def _losses(record: RunRecord, last_step: float, marker: Marker | None) -> LineChart:
    series = [
        Series("training", _points(record.of_kind("train"), "loss")),
        Series("validation", _points(record.of_kind("validation"), "loss", "scores"), dots=True),
    ]
    if not any(item.points for item in series):
        series = [Series("training", [(0.0, 0.0)])]
    return LineChart("Loss per target element", series, last_step, marker)


def _loss_note(record: RunRecord) -> Markup:
    smoothing = record.setting("training.loss.label_smoothing")
    reasons = ["is measured with dropout, and is a mean since the line before"]
    if smoothing:
        reasons.insert(0, f"includes label smoothing ({smoothing})")
    return note(f"The training loss {', '.join(reasons)}; the validation loss is the plain one. So the two need not meet.")


def _metric_names(record: RunRecord) -> list[str]:
    """Validation scores besides the loss, in order of appearance; without the perplexity, which repeats the loss."""
    names = dict.fromkeys(name for event in record.of_kind("validation") for name in _scores(event))
    return [name for name in names if name not in ("loss", "perplexity")]


def _points(events: Sequence[Plain], key: str, within: str | None = None) -> list[Point]:
    """(step, value) of the events with a finite number there; the log stores other values as text."""
    points: list[Point] = []
    for event in events:
        step, value = as_real(event.get("step")), as_real((_scores(event) if within else event).get(key))
        if step is not None and value is not None:
            points.append((step, value))
    return sorted(points)


def _scores(event: Plain) -> Mapping[str, Any]:
    scores = event.get("scores")
    return scores if isinstance(scores, Mapping) else {}


def _unusual(record: RunRecord) -> Markup:
    """Updates that were skipped, batches that were split, and every message of the run."""
    parts: list[Markup] = []
    skipped, split = record.of_kind("skipped"), record.of_kind("split")
    if skipped:
        rows = [
            (number(event.get("step")), number(event.get("loss")), number(event.get("gradient_norm")), _records(event.get("records")))
            for event in skipped[:_LISTED]
        ]
        said = f"{plural(len(skipped), 'update')} skipped, because loss or gradient was not finite."
        parts.append(paragraph(said, _listed(len(skipped))))
        parts.append(table(("step", "loss", "gradient norm", "records"), rows, numeric=(0, 1, 2)))
    if split:
        steps = ", ".join(f"{number(event.get('step'))} (in {event.get('pieces')} pieces)" for event in split[:_LISTED])
        said = f"{plural(len(split), 'update')} done in pieces, because memory ran out: step {steps}."
        parts.append(paragraph(said, _listed(len(split))))
    said_by_run = [event for event in record.events if event.get("kind") not in (*_ORDINARY, "skipped", "split") and event.get("message")]
    for event in said_by_run[-_LISTED:]:
        parts.append(paragraph(element("span", {"class": "quiet"}, f"step {number(event.get('step'))}: "), event["message"]))
    if not skipped and not split:
        parts.append(note("No update was skipped, and no batch had to be split."))
    return join(parts)


def _listed(count: int) -> str:
    return f" The first {_LISTED} are listed." if count > _LISTED else ""


def _records(numbers: object) -> str:
    shown = list(numbers) if isinstance(numbers, list) else []
    return ", ".join(map(str, shown[:8])) + (f" and {len(shown) - 8} more" if len(shown) > 8 else "")


def _validations(record: RunRecord) -> Markup | None:
    """All validations as a table, for readers who want the numbers."""
    events = record.of_kind("validation")
    if not events:
        return None
    names = list(dict.fromkeys(name for event in events for name in _scores(event)))
    rows = [
        (number(event.get("step")), *(number(_scores(event).get(name, "")) for name in names), "best so far" if event.get("best") else "")
        for event in events
    ]
    columns = ("step", *(score_name(name) for name in names), "")
    return folded(f"All {plural(len(events), 'validation')}", table(columns, rows, numeric=range(len(names) + 1)))
