"""antiphon export: a run for other programs."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from antiphon.cli.completion import exporters
from antiphon.cli.options import Quiet, Run, Set, TrustCode


def export(
    run: Run,
    format: Annotated[  # noqa: A002
        str, typer.Option(help="The format; `antiphon list exporters` lists them.", autocompletion=exporters)
    ] = "hf",
    out: Annotated[Path | None, typer.Option(help="The folder to write, new or empty; RUN/exports/FORMAT when left out.")] = None,
    precision: Annotated[
        Literal["fp32", "bf16", "int8"] | None, typer.Option(help="fp32, bf16 or int8; what the format usually has when left out.")
    ] = None,
    settings: Set = None,
    trust_code: TrustCode = False,
    quiet: Quiet = False,
) -> None:
    """Write a model in a format that other programs read.

    Example: antiphon export runs/german --format hf --out german
    """
    from rich.console import Console

    from antiphon.runs.export import export as run_export

    remarks = Console(stderr=True, quiet=quiet)
    folder = run_export(run, format=format, out=out, precision=precision, overrides=settings or (), trust_code=trust_code, console=remarks)
    if not quiet:
        print(f"Wrote {folder}")
