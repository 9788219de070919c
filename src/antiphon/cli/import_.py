"""antiphon import: from the files of another program to a run."""

from pathlib import Path
from typing import Annotated

import typer

from antiphon.cli.completion import importers
from antiphon.cli.options import Quiet, Set


def import_(
    format: Annotated[  # noqa: A002
        str,
        typer.Argument(help="The format; `antiphon list importers` lists them.", show_default=False, autocompletion=importers),
    ],
    path: Annotated[Path, typer.Argument(help="The model's file or folder.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The run's folder, new or empty.", show_default=False)],
    settings: Set = None,
    quiet: Quiet = False,
) -> None:
    """Make a run from a model that another program has trained, to predict with it, evaluate it, or train it further.

    Example: antiphon import marian models/enpt --out runs/enpt --set task.source=en --set task.target=pt
    """
    from rich.console import Console

    from antiphon.runs.import_ import import_model

    folder = import_model(format, path, out, overrides=settings or (), console=Console(stderr=True, quiet=quiet))
    if not quiet:
        print(f"Wrote {folder}")
