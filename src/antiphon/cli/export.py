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
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder to write, new or empty; RUN/exports/FORMAT when left out.")
    ] = None,
    precision: Annotated[
        Literal["fp32", "bf16", "int8"] | None, typer.Option(help="fp32, bf16 or int8; the format's usual one when left out.")
    ] = None,
    check: Annotated[
        int, typer.Option(min=0, help="On how many validation records the exported model is compared with the run; 0 for no comparison.")
    ] = 100,
    allow_loss: Annotated[
        bool, typer.Option("--allow-loss", help="Write it even where a lower precision loses more quality than is usual.")
    ] = False,
    shortlist: Annotated[
        int | None,
        typer.Option(
            min=1, help="Limit the output vocabulary to likely translations: so many target symbols for each source symbol, often 50."
        ),
    ] = None,
    shortlist_data: Annotated[
        Path | None, typer.Option(help="Pairs from which the shortlist is counted; the run's training data when left out.")
    ] = None,
    settings: Set = None,
    trust_code: TrustCode = False,
    quiet: Quiet = False,
) -> None:
    """Write a model in a format that other programs read, or for a faster engine. An engine's folder is opened like a run, and is compared
    with the run before it is kept.

    Example: antiphon export runs/german --format onnx --precision int8 --out german
    """
    from rich.console import Console

    from antiphon.runs.export import export as run_export

    remarks = Console(stderr=True, quiet=quiet)
    folder = run_export(
        run,
        format=format,
        out=out,
        precision=precision,
        check=check,
        allow_loss=allow_loss,
        shortlist=shortlist,
        shortlist_data=shortlist_data,
        overrides=settings or (),
        trust_code=trust_code,
        console=remarks,
    )
    if not quiet:
        print(f"Wrote {folder}")
