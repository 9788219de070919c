"""Arguments that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from antiphon.contracts.corpus import Share

Run = Annotated[Path, typer.Argument(help="A run's folder, or one of its checkpoints.", show_default=False)]
Runs = Annotated[list[Path], typer.Argument(help="A run's folder or a checkpoint; several of them are an ensemble.", show_default=False)]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY.PATH=VALUE", help="Change a setting of the recipe; may be repeated.")]
TrustCode = Annotated[bool, typer.Option("--trust-code", help="Allow a run to import code from outside Antiphon, which can do anything.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output, and nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only results: no progress, no remarks.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue exactly where the last checkpoint is; begin where there is none.")]
Workers = Annotated[
    int, typer.Option(min=1, help="How many processes decode side by side, for many inputs; each has its own copy of the model in memory.")
]
Weights = Annotated[
    str | None, typer.Option(metavar="W1,W2", help="Of an ensemble: how much each run counts, such as 0.6,0.4; alike when left out.")
]
Averaged = Annotated[
    Literal["probability", "log_probability"] | None,
    typer.Option("--average", help="Of an ensemble: what is averaged; probabilities when left out.", show_default=False),
]
Glossary = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Terms with their translations, such as terms.csv or '{path: terms.tbx, languages: [en, de]}'."),
]
GlossaryMode = Annotated[
    Literal["soft", "exact"],
    typer.Option(help="soft: prefer the translations of terms that a source has, in any inflection; exact: require them as written."),
]
Memory = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Earlier translations, such as memory.tmx; *.jsonl tells which is most similar to each input."),
]
MemoryMode = Annotated[
    Literal["tell", "reuse"],
    typer.Option(help="tell: only report what the memory has; reuse: take its translation of an identical source as the prediction."),
]


def numbers_of(weights: str | None) -> list[float] | None:
    """The weights of an ensemble. Raises ConfigError when they are no numbers."""
    from antiphon.errors import ConfigError

    try:
        return None if weights is None else [float(part) for part in weights.split(",")]
    except ValueError as error:
        raise ConfigError(f"`--weights` must be numbers, such as 0.6,0.4, but is {weights!r}.") from error


def share_of(shard: str | None) -> "Share":
    """What `--shard 3/8` means; the whole without it. Raises ConfigError for anything else."""
    from antiphon.contracts.corpus import Share
    from antiphon.errors import ConfigError

    number, _, count = (shard or "1/1").partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise ConfigError(f"`--shard` must be the number of a shard and how many there are, such as 3/8, counted from 1, but is {shard!r}.")
    return Share(int(number) - 1, int(count))
