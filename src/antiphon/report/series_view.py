"""The data section of a forecasting run: number, length, time span and size of series, and whether scored steps were used in training.

It shows what `antiphon inspect` stored in `audit.json` (`data/series_audit.py`). Without one, the stored series of the run still tell
their number and lengths.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.data.findings import distribution
from antiphon.data.folders import MappedArrays, read_manifest
from antiphon.errors import DataError
from antiphon.report.fan_chart import Fan
from antiphon.report.markup import Markup, code, element, facts, join, note, paragraph, section, table, warning
from antiphon.report.plots import histogram
from antiphon.report.quantities import as_count, as_real, number, plural
from antiphon.report.run_record import Plain, RunRecord, as_list, as_mapping

_SPLITS = ("train", "validation", "test")
_DRAWN = 4


def series_section(record: RunRecord) -> Markup:
    """The section on data."""
    command = code(f"antiphon inspect {record.folder}")
    found = as_mapping((record.inspection or {}).get("series"))
    if found:
        notes = [note(one) for one in (record.inspection or {}).get("notes") or ()]
        audits = as_mapping((record.audit or {}).get("splits"))
        named = sorted(found, key=lambda name: _SPLITS.index(name) if name in _SPLITS else len(_SPLITS))
        return _section(*notes, *(_split(name, as_mapping(found[name]), as_mapping(audits.get(name))) for name in named))
    missing = note("There is no audit yet: ", command, " also looks at times and values, and for forecasts of what was learned from.")
    return _section(*_stored(record), missing)


def _section(*parts: Markup) -> Markup:
    return section("data", "Data", *parts)


def _split(name: str, series: Plain, audit: Plain) -> Markup:
    """One split: its series, its windows, and some of them as plots."""
    tally = as_mapping(audit.get("tally"))
    purpose = "to learn from" if name == "train" else "to score"
    shortest, longest = (as_count(one) for one in _pair(series.get("context")))
    steps = f"{longest:,}" if shortest == longest else f"{shortest:,} to {longest:,}"
    windows = (
        f"{as_count(series.get('windows')):,} windows {purpose}, of {steps} past steps and the {as_count(series.get('horizon')):,} ahead"
    )
    read = f" of {as_count(tally['read']):,}" if "read" in tally else ""
    return join(
        [
            element("h3", None, f"{'Training' if name == 'train' else name.capitalize()} data"),
            paragraph(element("strong", None, f"{as_count(series.get('series')):,} series"), f"{read} are used: {windows}."),
            _left_out(tally),
            _seen(series),
            facts([("Times", _span(series.get("times"))), ("Forecast times", _span(series.get("forecast")))]),
            _values(as_list(series.get("values"))),
            _covariates(as_list(series.get("covariates"))),
            *(note(one) for one in as_list(series.get("notes"))),
            _figures(as_mapping(series.get("steps")), as_list(audit.get("samples")) if name == "train" else ()),
        ]
    )


def _left_out(tally: Plain) -> Markup | None:
    """Every reason why series have no window."""
    first = as_mapping(tally.get("first"))
    rows = [
        (reason, f"{as_count(count):,}", ", ".join(map(str, as_list(first.get(reason))[:3])))
        for reason, count in as_mapping(tally.get("dropped")).items()
    ]
    return table(("left out", "series", "the first of them"), rows, numeric=(1,)) if rows else None


def _seen(series: Plain) -> Markup | None:
    seen = as_count(series.get("seen"))
    if not seen:
        return None
    first = ", ".join(map(str, as_list(series.get("first_seen"))))
    windows = as_count(series.get("windows"))
    return warning(
        f"{seen:,} of {plural(windows, 'window')} forecast times that are in the training data of their series (first {first}): scores on"
        " these measure memory."
    )


def _values(values: Sequence[Any]) -> Markup | None:
    rows = [
        (str(one.get("name", "?")), *(_cell(one.get(key)) for key in ("lowest", "mean", "highest", "missing")))
        for one in values
        if isinstance(one, Mapping)
    ]
    return table(("target", "lowest", "mean", "highest", "missing values"), rows, numeric=range(1, 5)) if rows else None


_ROLES = {"past": "for the past alone", "known": "in advance", "calendar": "in advance, from the time", "static": "always, of a series"}


def _covariates(covariates: Sequence[Any]) -> Markup | None:
    """The covariates, and when they are known."""
    rows = [
        (
            str(one.get("name", "?")),
            _ROLES.get(str(one.get("role")), ""),
            *(_cell(one.get(key)) for key in ("lowest", "mean", "highest")),
            ", ".join(map(str, as_list(one.get("categories")))),
        )
        for one in covariates
        if isinstance(one, Mapping)
    ]
    return table(("covariate", "known", "lowest", "mean", "highest", "categories"), rows, numeric=range(2, 5)) if rows else None


def _figures(steps: Plain, samples: Sequence[Any]) -> Markup | None:
    """The lengths of series, unless all are equal, and some windows as the model sees them."""
    figures = []
    bins = [(low, high, count) for low, high, count in steps.get("bins") or ()]
    if bins and bins[0][0] < bins[-1][1]:
        figures.append(histogram("Length of series", bins, f"steps (mean {number(steps.get('mean', ''), 3)})"))
    for sample in samples[:_DRAWN]:
        past, future = (_scaled(as_mapping(sample).get(f"{side}_pieces")) for side in ("source", "target"))
        if past:
            title = str(as_mapping(sample).get("source", ""))
            remark = "Scaled, as the model sees it: what it reads, and what followed."
            figures.append(Fan(past, future[1:], (), (), (), (), ()).figure(title[:1].upper() + title[1:], remark))
    return element("div", {"class": "charts"}, *figures) if figures else None


def _scaled(pieces: object) -> list[float | None]:
    """The first target at each step, as `Forecasting.pieces` writes it; None for values that are no numbers."""
    found: list[float | None] = []
    for piece in as_list(pieces):
        try:
            found.append(as_real(float(str(piece).split(",")[0])))
        except ValueError:
            found.append(None)
    return found


# ------------------------------------------------------------------------------------------------------- without an audit


def _stored(record: RunRecord) -> list[Markup]:
    """Number and lengths of the series stored in the run; and what could not be read."""
    cache = record.setting("data.cache")
    folder = Path(str(cache)) if cache else record.folder / "corpus"
    parts = []
    for name in _SPLITS:
        lengths: list[int] = []
        for stored in sorted(folder.glob(f"{name}-*"), key=lambda path: path.name):
            try:
                offsets = MappedArrays(stored, "values", read_manifest(stored)["values"]).offsets
            except (DataError, OSError, KeyError, ValueError, TypeError) as error:
                parts.append(warning(f"the series in {stored} cannot be read: {error}."))
            else:
                lengths += np.diff(offsets).tolist()
        if lengths:
            spread = distribution(Counter(lengths))
            steps = {} if spread is None else asdict(spread)
            said = f" of {min(lengths):,} to {max(lengths):,} steps" if min(lengths) < max(lengths) else f" of {min(lengths):,} steps"
            parts.append(element("h3", None, f"{'Training' if name == 'train' else name.capitalize()} data"))
            parts.append(paragraph(element("strong", None, f"{len(lengths):,} series"), f"{said}, {sum(lengths):,} in all."))
            drawn = _figures(steps, ())
            parts += [drawn] if drawn is not None else []
    return parts


def _span(times: object) -> str:
    return " to ".join(map(str, as_list(times)))


def _pair(value: object) -> tuple[Any, Any]:
    found = as_list(value)
    return (found[0], found[1]) if len(found) == 2 else (None, None)


def _cell(value: object) -> str:
    real = as_real(value)
    return "" if real is None else number(real)
