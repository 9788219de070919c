"""antiphon export: a run for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from antiphon.cli.options import Run, Set, TrustCode


def export(
    run: Run,
    format: Annotated[str, typer.Option(help="The format; `antiphon list exporters` lists them.")] = "hf",  # noqa: A002
    out: Annotated[Path | None, typer.Option(help="The folder to write, new or empty; RUN/exports/FORMAT when left out.")] = None,
    settings: Set = None,
    trust_code: TrustCode = False,
) -> None:
    """Write a model in a format that other programs read.

    Example: antiphon export runs/german --format hf --out german
    """
    from antiphon.runs.export import export as run_export

    print(f"Wrote {run_export(run, format=format, out=out, overrides=settings or (), trust_code=trust_code)}")
