"""The settings for encoding records into a corpus: everything but the records, and the place of the corpus."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from antiphon.contracts.configuration import plain
from antiphon.contracts.limits import Limits
from antiphon.contracts.records import Record, Records
from antiphon.contracts.sequences import Example
from antiphon.contracts.specs import Spec
from antiphon.data.folders import FORMAT_VERSION
from antiphon.data.mapped import Encode

EncodeMany = Callable[[list[tuple[int, Record]]], list[Example]]
"""Encodes a block of (record number, record) at once, for features that are faster so."""

BLOCK = 1024


@dataclass(frozen=True)
class Encoding:
    """How records are encoded into a corpus."""

    encode: Encode
    source: Spec
    target: Spec
    """The specs of the encoded sequences, which choose how they are stored."""
    limits: Limits
    fingerprint: str
    """Tells the fitted features apart: the corpus is encoded again when it changes."""
    keep_records: bool = False
    """Also store the records, so that `example(index, seed)` can encode them anew with sampled subwords."""
    encode_many: EncodeMany | None = None
    """Encodes a block of records at once; `encode` then serves single ones."""
    block: int = BLOCK
    """How many examples are in memory at a time."""
    half_precision: bool = False
    """Store values of sources as float16: half the room, and about 3 decimal digits."""
    weight_column: str | None = None
    """Where records say how much they count in learning."""

    def identity(self, records: Records) -> str:
        """Equal for corpora that are equal."""
        fingerprint = f"{self.fingerprint}|float16" if self.half_precision else self.fingerprint
        parts = [FORMAT_VERSION, records.signature(), fingerprint, repr(self.source), repr(self.target), plain(self.limits)]
        return hashlib.sha256(json.dumps([*parts, self.keep_records]).encode()).hexdigest()
