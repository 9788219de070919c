"""What `antiphon evaluate` prints: tables of scores, what they are broken down by, and comparisons of two runs."""

from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from antiphon.metrics.significance import Comparison
    from antiphon.runs.evaluation import Evaluation


class By(StrEnum):
    """What errors of forecasts or of speech recognition, or scores of documents and of files with units, are listed by."""

    STEP = "step"
    SERIES = "series"
    SPEAKER = "speaker"
    LENGTH = "length"
    DOCUMENT = "document"
    FILE = "file"
    STATE = "state"

    @property
    def part(self) -> str:
        """Where an evaluation's details have it."""
        return "series" if self is By.SERIES else f"{self}s"

    @property
    def needs(self) -> str:
        """What a run must do to have it."""
        if self is By.DOCUMENT:
            return "translates documents and has a `task.context`"
        if self in (By.FILE, By.STATE):
            return "is scored on files of units, such as .po"
        if self is By.SPEAKER:
            return "recognizes speech and names `task.speaker`"
        return "recognizes speech" if self is By.LENGTH else "forecasts series"


def print_scores(found: "Evaluation") -> None:
    """Scores with intervals, baselines beside them, and what is to be said of them."""
    from rich.console import Console
    from rich.table import Table

    from antiphon.metrics.scoring import named
    from antiphon.metrics.shown import shown

    beside = found.baselines  # their columns leave no room for signatures, which then follow the table
    table = Table()
    for column in ("metric", "score", "95 % interval", *map(_stacked, beside), *(() if beside else ("signature",))):
        left = column in ("metric", "signature")
        table.add_column(column, justify="left" if left else "right", overflow="fold", no_wrap=bool(beside))
    for score in found.scores:
        interval = "" if score.low is None or score.high is None else f"{shown(score.low)} to {shown(score.high)}"
        others = ["" if (other := named(scores, score.name)) is None else shown(other.value) for scores in beside.values()]
        table.add_row(score.name, shown(score.value), interval, *others, *(() if beside else (score.signature,)))
    console = Console(highlight=False)
    title = f"{found.run} on {found.data}: {found.records:,} records in {found.seconds:.1f} s"
    console.print(title, soft_wrap=True, markup=False, style="italic")
    _print_table(console, table, whole=bool(beside))
    for score in found.scores if beside else ():
        console.print(f"{score.name}: {score.signature}", soft_wrap=True, markup=False, style="dim")
    for reason, count in found.finish_reasons.items():
        if reason != "end" and "steps" not in found.details:  # a forecast has the length that was asked for: nothing cut it short
            console.print(f"{count:,} output{'' if count == 1 else 's'} ended by: {reason}")
    for remark in found.remarks:
        console.print(remark, soft_wrap=True, markup=False)


def print_details(found: "Evaluation", by: By | None) -> None:
    """The results broken down; nothing without `by`."""
    from rich.console import Console

    console = Console(highlight=False)
    if by is By.STEP:
        _print_steps(console, found.details["steps"])
    elif by is By.SERIES:
        _print_series(console, found.details["series"])
    elif by is By.DOCUMENT:
        _print_parts(console, found.details["documents"], "document", "sentences")
    elif by in (By.FILE, By.STATE):
        _print_parts(console, found.details[by.part], by.value, "units")
    elif by is not None:
        _print_speech(console, found.details[by.part], by)


def _print_steps(console: "Console", steps: dict[str, Any]) -> None:
    """A table for each metric: the model beside the baselines."""
    from rich.table import Table

    for metric, errors in steps["errors"].items():
        table = Table(title=f"{metric} by step of the horizon", title_justify="left")
        for column in ("step", *map(_stacked, errors), "forecasts"):
            table.add_column(column, justify="right", no_wrap=True)
        for step, count in enumerate(steps["counted"][metric]):
            table.add_row(str(step + 1), *(_error(values[step]) for values in errors.values()), f"{count:,}")
        _print_table(console, table)


