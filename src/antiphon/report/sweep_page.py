"""The page of a sweep: the best trial and how certain it is, the influence of each setting on scores, and a table of all trials."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

from antiphon import __version__
from antiphon.errors import CheckpointError
from antiphon.report.document import document, write_page
from antiphon.report.markup import Markup, code, element, folded, note, paragraph, section, table, warning
from antiphon.report.plots import interval_bar
from antiphon.report.quantities import as_real, duration, moment, number, percent, plural
from antiphon.report.scores import score_name
from antiphon.report.sweep_plots import Course, Dot, choice_axis, courses, scatter, trial_axis, value_axis
from antiphon.runs.sweep_results import SUMMARY
from antiphon.store.json_text import json_text
from antiphon.sweeping.space import label_of

REPORT = "report.html"
_LEVEL = 0.05


def write_sweep_report(folder: Path | str) -> Path:
    """Write the report of a sweep from the results it has written so far; returns the path of the page.

    Raises CheckpointError when the folder holds no sweep, or the page cannot be written.
    """
    folder = Path(folder)
    try:
        found = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder} holds no results of a sweep: {SUMMARY} cannot be read. Run `antiphon sweep` first.") from error
    path = folder / REPORT
    write_page(path, _page(_Record(folder, found)))
    return path


@final
class _Record:
    """The results of a sweep as plain values."""

    def __init__(self, folder: Path, found: Mapping[str, Any]):
        self.folder, self.metric = folder, str(found["metric"])
        self.trials: Sequence[Mapping[str, Any]] = found["trials"]
        self.space: Mapping[str, Any] = found["space"]
        self.importances: Mapping[str, float] = found["importances"]
        self.comparison: Mapping[str, Any] | None = found["comparison"]
        self.remarks: Sequence[str] = found["remarks"]
        numbered = {trial["number"]: trial for trial in self.trials}
        self.best, self.second = (numbered.get(found[name]) for name in ("best", "second"))
        self.complete = [trial for trial in self.trials if trial["score"] is not None]
        ranked = sorted(self.complete, key=self._rank)
        self.ranked = [*ranked, *(trial for trial in self.trials if trial["score"] is None)]

    def better(self, one: float, other: float) -> bool:
        """Whether a value is better than another."""
        return self._cost(one) < self._cost(other)

    def _rank(self, trial: Mapping[str, Any]) -> float:
        return self._cost(float(trial["score"]["value"]))

    def _cost(self, value: float) -> float:
        score = self.complete[0]["score"]
        if score.get("target") is not None:
            return abs(value - float(score["target"]))
        return -value if score["higher_is_better"] else value

    def label(self, trial: Mapping[str, Any]) -> str:
        """The name of a trial."""
        settings = ", ".join(f"{key} {label_of(value)}" for key, value in trial["settings"].items())
        score = f"{score_name(self.metric)} {number(trial['score']['value'])}; " if trial["score"] else f"{trial['outcome']}; "
        return f"trial {trial['number']}: {score}{settings}"


def _page(record: _Record) -> Markup:
    links = (element("a", {"href": f"#{title.lower()}"}, title) for title in ("History", "Settings", "Importance", "Trials"))
    body = element(
        "main",
        None,
        _heading(record),
        element("nav", {"aria-label": "Contents"}, *links),
        _history(record),
        _settings(record),
        _importance(record),
        _table(record),
        element("footer", None, f"Written by antiphon {__version__}, {moment(time.time())}: ", code(f"antiphon report {record.folder}")),
    )
    return document(f"{record.folder.resolve().name}: Antiphon sweep", body)


def _heading(record: _Record) -> Markup:
    counts = {outcome: sum(trial["outcome"] == outcome for trial in record.trials) for outcome in _OUTCOMES}
    said = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    seconds = sum(trial["seconds"] for trial in record.trials)
    best = record.best
    return element(
        "header",
        None,
        element("p", {"class": "kicker"}, "Antiphon sweep report"),
        element("h1", None, record.folder.resolve().name),
        element("p", {"class": "lead"}, f"{plural(len(record.trials), 'trial')} ({said or 'none'}) in {duration(seconds)} of training."),
        *(warning(remark) for remark in record.remarks),
        note("No trial is complete yet.") if best is None else None,
        None
        if best is None
        else paragraph("Best: ", element("strong", None, record.label(best)), f" {_interval(best)}. ", _differs(record)),
        None
        if best is None
        else note(
            "Its recipe is ",
            code(record.folder / "best.yaml"),
            ". It was chosen by these validation records, and so is a little worse on others: ",
            code(f"antiphon evaluate {best['run']} --data TEST"),
        ),
    )


_OUTCOMES = ("complete", "pruned", "diverged", "failed", "running")


def _differs(record: _Record) -> str:
    """Whether the best trial is significantly better than the second."""
    test, second = record.comparison, record.second
    if second is None:
        return ""
    p = None if test is None else as_real(test.get("randomization_p"))
    if test is None or p is None:
        return f"The second is trial {second['number']}; the two cannot be compared record by record."
    verdict = "differs significantly" if p < _LEVEL else "does not differ significantly"
    value = f"p = {p:.3f}" if p >= 0.0005 else "p < 0.001"
    by = number(abs(test["difference"]))
    return f"It {verdict} from the second, trial {second['number']}, by {by} (paired randomization test, {value})."


def _interval(trial: Mapping[str, Any]) -> str:
    low, high = (as_real(trial["score"].get(name)) for name in ("low", "high"))
    return "" if low is None or high is None else f"({number(low)} to {number(high)})"


def _dot(record: _Record, trial: Mapping[str, Any], x: float, *, best: bool) -> Dot:
    score = trial["score"]
    return Dot(x, score["value"], record.label(trial), as_real(score.get("low")), as_real(score.get("high")), best)


def _history(record: _Record) -> Markup:
    """Scores in the order of the trials, and their learning curves."""
    if not record.complete:
        return section("history", "History", note("No trial is complete yet."))
    dots, leading = list[Dot](), None
    for trial in record.complete:
        value = trial["score"]["value"]
        leads = leading is None or record.better(value, leading)
        leading = value if leads else leading
        dots.append(_dot(record, trial, float(trial["number"]), best=leads))
    name = score_name(record.metric)
    parts = [scatter(f"{name} of each trial", "trial", dots, trial_axis(len(record.trials)), path=True)]
    lines = [Course(trial["validations"], record.label(trial), _kind(record, trial)) for trial in record.trials]
    if any(line.points for line in lines):
        parts.append(courses(f"Best {name} so far while training", lines))
    remark = (
        "Dots are trials, with their 95% intervals; the line is the best so far. Right: the best trial, and dashed those that ended early."
    )
    return section("history", "History", element("div", {"class": "charts"}, *parts), note(remark))


def _kind(record: _Record, trial: Mapping[str, Any]) -> str:
    return "past" if trial is record.best else "line line0" if trial["score"] is not None else "diagonal"


def _settings(record: _Record) -> Markup:
    """A plot of scores for each setting."""
    if not record.complete:
        return section("settings", "Settings", note("No trial is complete yet."))
    return section(
        "settings",
        "Settings",
        element("div", {"class": "charts"}, *(_slice(record, key, space) for key, space in record.space.items())),
        note("Each dot is a complete trial, in which the other settings differ, too; the best one is in another colour."),
    )


def _slice(record: _Record, key: str, space: Any) -> Markup:
    if isinstance(space, Mapping):
        axis = value_axis(float(space["low"]), float(space["high"]), log=bool(space["log"]))
        dots = [_dot(record, trial, float(trial["settings"][key]), best=trial is record.best) for trial in record.complete]
        return scatter(key, "logarithmic" if axis.logarithmic else "", dots, axis)
    names = [label_of(value) for value in space]
    places = {json_text(value): place for place, value in enumerate(space)}
    dots = [_dot(record, trial, float(places[json_text(trial["settings"][key])]), best=trial is record.best) for trial in record.complete]
    return scatter(key, "", dots, choice_axis(len(names)), names=names)


def _importance(record: _Record) -> Markup:
    if not record.importances:
        return section("importance", "Importance", note("It takes ten complete trials to estimate which settings matter."))
    rows = [
        (code(key), percent(share), interval_bar(share, None, None, 1.0, f"importance of {key}"))
        for key, share in sorted(record.importances.items(), key=lambda item: -item[1])
    ]
    return section(
        "importance",
        "Importance",
        table(("setting", "share", ""), rows, numeric=(1,)),
        note(
            "How much the values of each setting differ between the better half of the complete trials and all of them, among the values"
            " that were tried (PED-ANOVA, Watanabe, Bansal and Hutter 2023). What only matters together with another setting shows less."
        ),
    )


def _table(record: _Record) -> Markup:
    keys, name = list(record.space), score_name(record.metric)
    rows = [
        (
            trial["number"],
            *(label_of(trial["settings"][key]) for key in keys),
            element("strong", None, number(trial["score"]["value"])) if trial["score"] else "",
            _interval(trial).strip("()") if trial["score"] else "",
            len(trial["validations"]),
            f"{trial['steps']:,}",
            duration(trial["seconds"]),
            "best" if trial is record.best else trial["outcome"],
        )
        for trial in record.ranked
    ]
    header = ("trial", *keys, name, "95% interval", "validations", "steps", "time", "")
    numeric = (
        0,
        *(place for place, key in enumerate(keys, start=1) if isinstance(record.space[key], Mapping)),
        len(keys) + 1,
        *range(len(keys) + 3, len(keys) + 6),
    )
    reasons = [(trial["number"], trial["reason"]) for trial in record.trials if trial["reason"]]
    why = folded("Why trials ended early", table(("trial", "reason"), reasons, numeric=(0,))) if reasons else None
    return section("trials", "Trials", table(header, rows, numeric=numeric), why)
