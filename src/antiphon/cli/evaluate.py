"""antiphon evaluate: scores with intervals, and whether one run is better than another."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from antiphon.cli.options import AsJson, Run, Set

if TYPE_CHECKING:
    from antiphon.evaluation_run import Evaluation
    from antiphon.metrics.significance import Comparison


def evaluate(
    run: Run,
    data: Annotated[Path | None, typer.Option(help="Records to score on; the recipe's `data.test` when left out.")] = None,
    compare: Annotated[Path | None, typer.Option(metavar="RUN2", help="Another run: is the difference significant?")] = None,
    settings: Set = None,
    as_json: AsJson = False,
) -> None:
    """Score a run on held-out records, with 95 % bootstrap intervals.

    Example: antiphon evaluate runs/german --data test.tsv --compare runs/lstm
    """
    from antiphon.evaluation_run import compare_evaluations
    from antiphon.evaluation_run import evaluate as run_evaluation

    found = run_evaluation(run, data, overrides=settings or ())
    other = run_evaluation(compare, data or _same_data(run), overrides=settings or ()) if compare else None
    names = [score.name for score in found.scores if score.name not in ("loss", "perplexity")]
    comparisons = compare_evaluations(found, other, names) if other else []
    if as_json:
        plain: dict[str, Any] = found.to_plain()
        if other:
            plain = {"runs": [plain, other.to_plain()], "comparisons": [_plain(comparison) for comparison in comparisons]}
        print(json.dumps(plain, ensure_ascii=False, indent=1))
        return
    _print(found)
    if other:
        _print(other)
        _print_comparison(comparisons, str(run), str(compare))


def _same_data(run: Path) -> Any:
    """The first run's test data, so that both are scored on the same records."""
    from antiphon.assembly import find_checkpoint
    from antiphon.checkpoint import read
    from antiphon.recipe import recipe_from

    return recipe_from(read(find_checkpoint(run).resolve()).header["recipe"]).data.test


def _plain(comparison: "Comparison") -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(comparison)


def _print(found: "Evaluation") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{found.run} on {found.data}: {found.records:,} records in {found.seconds:.1f} s", title_justify="left")
    for column in ("metric", "score", "95 % interval", *found.baselines, "signature"):
        table.add_column(column, justify="left" if column in ("metric", "signature") else "right", overflow="fold")
    for score in found.scores:
        interval = "" if score.low is None else f"{score.low:.2f} to {score.high:.2f}"
        beside = [next((f"{other.value:.2f}" for other in scores if other.name == score.name), "") for scores in found.baselines.values()]
        table.add_row(score.name, f"{score.value:.2f}", interval, *beside, score.signature)
    console = Console()
    console.print(table)
    for reason, count in found.finish_reasons.items():
        if reason != "end":
            console.print(f"{count:,} outputs ended by: {reason}", highlight=False)


def _print_comparison(comparisons: "list[Comparison]", one: str, two: str) -> None:
    from rich.console import Console

    console = Console()
    for found in comparisons:
        better = found.better()
        verdict = "no significant difference" if better is None else f"{one if better == 'a' else two} is better"
        console.print(
            f"{found.name}: {found.a.value:.2f} and {found.b.value:.2f}, {verdict}"
            f" (paired bootstrap p {_p_value(found.bootstrap_p)}, approximate randomization p {_p_value(found.randomization_p)})",
            highlight=False,
            soft_wrap=True,
        )


def _p_value(value: float) -> str:
    """ "= 0.042"; a p-value is never 0, so a small one is not rounded to it."""
    return f"= {value:.3f}" if value >= 0.0005 else "< 0.001"
