"""Every stored evaluation: its scores with intervals, how its outputs ended, and the search that made them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from antiphon.report.markup import Markup, code, element, facts, folded, join, note, section, table, warning
from antiphon.report.plots import interval_bar
from antiphon.report.quantities import as_count, as_real, duration, moment, number, percent, plural
from antiphon.report.run_record import Plain, RunRecord, StoredEvaluation

_MODEL_SCORES = ("loss", "perplexity")  # open-ended: a bar would say nothing
_MANY_CUT = 0.01
_ABBREVIATIONS = {"bleu": "BLEU", "bleu_zh": "BLEU (zh)", "chrf": "chrF", "chrf_plus": "chrF++", "ter": "TER"}
_ENDINGS = {
    "end": "the model ended it",
    "length": "the length limit ended it",
    "constraint": "a required phrase is missing",
}


def score_name(name: str) -> str:
    """A metric's name for people."""
    return _ABBREVIATIONS.get(name, name.replace("_", " "))


def score_table(scores: Sequence[Plain]) -> Markup:
    """Scores with intervals as bars, directions and signatures."""
    rows = []
    for score in scores:
        value, low, high = (as_real(score.get(key)) for key in ("value", "low", "high"))
        name = str(score.get("name", "?"))
        interval = f"{_score(low)} to {_score(high)}" if low is not None and high is not None else ""
        drawable = value is not None and name not in _MODEL_SCORES and score.get("signature") is not None and value >= 0
        bar = interval_bar(value, low, high, max(100.0, value, high or 0.0), score_name(name)) if drawable and value is not None else None
        shown = element("strong", None, _score(score.get("value")))
        rows.append((_titled(name, score), shown, interval, bar or "", score.get("signature") or ""))
    header = ("metric", "value", "95% interval", "", "signature")
    if not any(score.get("signature") for score in scores):
        return element("div", {"class": "scores"}, table(header[:2], (row[:2] for row in rows), numeric=(1,)))
    return element("div", {"class": "scores"}, table(header, rows, numeric=(1,)))


def evaluation_sections(record: RunRecord) -> Markup:
    """The section on evaluations."""
    if not record.evaluations:
        command = code(f"antiphon evaluate {record.folder} --data FILE")
        missing = note("The run has not been evaluated yet: ", command, " scores it on a file, with 95% intervals.")
        return section("scores", "Scores", missing)
    parts = [_evaluation(record, evaluation) for evaluation in record.evaluations]
    meaning = note(
        "Intervals are 95% bootstrap intervals over records: how far the score would move with other test records of the same kind. They"
        " say nothing about another training run. Two models are compared with ",
        code(f"antiphon evaluate {record.folder} --compare OTHER"),
        ", on the same records.",
    )
    return section("scores", "Scores", *parts, meaning)


def _evaluation(record: RunRecord, evaluation: StoredEvaluation) -> Markup:
    content = evaluation.content
    records, seconds = as_count(content.get("records")), as_real(content.get("seconds"))
    speed = f", {duration(seconds)} ({number(records / seconds, 3)} records per second)" if seconds else ""
    parts: list[object] = [
        element("h3", {"title": evaluation.data}, PurePath(evaluation.data).name or "records"),
        note(f"{plural(records, 'record')}{speed}, evaluated {moment(evaluation.written)}."),
    ]
    if record.improved > evaluation.written:
        again = code(f"antiphon evaluate {record.folder} --data {evaluation.data}")
        parts.append(warning("the run has a newer best checkpoint than this evaluation. ", again, " brings it up to date."))
    parts += [score_table(evaluation.scores), _endings(content), _search(content)]
    return join(parts)


def _endings(content: Plain) -> Markup | None:
    """How outputs ended; many that were cut are worth a warning."""
    reasons = content.get("finish_reasons")
    if not isinstance(reasons, Mapping) or not reasons:
        return None
    total = max(sum(map(as_count, reasons.values())), 1)
    counts = {str(name): as_count(count) for name, count in reasons.items()}
    said = [f"{_ENDINGS.get(name, name)}: {count:,} ({percent(count / total)})" for name, count in counts.items()]
    line = note(f"How outputs ended: {'; '.join(said)}.")
    if counts.get("length", 0) / total <= _MANY_CUT:
        return line
    found = "outputs often reached the length limit. If those below repeat themselves, the model needs more training, or "
    settings = (code("search.processors.no_repeat_ngram_size"), "; if they do not, raise ", code("search.limits"), ".")
    return join([line, warning(found, *settings)])


def _search(content: Plain) -> Markup | None:
    search = content.get("search")
    if not isinstance(search, Mapping) or not search:
        return None
    main = [f"{name} {value}" for name, value in flat(search) if name in ("beam_size", "length_penalty", "temperature", "top_p")]
    summary = ", ".join([f"Search: {search.get('name', '?')}", *(item.replace("_", " ") for item in main)])
    return folded(summary, facts((code(name), _setting(value)) for name, value in flat(search)))


def flat(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings as dotted paths with their values."""
    for key, value in values.items():
        dotted = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping):
            yield from flat(value, dotted)
        else:
            yield dotted, value


def _setting(value: object) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _score(value: object) -> str:
    """A score, of which also a round one has decimals: 52.00 says how exact it is."""
    return f"{value:.2f}" if isinstance(value, float) and value.is_integer() and abs(value) < 1e6 else number(value)


def _titled(name: str, score: Plain) -> Markup:
    better = score.get("higher_is_better")
    arrow = "" if better is None else " ↑" if better else " ↓"
    meaning = None if better is None else "higher is better" if better else "lower is better"
    return join([score_name(name), element("span", {"class": "quiet", "title": meaning}, arrow) if arrow else None])
