"""antiphon sweep: which settings of a recipe are best, by training with many."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli.options import AsJson, Quiet, Set, TrustCode
from antiphon.cli.train import set_again, trusting
from antiphon.store.json_text import json_text

if TYPE_CHECKING:
    from antiphon.runs.sweep_results import Sweep


def sweep(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file with a section `sweep`.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="The sweep's folder; sweeps/RECIPE when left out.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="The total number of trials, instead of `sweep.trials`.")] = None,
    settings: Set = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    trust_code: TrustCode = False,
) -> None:
    """Search for the best settings of a recipe by training a model for each trial, and write the best as a recipe. The same command,
    started again or on another machine, joins the sweep: it continues trials whose process has died, and begins new ones. Ctrl-C leaves a
    checkpoint.

    Example: antiphon sweep german.yaml --out sweeps/german --trials 30
    """
    from rich.console import Console

    from antiphon.report.sweep_page import write_sweep_report
    from antiphon.runs.sweep import sweep as run_sweep

    folder = out or Path("sweeps") / recipe.stem
    console = Console(stderr=True, quiet=quiet)
    try:
        found = run_sweep(recipe, folder, overrides=settings or (), trials=trials, trust_code=trust_code, console=console)
    except KeyboardInterrupt as interruption:
        again = ["antiphon", "sweep", str(recipe), "--out", str(folder), *(["--trials", str(trials)] if trials else ())]
        interruption.add_note(f"; continue with: {shlex.join([*again, *set_again(settings), *trusting(trust_code)])}")
        raise
    page = write_sweep_report(folder)
    if as_json:
        print(json_text(found.to_plain(), indent=1))
        return
    _print(found)
    console.print(f"Wrote {page}.", highlight=False, markup=False, soft_wrap=True)


def _print(found: "Sweep") -> None:
    """A table of the trials, the best first, and what follows."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from antiphon.metrics.interface import merit
    from antiphon.metrics.shown import shown
    from antiphon.runs.sweep import said

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=200)
    table = Table(box=box.HEAVY_HEAD if console.is_terminal else None)
    for column in ("trial", "settings", found.metric, "95 % interval", "seconds", ""):
        table.add_column(column, justify="left" if column in ("settings", "") else "right", overflow="fold", no_wrap=column != "settings")
    ranked = sorted(
        found.trials, key=lambda trial: (trial.score is None, 0.0 if trial.score is None else -merit(trial.score.value, trial.score))
    )
    for trial in ranked:
        score, best = trial.score, trial is found.best
        interval = "" if score is None or score.low is None or score.high is None else f"{shown(score.low)} to {shown(score.high)}"
        value = "" if score is None else shown(score.value)
        mark = "best" if best else "" if score is not None else trial.outcome
        cells = (str(trial.number), escape(said(trial.settings)), value, interval, f"{trial.seconds:,.0f}", mark)
        table.add_row(*cells, style="bold" if best else None)
    console.print(table)
    for line in found.conclusions():
        console.print(line, soft_wrap=True, markup=False)
