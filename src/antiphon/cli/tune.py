"""antiphon tune: the search settings that are best on validation data, stored with the run."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from antiphon.cli.counting import counter
from antiphon.cli.options import AsJson, Quiet, Run, TrustCode
from antiphon.store.json_text import json_text

if TYPE_CHECKING:
    from antiphon.runs.tune import Trial, Tuning


def tune(
    run: Run,
    grid: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=V1,V2,...", help="A search setting and the values to try; several are combined. May be repeated."),
    ] = None,
    metric: Annotated[str | None, typer.Option(help="The metric to optimize; the one that chose the checkpoint when left out.")] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Records to try them on, a file or '{source: dev.en, target: dev.de}', as in a recipe; the run's own validation data when"
            " left out."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show: leave the run as it is.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    trust_code: TrustCode = False,
) -> None:
    """Try search settings, such as the beam size, on validation data, and store the best in the run.

    Example: antiphon tune runs/german --grid beam_size=4,8 --grid length_penalty=gnmt --grid alpha=0.4,0.6,0.8
    """
    from antiphon.recipe.named_files import named_files
    from antiphon.runs.tune import tune as run_tuning

    progress = counter("settings tried", quiet=quiet)
    given = None if data is None else named_files(data, "--data")
    found = run_tuning(run, grid=_grid(grid), metric=metric, data=given, dry_run=dry_run, trust_code=trust_code, progress=progress)
    if as_json:
        print(json_text(found.to_plain(), indent=1))
        return
    _print(found)
    _print_best(found, dry_run=dry_run)


def _grid(given: list[str] | None) -> dict[str, list[Any]] | None:
    """`beam_size=1,5` as a key and its values, which are YAML: numbers, words, null."""
    from antiphon.errors import ConfigError

    if not given:
        return None
    grid: dict[str, list[Any]] = {}
    for item in given:
        key, equals, text = item.partition("=")
        key = key.strip()
        if not equals or not key or not text.strip():
            raise ConfigError(f"`--grid` must be of the form key=value,value, but is {item!r}.")
        if key in grid:
            raise ConfigError(f"`--grid` must name each setting once, but names `{key}` twice. Join the values with commas.")
        grid[key] = _values(key, text)
    return grid


def _values(key: str, text: str) -> list[Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    from antiphon.errors import ConfigError

    try:
        return list(YAML(typ="safe", pure=True).load(f"[{text}]"))
    except YAMLError as error:
        raise ConfigError(f"`--grid {key}`: {text!r} must be values with commas between them.") from error


def _print(found: "Tuning") -> None:
    """A table of the trials, the best first."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from antiphon.metrics.interface import merit
    from antiphon.metrics.shown import shown

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=200)
    table = Table(box=box.HEAVY_HEAD if console.is_terminal else None)
    for column in ("search", found.metric, "95 % interval", "records/s", ""):
        table.add_column(column, justify="left" if column in ("search", "") else "right", overflow="fold", no_wrap=column != "search")
    for trial in sorted(found.trials, key=lambda trial: (trial is not found.best, -merit(trial.score.value, trial.score))):
        score = trial.score
        interval = "" if score.low is None or score.high is None else f"{shown(score.low)} to {shown(score.high)}"
        marks = [text for text, holds in (("best", trial is found.best), ("so far", not trial.settings)) if holds]
        cells = (escape(_shown(trial)), shown(score.value), interval, f"{trial.records_per_second:,.1f}", ", ".join(marks))
        table.add_row(*cells, style="bold" if trial is found.best else None)
    console.print(f"{found.run} on {found.data}: {found.records:,} records", soft_wrap=True, markup=False, style="italic")
    console.print(table)
    for remark in found.remarks:
        console.print(remark, soft_wrap=True, markup=False)


def _shown(trial: "Trial") -> str:
    """The settings that were set; of the run's own those that are tuned most."""
    settings = trial.settings or {
        key: trial.search[key] for key in ("name", "beam_size", "length_penalty", "alpha") if trial.search.get(key)
    }
    return " ".join(f"{key}={'null' if value is None else value}" for key, value in settings.items())


def _print_best(found: "Tuning", *, dry_run: bool) -> None:
    from rich.console import Console

    from antiphon.metrics.shown import shown

    console = Console(highlight=False)
    lines = []
    if found.comparison is None:
        lines.append(f"Nothing is better than what the run does now: {_shown(found.best)}.")
    else:
        p, gain = found.comparison.bootstrap_p, found.comparison.difference
        lines.append(
            f"Best: {_shown(found.best)}, {'+' if gain > 0 else ''}{shown(gain)} {found.metric} (paired bootstrap p"
            f" {'undefined' if p != p else f'= {p:.3f}' if p >= 0.0005 else '< 0.001'})."
        )
        lines.append(
            "Nothing was changed."
            if dry_run
            else f"Stored in {found.run}: predictions use it from now on. To train on, put it into your recipe, too."
        )
    for reason, count in found.best.finish_reasons.items():
        if reason not in ("end",):
            lines.append(f"{count:,} outputs ended by: {reason}")
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)
