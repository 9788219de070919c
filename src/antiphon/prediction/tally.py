"""Counts of predictions, which are reported at the end."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import final

from antiphon.contracts.limits import Limits
from antiphon.contracts.sequences import Prediction
from antiphon.store.json_text import json_text


@final
@dataclass
class Tally:
    """Counts of inputs: all, those that were unusable (`refused`) or truncated, those with unknown symbols, and remarks on outputs."""

    inputs: int = 0
    refused: int = 0
    cut: int = 0
    unknown: int = 0
    symbols: int = 0
    remarks: Counter[str] = field(default_factory=Counter)

    def add(self, prediction: Prediction) -> None:
        """Count one prediction."""
        details = prediction.details
        self.inputs += 1
        self.refused += "error" in details
        self.cut += "source_cut" in details
        self.unknown += "source_unknown" in details
        self.symbols += details.get("source_unknown", 0)
        if "remark" in details:
            self.remarks[str(details["remark"])] += 1

    def plain(self) -> str:
        """Plain values from which another process can restore it."""
        return json_text(asdict(self))

    @staticmethod
    def of(text: str) -> "Tally":
        """A tally from the values of `plain`."""
        found = json.loads(text)
        return Tally(**{**found, "remarks": Counter(found["remarks"])})

    def add_all(self, other: "Tally") -> None:
        """Add the counts of another tally."""
        for name in ("inputs", "refused", "cut", "unknown", "symbols"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.remarks.update(other.remarks)

    def sentences(self, limits: Limits) -> Iterator[str]:
        """Sentences for the user about all counts but refused inputs."""
        if self.cut:
            yield f"{self.cut} of {self.inputs} inputs were cut to {limits.max_source_length} elements, as `data.limits` says."
        for remark, count in self.remarks.items():
            yield f"{count} of {self.inputs} inputs: {remark}"
        if self.unknown:
            what = "1 symbol" if self.symbols == 1 else f"{self.symbols:,} symbols"
            yield f"{self.unknown:,} of {self.inputs:,} inputs have {what} that the vocabulary does not know."


def refused_inputs(count: int) -> str:
    """A sentence with the number of unusable inputs, for an error."""
    what = "1 input could not be used; its prediction is" if count == 1 else f"{count} inputs could not be used; their predictions are"
    return f"{what} empty."
