"""The evaluation sections: scores with intervals, beside those of baselines; how outputs ended, and the search settings."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from antiphon.report.markup import Markup, code, element, facts, folded, join, note, section, table, warning
from antiphon.report.plots import interval_bar
from antiphon.report.quantities import as_count, as_real, duration, moment, number, percent, plural
from antiphon.report.run_record import Plain, RunRecord, StoredEvaluation

_MODEL_SCORES = ("loss", "perplexity")  # open-ended: a bar would say nothing
_MANY_CUT = 0.01
# No 100 to compare with.
_IN_UNITS = (
    "mae",
    "mse",
    "rmse",
    "mase",
    "rmsse",
    "crps",
    "pinball",
    "interval_width_80",
    "interval_width_95",
    "length_ratio",
    "compression",
)
_ABBREVIATIONS = {
    "bleu": "BLEU",
    "bleu_zh": "BLEU (zh)",
    "chrf": "chrF",
    "chrf_plus": "chrF++",
    "smape": "sMAPE",
    "coverage_80": "coverage of 80%",
    "coverage_95": "coverage of 95%",
    "interval_width_80": "width of 80% intervals",
    "interval_width_95": "width of 95% intervals",
    **{
        name + ending: shown + meaning
        for name, shown in (("rouge1", "ROUGE-1"), ("rouge2", "ROUGE-2"), ("rouge_l", "ROUGE-L"), ("rouge_lsum", "ROUGE-Lsum"))
        for ending, meaning in (("", ""), ("_stem", " (stemmed)"))
    },
    "novelty_1": "new words",
    "novelty_2": "new bigrams",
    "repetition": "repeated bigrams",
    "repetition_1": "repeated words",
    **{name: name.upper() for name in ("ter", "mae", "mse", "rmse", "mase", "rmsse", "crps")},
}
_ENDINGS = {
    "end": "the model ended it",
    "length": "the length limit ended it",
    "constraint": "a required phrase is missing",
}


def score_name(name: str) -> str:
    """The display name of a metric."""
    return _ABBREVIATIONS.get(name, name.replace("_", " "))


def score_table(scores: Sequence[Plain], baselines: Mapping[str, Sequence[Plain]] | None = None) -> Markup:
    """Scores with intervals as bars, directions and signatures; a column for each baseline, and a line for it in the bars."""
    beside = baselines or {}
    header = ("metric", "value", "95% interval", "", *(name.replace("_", " ") for name in beside), "signature")
    rows = []
    for score in scores:
        low, high = (as_real(score.get(key)) for key in ("low", "high"))
        interval = f"{_score(low)} to {_score(high)}" if low is not None and high is not None else ""
        shown = element("strong", None, _score(score.get("value")))
        rivals = {name: _rival(score, others) for name, others in beside.items()}
        others = (_beside(score, rival) for rival in rivals.values())
        rows.append((_titled(score), shown, interval, _bar(score, rivals) or "", *others, score.get("signature") or ""))
    if not any(score.get("signature") for score in scores):
        return element("div", {"class": "scores"}, table(header[:2], (row[:2] for row in rows), numeric=(1,)))
    return element("div", {"class": "scores"}, table(header, rows, numeric=(1, *range(4, 4 + len(beside)))))


def _bar(score: Plain, rivals: Mapping[str, float | None]) -> Markup | None:
    """The value as a bar: up to 100, or up to the largest of the model and the baselines; None if there is no such scale."""
    value, low, high = (as_real(score.get(key)) for key in ("value", "low", "high"))
    name, others = _name(score), [(who.replace("_", " "), rival) for who, rival in rivals.items() if rival is not None]
    if value is None or value < 0 or name in _MODEL_SCORES or score.get("signature") is None or (name in _IN_UNITS and not others):
        return None
    if others:
        top = max(value, high or 0.0, *(rival for _, rival in others)) or 1.0
        return interval_bar(value, low, high, top, score_name(name), marks_at=others)
    aim = _aim(name)
    marks = [("promised", aim)] if aim is not None else []
    return interval_bar(value, low, high, max(100.0, value, high or 0.0), score_name(name), marks_at=marks)


def _rival(score: Plain, others: Sequence[Plain]) -> float | None:
    """A baseline's value of the same metric."""
    return next((as_real(other.get("value")) for other in others if other.get("name") == score.get("name")), None)


def _beside(score: Plain, rival: float | None) -> Markup | str:
    """A baseline's value, marked if it is better than the model's."""
    if rival is None or not _beaten(score, rival):
        return "" if rival is None else _score(rival)
    return element("span", {"class": "beaten", "title": "better than the model"}, _score(rival))


def _beaten(score: Plain, rival: float) -> bool:
    value, better = as_real(score.get("value")), score.get("higher_is_better")
    return value is not None and better is not None and (rival > value if better else rival < value)


