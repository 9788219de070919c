"""What is asked for when inputs are predicted in blocks, in plain values: every process opens the same job from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from antiphon.contracts.files import FileConfig
from antiphon.errors import ConfigError
from antiphon.prediction.glossary import Mode
from antiphon.prediction.helped import HelpedPredictor, Use, with_help
from antiphon.prediction.loading import load
from antiphon.prediction.predictor import Predictor
from antiphon.search.ensemble import Average

BLOCK_RECORDS = 2000
"""How many inputs a block has: enough to sort by length, few enough that a kill costs minutes at most."""


@final
@dataclass(frozen=True, kw_only=True)
class BlockOrder:
    """A model, inputs, and where predictions go.

    runs            the folders of runs, several of them as an ensemble
    inputs          what `--input` names
    output          the folder of the blocks
    suffix          of their files, which decides on their format
    block_records   inputs in a block
    others          as for `load` and `with_help`
    """

    runs: tuple[str, ...]
    inputs: tuple[Path | FileConfig, ...]
    output: str
    suffix: str = ".jsonl"
    block_records: int = BLOCK_RECORDS
    overrides: tuple[str, ...] = ()
    weights: Sequence[float] | None = None
    average: Average | None = None
    trust_code: bool = False
    glossary: str | None = None
    glossary_mode: Mode = "soft"
    memory: str | None = None
    memory_mode: Use = "tell"
    workers: int = 1

    def load(self) -> Predictor:
        """The model. Raises as `antiphon.load`."""
        return load(
            self.runs,
            overrides=self.overrides,
            trust_code=self.trust_code,
            weights=self.weights,
            average=self.average,
            workers=self.workers,
        )

    def helped(self, predictor: Predictor) -> Predictor | HelpedPredictor:
        """The model with its glossary and memory."""
        return with_help(predictor, self.glossary, self.glossary_mode, self.memory, self.memory_mode)


def shard_of(text: str | None) -> tuple[int, int]:
    """The number of a shard, from 1, and how many there are, of `3/8`; None is the only one. Raises ConfigError for anything else."""
    if text is None:
        return 1, 1
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise ConfigError(f"`--shard` must be a number of so many, such as 3/8, counted from 1, but is {text!r}.")
    return int(number), int(count)


def chosen(numbers: Sequence[int], shard: tuple[int, int]) -> list[int]:
    """Those of some numbers that a shard has: every n-th, so that no shard has only the long inputs of sorted files."""
    number, count = shard
    return [one for one in numbers if one % count == number - 1]