def _print_speech(console: "Console", rows: list[dict[str, Any]], by: By) -> None:
    """Error rates and errors by kind, the worst speaker or the shortest utterances first."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"Errors by {by.value}", title_justify="left")
    table.add_column("speaker" if by is By.SPEAKER else "seconds", overflow="fold", max_width=44)
    for column in ("utterances", "reference words", "WER", "CER", "substitutions", "deletions", "insertions"):
        table.add_column(_stacked(column.replace(" ", "_")), justify="right", no_wrap=True)
    for row in rows:
        name = escape(row["speaker"]) if by is By.SPEAKER else f"{row['from']:.2f} to {row['to']:.2f}"
        rates = (f"{row[rate]:.2f}" for rate in ("word_error_rate", "character_error_rate"))
        kinds = (f"{row[kind]:,}" for kind in ("substitutions", "deletions", "insertions"))
        table.add_row(name, f"{row['utterances']:,}", f"{row['reference_words']:,}", *rates, *kinds)
    _print_table(console, table)


def _print_parts(console: "Console", rows: list[dict[str, Any]], name: str, items: str) -> None:
    """Scores of each part, in the order of the data."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"Scores by {name}", title_justify="left")
    table.add_column(name, overflow="fold", max_width=44)
    scores = [column for column in rows[0] if column not in (name, items)]
    for column in (items, *scores):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(escape(row[name]), f"{row[items]:,}", *(f"{row[score]:.2f}" for score in scores))
    _print_table(console, table)


def _print_series(console: "Console", series: dict[str, Any]) -> None:
    """The hardest series first, then a few of the easiest; and how many are not listed."""
    from rich.markup import escape
    from rich.table import Table

    ranking, listed = series["metric"], [*series["worst"], *reversed(series.get("best", ()))]
    if not listed:
        console.print(f"None of the {series['total']:,} series has an actual value to compare with.")
        return
    metrics = [name for name in listed[0] if name not in ("unique_id", "windows", "baselines")]
    beside = list(listed[0]["baselines"])
    table = Table(title=f"Series by {ranking} of the model, the hardest first", title_justify="left")
    table.add_column("series", overflow="fold", max_width=44)
    for column in ("windows", *metrics, *(f"{ranking}\n{_stacked(name)}" for name in beside)):
        table.add_column(column, justify="right", no_wrap=True)
    for row in listed:
        if series.get("left_out") and row is listed[len(series["worst"])]:
            table.add_row(f"... {series['left_out']:,} series between ...")
        numbers = (*(row[name] for name in metrics), *(row["baselines"][name] for name in beside))
        table.add_row(escape(row["unique_id"]), str(row["windows"]), *map(_error, numbers))
    _print_table(console, table)
    for name, share in series["better_than"].items():
        console.print(f"Better than {name} by {ranking} in {share:.1%} of the series.")
    if series["unranked"]:
        first = ", ".join(series["unranked_first"][:3])
        console.print(f"Not ranked, since {ranking} is not defined for them: {series['unranked']:,} series (first {first}).", markup=False)


def _print_table(console: "Console", table: "Table", *, whole: bool = True) -> None:
    """Print a table; a `whole` one is wider than the terminal rather than short of digits."""
    from rich.console import Console
    from rich.measure import Measurement

    if whole:
        wide = Console(width=10_000)
        console = Console(highlight=False, width=max(console.width, Measurement.get(wide, wide.options, table).maximum))
    console.print(table)


def _stacked(name: str) -> str:
    """A heading in several lines, since numbers are narrow."""
    return name.replace("_", "\n")


def _error(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def print_comparison(comparisons: "list[Comparison]", one: str, two: str, *, named: bool = False) -> None:
    """Which of two runs is better by each metric; `named` says first which two they are."""
    from math import isnan

    from rich.console import Console

    from antiphon.metrics.interface import says_better
    from antiphon.metrics.shown import shown

    console = Console()
    if named:
        console.print(f"{one} and {two}:", highlight=False, markup=False, soft_wrap=True)
    for found in comparisons:
        better = found.better()
        verdict = "no significant difference" if better is None else f"{one if better == 'a' else two} is better"
        if not says_better(found.b):
            verdict = "neither is better for it"
        if isnan(found.randomization_p):
            console.print(f"{found.name}: {shown(found.a.value)} and {shown(found.b.value)}, not to be compared", soft_wrap=True)
            continue
        console.print(
            f"{found.name}: {shown(found.a.value)} and {shown(found.b.value)}, {verdict}"
            f" (paired bootstrap p {_p_value(found.bootstrap_p)}, approximate randomization p {_p_value(found.randomization_p)})",
            highlight=False,
            soft_wrap=True,
        )


def _p_value(value: float) -> str:
    """ "= 0.042"; a p-value is never 0, so a small one is not rounded to it."""
    return f"= {value:.3f}" if value >= 0.0005 else "< 0.001"
