"""The order for a prediction in blocks, as plain values, from which every process opens the same job."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from antiphon.contracts.files import FileConfig
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
    """A model, its inputs, and the output.

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
        """The model. Raises the same errors as `antiphon.load`."""
        return load(
            self.runs,
            overrides=self.overrides,
            trust_code=self.trust_code,
            weights=self.weights,
            average=self.average,
            workers=self.workers,
        )

    def helped(self, predictor: Predictor) -> Predictor | HelpedPredictor:
        """The model with its glossary and translation memory."""
        return with_help(predictor, self.glossary, self.glossary_mode, self.memory, self.memory_mode)
