"""Arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Run = Annotated[Path, typer.Argument(help="A run's folder, or one of its checkpoints.", show_default=False)]
Runs = Annotated[list[Path], typer.Argument(help="A run's folder or a checkpoint; several of them are an ensemble.", show_default=False)]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY.PATH=VALUE", help="Change a setting of the recipe; may be repeated.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output, and nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing of progress, nor remarks, on standard error.")]
