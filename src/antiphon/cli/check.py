"""antiphon check: what is wrong with a recipe, before it is trained."""

from pathlib import Path
from typing import Annotated

import typer

from antiphon.cli.options import AsJson, Set, TrustCode
from antiphon.store.json_text import json_text


def check(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.", show_default=False)],
    settings: Set = None,
    as_json: AsJson = False,
    trust_code: TrustCode = False,
) -> None:
    """Check a recipe in seconds, without training: settings, files and their columns, runs that it names, packages, the device, the model,
    and whether search and loss fit it. Exits with 1 when something is wrong.

    Example: antiphon check german.yaml --set model.name=lstm
    """
    from rich.console import Console

    from antiphon.runs.check import check as run_check

    found = run_check(recipe, settings or (), trust_code=trust_code)
    if as_json:
        print(json_text(found.to_plain(), indent=1))
    else:
        console, colours = Console(highlight=False, soft_wrap=True), {"ok": "green", "note": "yellow", "wrong": "red"}
        width = max(len(finding.part) for finding in found.findings)
        for finding in found.findings:
            console.print(f"{finding.state:<5}", style=colours[finding.state], end="  ")
            console.print(f"{finding.part:<{width}}  {finding.text}", markup=False)
    if not found.sound:
        raise typer.Exit(1)
