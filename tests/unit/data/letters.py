"""Letters that are encoded by their codes, with limits, weights and sometimes alignments, for corpora that are written in several ways."""

import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.contracts.limits import Limits
from antiphon.contracts.sequences import Example
from antiphon.contracts.specs import TokenSpec
from antiphon.data.encoding import Encoding
from antiphon.data.mapped import Encode

SPEC = TokenSpec(size=300, pad=0, unknown=1, start=2, end=3)


def encode(record: Any, index: int = -1, *, seed: int | None = None) -> Example:
    source = np.array([*map(ord, record["source"]), 3])
    target = np.array([2, *map(ord, record["target"]), 3]) if "target" in record else None
    links = np.zeros((len(record["source"]), 2), dtype=np.int64) if record.get("linked") else None
    return Example(source, target, index, links=links)


@dataclass(frozen=True)
class Deadly:
    """Encodes letters in the process that made it, and ends any other one."""

    home: int = field(default_factory=os.getpid)

    def __call__(self, record: Any, index: int = -1, *, seed: int | None = None) -> Example:
        if os.getpid() != self.home:
            os.kill(os.getpid(), signal.SIGKILL)
        return encode(record, index, seed=seed)


def encoding(encode: Encode = encode, **settings: Any) -> Encoding:
    given: dict[str, Any] = {
        "limits": Limits(max_source_length=9),
        "fingerprint": "f",
        "keep_records": True,
        "block": 4,
        "weight_column": "w",
        **settings,
    }
    return Encoding(encode, SPEC, SPEC, **given)


def rows(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"source": "x" * (number % 12), "target": "y" * (number % 5), "w": number / 7, **more} for number in range(count)]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
