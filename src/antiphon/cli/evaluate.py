"""antiphon evaluate: scores with intervals, and whether one run is better than another. Of forecasts, errors by step and by series; of
speech, by speaker and by length; scores by document, and by file and state of units."""

from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from antiphon.cli.counting import counter, teller
from antiphon.cli.options import AsJson, Averaged, Quiet, Runs, Set, TrustCode, Weights, numbers_of
from antiphon.store.json_text import json_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from antiphon.metrics.significance import Comparison
    from antiphon.runs.evaluate import Evaluation


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


def evaluate(
    run: Runs,
    data: Annotated[
        str | None,
        typer.Option(
            help="Records to score on: a file, '{source: test.en, target: test.de}' as in a recipe, or `validation`, which is the recipe's"
            " validation data; its `data.test` when left out."
        ),
    ] = None,
    compare: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="RUN2 ...", help="Another run, a baseline, or several of them: tells whether the difference to each is significant."
        ),
    ] = None,
    by: Annotated[
        By | None,
        typer.Option(
            help="Also break the results down: forecasts by step or series, speech by speaker or length, texts by document, files with"
            " units (such as .po) by file or state.",
        ),
    ] = None,
    weights: Weights = None,
    average: Averaged = None,
    settings: Set = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    trust_code: TrustCode = False,
) -> None:
    """Score a run, or an ensemble of several, on held-out records, with 95 % bootstrap intervals.

    Example: antiphon evaluate runs/german --data test.tsv --compare runs/lstm
    """
    from antiphon.recipe.named_files import named_files
    from antiphon.runs.evaluate import compare_evaluations
    from antiphon.runs.evaluate import evaluate as run_evaluation

    given = None if data is None else named_files(data, "--data")
    progress, say = counter("records decoded", quiet=quiet), teller(quiet=quiet)

    evaluated = partial(run_evaluation, overrides=settings or (), trust_code=trust_code, progress=progress, say=say)
    found = evaluated(run[0] if len(run) == 1 else run, given, weights=numbers_of(weights), average=average)
    runs, others = [found], list["Evaluation"]()
    for named in compare or ():
        baseline = _baseline(named, found)
        if baseline is None:
            runs.append(evaluated(named, given or _same_data(run[0], trust_code)))
        others.append(runs[-1] if baseline is None else baseline)
    comparisons = [compare_evaluations(found, other, _compared(found, other)) for other in others]
    for one in runs:
        _check_details(one, by)
    if as_json:
        plain = [_plain_scores(one, by) for one in runs]
        compared = [{**asdict(one), "with": other.run} for other, each in zip(others, comparisons, strict=True) for one in each]
        print(json_text({"runs": plain, "comparisons": compared} if others else plain[0], indent=1))
        return
    for one in runs:
        _print(one)
        _print_details(one, by)
    for other, each in zip(others, comparisons, strict=True):
        _print_comparison(each, found.run, other.run, named=len(others) > 1)


def _baseline(named: Path, found: "Evaluation") -> "Evaluation | None":
    """The baseline of this name; None for what is a run. Raises ConfigError for a bare name that is neither."""
    from antiphon.errors import ConfigError, nearest
    from antiphon.runs.evaluate import of_baseline

    name, there = str(named), sorted(found.baselines)
    if named.exists() or not there or len(named.parts) > 1:
        return None
    if name in there:
        return of_baseline(found, name)
    raise ConfigError(f"There is no run {name}, and no such baseline.{nearest(name, there)} Baselines here: {', '.join(there)}.")


def _compared(found: "Evaluation", other: "Evaluation") -> list[str]:
    """The metrics to compare by: those of the first; with one of its baselines, which says points alone, those that this has."""
    names = [score.name for score in found.scores if score.name not in ("loss", "perplexity")]
    return [name for name in names if name in other] if other.run in found.baselines else names


def _check_details(found: "Evaluation", by: By | None) -> None:
    from antiphon.errors import ConfigError

    if by is not None and by.part not in found.details:
        raise ConfigError(f"`--by {by}` needs a run that {by.needs}, but {found.run} does not. Leave it out.")


def _same_data(run: Path, trust_code: bool) -> Any:
    """The first run's test data, so that both are scored on the same records."""
    from antiphon.contracts.trust import foreign
    from antiphon.recipe.assembly import stored_recipe
    from antiphon.store.checkpoint import find_checkpoint, read

    return stored_recipe(read(find_checkpoint(run).resolve()), foreign(trust_code)).data.test


def _plain_scores(found: "Evaluation", by: By | None) -> dict[str, Any]:
    """An evaluation without its items; with `by` also that part of its details."""
    plain = found.to_plain()
    return plain if by is None else {**plain, "details": {by.part: found.details[by.part]}}


def _print(found: "Evaluation") -> None:
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


def _print_details(found: "Evaluation", by: By | None) -> None:
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


def _print_comparison(comparisons: "list[Comparison]", one: str, two: str, *, named: bool = False) -> None:
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
