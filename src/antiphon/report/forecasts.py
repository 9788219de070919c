"""The forecast section, for forecasting runs: fan charts, errors by step of the horizon, calibration, and the hardest series.

All of it comes from the details that the newest evaluation stored (`tasks/forecasting/details.py`); nothing is computed anew.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from antiphon.report.calibration import calibration
from antiphon.report.fan_chart import Fan, fan_legend, fan_of, numbers
from antiphon.report.markup import Markup, clipped, code, element, folded, join, note, paragraph, section, table
from antiphon.report.plots import LineChart, Point, Series
from antiphon.report.quantities import as_count, as_real, number, percent, plural
from antiphon.report.run_record import Plain, RunRecord, as_list, as_mapping
from antiphon.report.scores import score_name

_HARDEST = 12
_MOST_CHANNELS = 3
_MOST_CHARACTERS = 80
_MOST_UNRANKED = 3


def forecasts_section(record: RunRecord) -> Markup:
    """The section on forecasts."""
    if not record.evaluations:
        command = code(f"antiphon evaluate {record.folder}")
        return _section(note("No evaluation yet: ", command, " adds drawn forecasts, errors by step, and the hardest series."))
    details = record.evaluations[0].details
    if not details:
        command = code(f"antiphon evaluate {record.folder} --data {record.evaluations[0].data}")
        return _section(note("The newest evaluation was stored without details: ", command, " adds them."))
    return _section(
        _drawn(details),
        element("h3", None, "Errors by step"),
        _steps(as_mapping(details.get("steps"))),
        element("h3", None, "Intervals"),
        calibration(_mappings(details.get("coverage"))),
        element("h3", None, "Series"),
        _series(as_mapping(details.get("series"))),
    )


def _section(*parts: Markup) -> Markup:
    return section("forecasts", "Forecasts", *parts)


# -------------------------------------------------------------------------------------------------------------------- fans


def _drawn(details: Plain) -> Markup:
    """Fan charts from the best to the worst forecast."""
    drawn = _mappings(details.get("forecasts"))
    if not drawn:
        return note("The evaluation holds no forecasts to draw.")
    fans = [(one, channel, fan) for one in drawn for channel, fan in _fans(one)]
    percents = next(([band[0] for band in fan.bands] for _, _, fan in fans if fan.bands), [])
    several = as_count(max((len(_mappings(one.get("channels"))) for one in drawn), default=0))
    more = f" Of {several} targets, the first {_MOST_CHANNELS} are drawn." if several > _MOST_CHANNELS else ""
    metric, ranked = score_name(str(drawn[0].get("metric", "error"))), as_count(drawn[0].get("ranked"))
    spread = (
        f"from the best to the worst by {metric}, and evenly spread between them" if ranked else "evenly spread, since none has a score"
    )
    meaning = note(f"{len(drawn)} of {plural(as_count(details.get('items')), 'forecast')} of the newest evaluation, {spread}.{more}")
    figures = (fan.figure(_title(one, channel, several > 1), _remark(one, metric)) for one, channel, fan in fans)
    return join([meaning, fan_legend(percents), element("div", {"class": "charts"}, *figures)])


def _fans(one: Plain) -> Iterator[tuple[str, Fan]]:
    times, history_times = (list(map(str, as_list(one.get(key)))) for key in ("times", "history_times"))
    for channel in _mappings(one.get("channels"))[:_MOST_CHANNELS]:
        yield str(channel.get("channel", "")), fan_of(channel, times, history_times)


def _title(one: Plain, channel: str, several: bool) -> str:
    shown, more = clipped(str(one.get("unique_id", "")), _MOST_CHARACTERS)
    return f"{shown}{more}" + (f", {channel}" if several else "")


def _remark(one: Plain, metric: str) -> str:
    rank, ranked, value = as_count(one.get("rank")), as_count(one.get("ranked")), as_real(one.get("value"))
    history_times = one.get("history_times")
    where = f"after {history_times[-1]}" if isinstance(history_times, list) and history_times else ""
    if not rank or value is None:
        return where
    place = "the best" if rank == 1 else "the worst" if rank == ranked else f"rank {rank:,}"
    return f"{place} of {ranked:,}, {metric} {number(value, 3)}, {where}"


# ------------------------------------------------------------------------------------------------------------------- steps


def _steps(steps: Plain) -> Markup:
    """A chart for each metric, the model beside the baselines; the numbers in a table that can be opened."""
    counts, charts = numbers(steps.get("counts")), []
    for name, errors in as_mapping(steps.get("errors")).items():
        lines = [Series(str(who).replace("_", " "), _points(values), dots=len(counts) <= 60) for who, values in as_mapping(errors).items()]
        if any(line.points for line in lines):
            charts.append(LineChart(f"{score_name(name)} by step", lines, max(len(counts), 1), shared=(0.0,), unit="steps ahead"))
    if not charts:
        return note("No step has an actual value to compare with.")
    meaning = "Lower is better. Errors mostly grow with the step; where a baseline lies below the model, it does better at that step."
    return join([element("div", {"class": "charts"}, *(one.figure() for one in charts)), note(meaning), _step_table(steps, counts)])


def _points(values: object) -> list[Point]:
    return [(step, value) for step, value in enumerate(numbers(values), start=1) if value is not None]


def _step_table(steps: Plain, counts: Sequence[float | None]) -> Markup:
    columns = [(name, who, numbers(values)) for name, errors in _items(steps.get("errors")) for who, values in _items(errors)]
    header = ("step", *(f"{score_name(name)} {who.replace('_', ' ')}" for name, who, _ in columns), "values")
    rows = [
        (step + 1, *(_cell(values[step] if step < len(values) else None) for _, _, values in columns), _cell(count))
        for step, count in enumerate(counts)
    ]
    return folded("All steps as a table", table(header, rows, numeric=range(len(header))))


# ------------------------------------------------------------------------------------------------------------------ series


def _series(series: Plain) -> Markup:
    """The distribution of errors over series, and the hardest series, beside the baselines."""
    metric, total, unranked = str(series.get("metric", "error")), as_count(series.get("total")), as_count(series.get("unranked"))
    name, parts = score_name(metric), []
    quantiles = as_mapping(series.get("quantiles"))
    if quantiles:
        low, middle, high = (number(quantiles.get(key, "?"), 3) for key in ("5", "50", "95"))
        ranked = plural(total - unranked, "series").removesuffix("s") if total - unranked != 1 else "1 series"
        parts.append(
            paragraph(f"Over {ranked}, the {name} of the model has the median {middle}; nine in ten are between {low} and {high}.")
        )
    shares = [(who.replace("_", " "), share) for who, value in _items(series.get("better_than")) if (share := as_real(value)) is not None]
    if shares:
        parts.append(
            paragraph("The model is better than ", ", ".join(f"{who} in {percent(share)}" for who, share in shares), " of the series.")
        )
    if unranked:
        first = ", ".join(clipped(str(one), 40)[0] for one in as_list(series.get("unranked_first"))[:_MOST_UNRANKED])
        parts.append(note(f"{unranked:,} of {total:,} series have no {name} and are not ranked (first {first})."))
    hardest = _mappings(series.get("worst"))
    if hardest:
        shown = hardest[:_HARDEST]
        parts.append(_ranking(shown, metric, f"The hardest {len(shown)} of {total:,} series"))
        rest = [*hardest[_HARDEST:], *reversed(_mappings(series.get("best")))]
        if rest:
            left_out = as_count(series.get("left_out"))
            more = f"; {left_out:,} between the hardest and the easiest are not stored" if left_out else ""
            parts.append(folded(f"{len(rest):,} more series{more}", _ranking(rest, metric, "")))
    return join(parts)


def _ranking(rows: Sequence[Plain], metric: str, caption: str) -> Markup:
    beside = list(dict.fromkeys(who for row in rows for who in as_mapping(row.get("baselines"))))
    others = [name for name in ("mase", "smape", "mae") if name != metric and any(name in row for row in rows)]
    header = ("series", score_name(metric), *(who.replace("_", " ") for who in beside), *map(score_name, others), "windows")
    listed = []
    for row in rows:
        own, rivals = as_real(row.get(metric)), [as_real(as_mapping(row.get("baselines")).get(who)) for who in beside]
        cells = (_rival(rival, own) for rival in rivals)
        shown, more = clipped(str(row.get("unique_id", "")), _MOST_CHARACTERS)
        errors = (_cell(row.get(name)) for name in others)
        listed.append((shown + more, element("strong", None, _cell(own)), *cells, *errors, _cell(row.get("windows"))))
    return table(header, listed, numeric=range(1, len(header)), caption=caption)


def _rival(rival: float | None, own: float | None) -> Markup | str:
    """A baseline's error, marked where it is smaller than the model's: there the series is not to blame."""
    if rival is None or own is None or rival >= own:
        return _cell(rival)
    return element("span", {"class": "beaten", "title": "better than the model"}, _cell(rival))


def _cell(value: object) -> str:
    real = as_real(value)
    return "" if real is None else number(real)


def _items(value: object) -> list[tuple[str, Any]]:
    return [(str(key), item) for key, item in as_mapping(value).items()]


def _mappings(value: object) -> list[Plain]:
    return [item for item in as_list(value) if isinstance(item, Mapping)]
