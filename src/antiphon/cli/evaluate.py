"""antiphon evaluate: scores with intervals, and whether one run is better than another. Of forecasts, errors by step and by series; of
speech, by speaker and by length; scores by document, and by file and state of units."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from antiphon.cli.counting import counter, teller
from antiphon.cli.evaluation_tables import By, print_comparison, print_details, print_scores
from antiphon.cli.options import AsJson, Averaged, Quiet, Runs, Set, TrustCode, Weights, numbers_of
from antiphon.store.json_text import json_text

if TYPE_CHECKING:
    from antiphon.metrics.significance import Comparison
    from antiphon.runs.evaluation import Evaluation


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
    from antiphon.runs.evaluate import evaluate as run_evaluation
    from antiphon.runs.evaluation import compare_evaluations

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
    (_print_json if as_json else _print)(runs, others, comparisons, by)


def _print_json(
    runs: Sequence["Evaluation"], others: Sequence["Evaluation"], comparisons: Sequence["list[Comparison]"], by: By | None
) -> None:
    """The scores as JSON; with other runs or baselines also how they compare."""
    plain = [_plain_scores(one, by) for one in runs]
    compared = [{**asdict(one), "with": other.run} for other, each in zip(others, comparisons, strict=True) for one in each]
    print(json_text({"runs": plain, "comparisons": compared} if others else plain[0], indent=1))


def _print(runs: Sequence["Evaluation"], others: Sequence["Evaluation"], comparisons: Sequence["list[Comparison]"], by: By | None) -> None:
    """The scores as tables; of the first run also how it compares to the others."""
    for one in runs:
        print_scores(one)
        print_details(one, by)
    for other, each in zip(others, comparisons, strict=True):
        print_comparison(each, runs[0].run, other.run, named=len(others) > 1)


def _baseline(named: Path, found: "Evaluation") -> "Evaluation | None":
    """The baseline of this name; None for what is a run. Raises ConfigError for a bare name that is neither."""
    from antiphon.errors import ConfigError, nearest
    from antiphon.runs.evaluation import of_baseline

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
