"""Arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Run = Annotated[Path, typer.Argument(help="A run's folder, or one of its checkpoints.", show_default=False)]
Runs = Annotated[list[Path], typer.Argument(help="A run's folder or a checkpoint; several of them are an ensemble.", show_default=False)]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY.PATH=VALUE", help="Change a setting of the recipe; may be repeated.")]
TrustCode = Annotated[bool, typer.Option("--trust-code", help="Import code outside Antiphon that a run names. It can do anything.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output, and nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but what was asked for: no progress, no remarks.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue exactly where the last checkpoint is; begin where there is none.")]
