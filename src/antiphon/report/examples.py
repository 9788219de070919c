"""The examples section: the best, typical, worst, longest and random outputs, with differences from the reference marked; and the
distribution of scores."""

from collections.abc import Sequence

import numpy as np

from antiphon.report.difference import differences, marked, nearest
from antiphon.report.items import SEED, Kind, ScoredItems, orders, prediction, references, source, source_lengths
from antiphon.report.markup import Markup, clipped, code, element, facts, join, note, section
from antiphon.report.plots import bars, histogram
from antiphon.report.quantities import number, plural
from antiphon.report.run_record import Plain, RunRecord
from antiphon.report.scores import score_name

_EACH = 4
_MOST_CHARACTERS = 1200
_MOST_REFERENCES = 5
_TITLES: dict[Kind, str] = {
    "best": "Best",
    "typical": "Typical",
    "worst": "Worst",
    "longest": "Longest sources",
    "random": "Drawn at random",
}


def examples_section(record: RunRecord, scored: ScoredItems | str | None) -> Markup:
    """The section on examples. `scored` is None without an evaluation, or a sentence when its items cannot be scored."""
    if scored is None:
        return section("examples", "Examples", *_validation_samples(record))
    if isinstance(scored, str):
        return section("examples", "Examples", note(scored))
    name = score_name(scored.metric.name)
    better = "higher" if scored.metric.higher_is_better else "lower"
    legend = note(
        f"{_how_many(scored)} of the newest evaluation, each scored alone by {name} ({better} is better). Marked: ",
        element("mark", {"class": "wrong"}, "what the reference does not have"),
        " and ",
        element("mark", {"class": "missed"}, "what the prediction lacks"),
        ", compared with the nearest reference.",
    )
    each = min(_EACH, max(1, len(scored.items) // len(_TITLES)))  # of few items, few of each kind, so that they hardly repeat
    groups = [_group(kind, order[:each], scored) for kind, order in orders(scored).items()]
    return section("examples", "Examples", _spread(scored), legend, *groups)


def _group(kind: Kind, indices: Sequence[int], scored: ScoredItems) -> Markup:
    remark = f" (seed {SEED})" if kind == "random" else ""
    name = score_name(scored.metric.name)
    cards = [_card(scored.items[index], f"{name} {number(scored.values[index].item())}", scored.numbers[index]) for index in indices]
    return join([element("h3", None, _TITLES[kind] + remark), element("div", {"class": "cards"}, *cards)])


def _how_many(scored: ScoredItems) -> str:
    if len(scored.items) < scored.total:
        return f"{len(scored.items):,} of the {plural(scored.total, 'item')}, drawn at random,"
    return plural(scored.total, "item")


def _card(item: Plain, score: str, place: int) -> Markup:
    """One item: source, prediction and references. `place` counts from 0."""
    said, known = prediction(item), references(item)
    near = nearest(said[:_MOST_CHARACTERS], [reference[:_MOST_CHARACTERS] for reference in known])
    shown, more = clipped(said, _MOST_CHARACTERS)
    reference, more_reference = clipped(known[near], _MOST_CHARACTERS)
    ours, theirs = differences(shown, reference)
    others = [other for position, other in enumerate(known) if position != near]
    rows: list[tuple[object, object]] = [
        ("source", _text(*clipped(source(item), _MOST_CHARACTERS))),
        ("prediction", _text(marked(ours, "wrong") if shown else element("em", None, "(empty)"), more)),
        ("reference", _text(marked(theirs, "missed"), more_reference)),
        *(("also right", _text(*clipped(other, _MOST_CHARACTERS))) for other in others[:_MOST_REFERENCES]),
    ]
    if len(others) > _MOST_REFERENCES:
        rows.append(("", f"and {len(others) - _MOST_REFERENCES} more references"))
    details = [f"item {place + 1:,}", score]
    if isinstance(item.get("score"), int | float):
        details.append(f"model score {number(item['score'], 3)}")
    if item.get("finish_reason") not in (None, "end"):
        details.append(f"ended by {item['finish_reason']}")
    return element("article", {"class": "card"}, element("p", {"class": "quiet"}, " · ".join(details)), facts(rows))


def _text(shown: object, more: str) -> Markup:
    """A text that may run in either direction."""
    return element("span", {"dir": "auto", "class": "sample"}, shown, element("span", {"class": "quiet"}, more) if more else None)


def _spread(scored: ScoredItems) -> Markup:
    """The distribution of scores, and how the score depends on the length of the source."""
    name = score_name(scored.metric.name)
    values = scored.values[np.isfinite(scored.values)]
    figures = []
    if len(values) and values.max() > values.min():
        figures.append(histogram("Scores of single items", _bins(values), name))
    rows = scored.by_length()
    if any(value for _, value, _ in rows):
        lengths = [(label, value, plural(count, "item")) for label, value, count in rows]
        figures.append(bars(f"{name[:1].upper()}{name[1:]} by source length", source_lengths(scored.items)[1], lengths))
    return element("div", {"class": "charts"}, *figures) if figures else join([])


def _bins(values: np.ndarray) -> list[tuple[float, float, int]]:
    """Bins of 5 for percentages, the last of which also holds values beyond 100; 20 bins over the range for anything else."""
    low, high = float(values.min()), float(values.max())
    edges = np.linspace(0, 100, 21) if low >= 0 and high > 1 else np.linspace(low, high, 21)
    if high > edges[-1]:
        edges = np.append(edges, high)
    counts, _ = np.histogram(values, edges)
    return [(round(float(start), 2), round(float(end), 2), int(count)) for start, end, count in zip(edges, edges[1:], counts, strict=False)]


def _validation_samples(record: RunRecord) -> list[Markup]:
    """The samples of the last validation, for runs without an evaluation."""
    command = note("No evaluation yet: ", code(f"antiphon evaluate {record.folder}"), " adds the best, typical and worst outputs.")
    samples = record.of_kind("sample")
    last = [sample for sample in samples if sample.get("step") == samples[-1].get("step")]
    remarks = [note(str(one.get("prediction", "")).strip("()")) for one in last if not (one.get("source") or one.get("reference"))]
    last = [one for one in last if one.get("source") or one.get("reference")]
    cards = [
        _card({**sample, "references": [sample.get("reference", "")]}, f"validation at step {number(sample.get('step'))}", position)
        for position, sample in enumerate(last)
    ]
    shown = [element("h3", None, "Validation samples"), element("div", {"class": "cards"}, *cards)] if cards else []
    return [command, *remarks, *shown]
