"""antiphon encode: the data of a recipe, encoded before any training."""

from pathlib import Path
from typing import Annotated

import typer

from antiphon.cli.counting import teller
from antiphon.cli.options import Quiet, Set, TrustCode, share_of


def encode(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe that names a `data.cache`.", show_default=False)],
    shard: Annotated[
        str | None, typer.Option(help="Encode this share only, such as 3/8, on one of several machines that share the cache's disk.")
    ] = None,
    settings: Set = None,
    trust_code: TrustCode = False,
    quiet: Quiet = False,
) -> None:
    """Encode the data of a recipe into its cache ahead of time, so that training starts at once. `data.workers` processes take part, and
    with --shard several machines; the files are the same however many there are.

    Example: antiphon encode german.yaml --set data.cache=/shared/german --set data.workers=8 --shard 3/8
    """
    from rich.console import Console

    from antiphon.runs.encode import encode as run_encoding

    say, share, console = teller(quiet=quiet), share_of(shard), Console(stderr=True)
    if quiet or not console.is_terminal:
        run_encoding(recipe, share=share, overrides=settings or (), trust_code=trust_code, say=say)
        return
    with console.status("reading the recipe and learning the vocabulary") as status:

        def show(records: int) -> None:
            status.update(f"{records:,} records encoded")

        run_encoding(recipe, share=share, overrides=settings or (), trust_code=trust_code, say=say, progress=show)