def evaluation_sections(record: RunRecord) -> Markup:
    """The section on evaluations."""
    if not record.evaluations:
        command = code(f"antiphon evaluate {record.folder} --data FILE")
        missing = note("The run has not been evaluated yet: ", command, " scores it on a file, with 95% intervals.")
        return section("scores", "Scores", missing, *(_evaluation(record, evaluation) for evaluation in record.others))
    every = [*record.evaluations, *record.others]
    parts = [_evaluation(record, evaluation) for evaluation in every]
    unit = "forecasts" if record.of_series else "records"
    beside = "Baselines need no training; in the bars they are thin lines. " if any(one.baselines for one in every) else ""
    meaning = note(
        f"{beside}Intervals are 95% bootstrap intervals over {unit}: how far the score would move with other test {unit} of the same kind."
        " They say nothing about another training run. Two models are compared with ",
        code(f"antiphon evaluate {record.folder} --compare OTHER"),
        ", on the same records.",
    )
    return section("scores", "Scores", *parts, meaning)


def _evaluation(record: RunRecord, evaluation: StoredEvaluation) -> Markup:
    content = evaluation.content
    records, seconds, unit = as_count(content.get("records")), as_real(content.get("seconds")), "forecast" if record.of_series else "record"
    speed = f", {duration(seconds)} ({number(records / seconds, 3)} {unit}s per second)" if seconds else ""
    parts: list[object] = [
        element("h3", {"title": evaluation.data}, _heading(record, evaluation)),
        note(f"{plural(records, unit)}{speed}, evaluated {moment(evaluation.written)}."),
    ]
    if record.improved > evaluation.written and not evaluation.of:
        again = code(f"antiphon evaluate {record.folder} --data {evaluation.data}")
        parts.append(warning("the run has a newer best checkpoint than this evaluation. ", again, " brings it up to date."))
    parts += [warning(str(remark)) for remark in content.get("remarks") or ()]
    endings = None if record.of_series else _endings(content)  # a forecast has the length that was asked for
    parts += [score_table(evaluation.scores, evaluation.baselines), _better_baselines(evaluation), endings, _search(content)]
    return join(parts)


def _heading(record: RunRecord, evaluation: StoredEvaluation) -> str:
    """The name of the data, and of the evaluated model; with the folder if another data set has the same name."""
    path = PurePath(evaluation.data)
    alike = {one.data for one in (*record.evaluations, *record.others) if PurePath(one.data).name == path.name}
    name = evaluation.data if len(alike) > 1 else path.name
    return f"{name or 'records'}{f', {evaluation.of}' if evaluation.of else ''}"


def _better_baselines(evaluation: StoredEvaluation) -> Markup | None:
    """A warning if baselines are better than the model: whether training was worth it."""
    if not evaluation.baselines:
        return None
    lines, compared = [], 0
    honest = {name: others for name, others in evaluation.baselines.items() if not name.endswith("oracle")}  # an oracle saw the references
    for score in evaluation.scores:
        if "higher_is_better" in score and score["higher_is_better"] is None:
            continue
        rivals = {name: rival for name, others in honest.items() if (rival := _rival(score, others)) is not None}
        compared += bool(rivals) and as_real(score.get("value")) is not None
        better = [f"{name.replace('_', ' ')} ({_score(rival)})" for name, rival in rivals.items() if _beaten(score, rival)]
        if better:
            lines.append(f"{score_name(_name(score))} of {' and '.join(better)} is better than the model's ({_score(score.get('value'))})")
    if not compared:
        return None
    if not lines:
        return note("The model is better than every baseline by every metric that both have.")
    return warning(f"{'; '.join(lines)}. What is simple and as good is the better choice.")


def _endings(content: Plain) -> Markup | None:
    """How outputs ended, with a warning if many were cut off."""
    reasons = content.get("finish_reasons")
    if not isinstance(reasons, Mapping) or not reasons:
        return None
    total = max(sum(map(as_count, reasons.values())), 1)
    counts = {str(name): as_count(count) for name, count in reasons.items()}
    said = [f"{_ENDINGS.get(name, name)}: {count:,} ({percent(count / total)})" for name, count in counts.items()]
    line = note(f"How outputs ended: {'; '.join(said)}.")
    if counts.get("length", 0) / total <= _MANY_CUT:
        return line
    found = f"{counts['length']:,} of {total:,} outputs reached the length limit."
    settings = (
        " If they repeat themselves, the model needs more training, or ",
        code("search.processors.no_repeat_ngram_size"),
        "; if they do not, raise ",
        code("search.limits"),
        ".",
    )
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
    """A score, with decimals even if they are zeros: 52.00 shows its precision."""
    return f"{value:.2f}" if isinstance(value, float) and value.is_integer() and abs(value) < 1e6 else number(value)


def _name(score: Plain) -> str:
    return str(score.get("name", "?"))


def _aim(name: str) -> float | None:
    """The target of a coverage: neither more nor less."""
    return float(name.removeprefix("coverage_")) if name in ("coverage_80", "coverage_95") else None


def _titled(score: Plain) -> Markup:
    name, better = _name(score), score.get("higher_is_better")
    aim = _aim(name)
    if aim is not None:
        return join([score_name(name), element("span", {"class": "quiet", "title": f"best at {aim:g}"}, " →")])
    arrow = "" if better is None else " ↑" if better else " ↓"
    meaning = None if better is None else "higher is better" if better else "lower is better"
    return join([score_name(name), element("span", {"class": "quiet", "title": meaning}, arrow) if arrow else None])
