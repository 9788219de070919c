"""antiphon doctor: checks Antiphon's promises for a run or an exported folder."""

from pathlib import Path
from typing import Annotated

import typer

from antiphon.cli.options import AsJson, TrustCode
from antiphon.store.json_text import json_text


def doctor(
    path: Annotated[Path, typer.Argument(metavar="RUN|FOLDER", help="A run's folder, or one that was exported for an engine.")],
    against: Annotated[
        Path | None, typer.Option(help="Of an exported folder: the run that it was made of.", metavar="RUN", show_default=False)
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="A file of records; the run's validation data when left out.", metavar="FILE", show_default=False)
    ] = None,
    check: Annotated[int, typer.Option(min=1, help="How many records are taken, evenly spread.")] = 100,
    updates: Annotated[
        int, typer.Option(min=0, help="Of a run: how many updates copies of it are trained further; 0 leaves this out.")
    ] = 10,
    as_json: AsJson = False,
    trust_code: TrustCode = False,
) -> None:
    """Test our promises on this machine and your data: outputs are the same alone and in any batch, decoding with a cache equals decoding
    without, an exported folder gives the outputs of its run, and a resumed run equals an uninterrupted one (tried on copies). Exits with 1
    when a promise is broken.

    Example: antiphon doctor german-int8 --against runs/german --data mine.tsv
    """
    from rich.console import Console

    from antiphon.runs.doctor import doctor as run_doctor

    found = run_doctor(path, against=against, data=data, most=check, updates=updates, trust_code=trust_code)
    if as_json:
        print(json_text(found.to_plain(), indent=1))
    else:
        console, colours = Console(highlight=False, soft_wrap=True), {"ok": "green", "skipped": "yellow", "wrong": "red"}
        width = max(len(one.promise) for one in found.found)
        for one in found.found:
            console.print(f"{one.state:<7}", style=colours[one.state], end="  ")
            console.print(f"{one.promise:<{width}}  {one.text}", markup=False)
    if not found.sound:
        raise typer.Exit(1)
