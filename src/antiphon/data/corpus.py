"""Records in, an encoded corpus on disk out. Encoded once; opened again as long as records, features, limits and format are the same.

Records stream through in blocks and are appended to the files, so memory does not grow with the corpus. The folder appears at once or
not at all: it is written beside its place and renamed, so a kill at any moment leaves no half corpus behind.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, final

import numpy as np

from antiphon.contracts.configuration import plain
from antiphon.contracts.limits import Limits
from antiphon.contracts.records import Record, Records, RecordSource
from antiphon.contracts.sequences import Example
from antiphon.contracts.specs import Spec, TokenSpec
from antiphon.data.folders import FORMAT_VERSION, ArrayWriter, finish, is_current, move_into_place, write_manifest
from antiphon.data.limits import Tally, apply_limits
from antiphon.data.mapped import Encode, MappedCorpus, MemoryCorpus
from antiphon.data.mixing import MixedCorpus
from antiphon.data.records import SourceRecords
from antiphon.data.weights import WeightWriter
from antiphon.errors import DataError
from antiphon.store.atomic import beside

__all__ = ["Encode", "EncodeMany", "Limits", "MappedCorpus", "MemoryCorpus", "MixedCorpus", "Tally", "build_corpus"]

EncodeMany = Callable[[list[tuple[int, Record]]], list[Example]]
"""Encodes a block of (record number, record) at once, for features that are faster so."""

BLOCK = 1024


def build_corpus(
    records: RecordSource,
    encode: Encode,
    folder: Path,
    *,
    source: Spec,
    target: Spec,
    limits: Limits,
    fingerprint: str,
    keep_records: bool = False,
    encode_many: EncodeMany | None = None,
    progress: Callable[[int], None] | None = None,
    block: int = BLOCK,
    half_precision: bool = False,
    weight_column: str | None = None,
) -> MappedCorpus:
    """Encode records into `folder`, or open what is there when it was made from the same.

    source, target   the specs of the encoded sequences, which choose how they are stored
    fingerprint      tells the fitted features apart: the corpus is encoded again when it changes
    keep_records     also store the records, so that `example(index, seed)` can encode them anew with sampled subwords
    encode_many      encodes a block of records at once; `encode` then serves single ones
    progress         called with the number of records read so far
    block            how many examples are in memory at a time
    half_precision   store values of sources as float16: half the room, and about 3 decimal digits
    weight_column    where records say how much they count in learning

    Raises DataError with the place of the record that cannot be read or encoded, or when nothing is left of the records.
    """
    opened = records if isinstance(records, Records) else SourceRecords(records)
    identity = _identity(opened, source, target, limits, f"{fingerprint}|float16" if half_precision else fingerprint, keep_records)
    if is_current(folder, identity):
        return MappedCorpus(folder, encode)
    with beside(folder) as partial:
        with _Writer(partial, source, target, keep_records, half_precision, weight_column) as writer:
            tally = _encode_all(opened, encode, encode_many, writer, limits, progress, block)
        _check_something_left(opened, tally)
        writer.write_manifest({"identity": identity, "limits": plain(limits), "keep_records": keep_records, "tally": tally.to_plain()})
        move_into_place(partial, folder, identity)
    return MappedCorpus(folder, encode)


def _identity(records: Records, source: Spec, target: Spec, limits: Limits, fingerprint: str, keep_records: bool) -> str:
    parts = [FORMAT_VERSION, records.signature(), fingerprint, repr(source), repr(target), plain(limits), keep_records]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _encode_all(
    records: Records,
    encode: Encode,
    encode_many: EncodeMany | None,
    writer: "_Writer",
    limits: Limits,
    progress: Callable[[int], None] | None,
    size: int,
) -> Tally:
    """Stream the records through the encoder and the limits into the writer."""
    tally = Tally()
    for block in _blocks(records(), size):
        examples = []
        for (number, record), example in zip(block, _encode_block(records, block, encode, encode_many), strict=True):
            example = _weighed(records, number, record, example, writer)
            taken = _limited(records, number, example, limits, writer, tally)
            if taken is not None:
                examples.append((number, record, taken))
        tally.read += len(block)
        tally.kept += len(examples)
        if examples:
            writer.append(examples)
        if progress is not None:
            progress(tally.read)
    tally.skip(records.skipped())
    return tally


def _blocks(items: Iterator[tuple[int, Record]], size: int) -> Iterator[list[tuple[int, Record]]]:
    while block := list(islice(items, size)):
        yield block


def _encode_block(records: Records, block: list[tuple[int, Record]], encode: Encode, encode_many: EncodeMany | None) -> list[Example]:
    """Encode a block; when that fails, one record at a time, to name the one that is wrong."""
    if encode_many is not None:
        try:
            return encode_many(block)
        except DataError:
            pass
    examples = []
    for number, record in block:
        try:
            examples.append(encode(record, number))
        except DataError as error:
            raise DataError(f"{records.place(number)}: {error}") from error
    return examples


def _weighed(records: Records, number: int, record: Record, example: Example, writer: "_Writer") -> Example:
    """The example with its weight, where records have one."""
    if writer.weights is None:
        return example
    try:
        return replace(example, weight=writer.weights.of(record))
    except DataError as error:
        raise DataError(f"{records.place(number)}: {error}") from error


def _limited(records: Records, number: int, example: Example, limits: Limits, writer: "_Writer", tally: Tally) -> Example | None:
    """Apply the limits; the record's place is looked up only for an error, since that may mean reading the file again."""
    if example.record != number:
        example = replace(example, record=number)
    try:
        return apply_limits(example, limits, writer.source, writer.target, tally, "A record")
    except DataError as error:
        raise DataError(str(error).replace("A record", records.place(number), 1)) from None


def _check_something_left(records: Records, tally: Tally) -> None:
    if tally.kept:
        return
    if not tally.read:
        raise DataError("There must be at least one record, but there is none.")
    numbers = [number for first in tally.first.values() for number in first]
    first = min((number for number in numbers if isinstance(number, int)), default=None)
    place = numbers[0] if first is None else records.place(first)
    reasons = ", ".join(f"{count} for {reason}" for reason, count in tally.dropped.items())
    raise DataError(
        f"At least one of {tally.read} records must remain, but all were dropped: {reasons} (the first is {place}). "
        "Raise the limits, or look at the records."
    )


@final
class _Writer:
    """Appends examples to the files of a corpus."""

    def __init__(self, folder: Path, source: Spec, target: Spec, keep_records: bool, half_precision: bool, weight_column: str | None):
        self.folder, self.source, self.target = folder, source, target
        self._source = _SideWriter(folder, "source", source, half_precision=half_precision)
        self._target: _SideWriter | None = None
        self._records = _SideWriter(folder, "records", None) if keep_records else None
        factors = source.factors if isinstance(source, TokenSpec) else ()
        most = max((factor.size for factor in factors), default=1)
        self._factors = ArrayWriter(folder, "factors", np.min_scalar_type(most - 1), len(factors)) if factors else None
        self._links: ArrayWriter | None = None
        self._has_links: bool | None = None
        self.weights = None if weight_column is None else WeightWriter(folder, weight_column)
        self._numbers = open(folder / "numbers.bin", "wb")  # noqa: SIM115 -- closed by __exit__
        self._has_targets: bool | None = None

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        for side in (self._source, self._target, self._records, self.weights, self._links, self._factors):
            if side is not None:
                side.close()
        finish(self._numbers)

    def append(self, rows: Sequence[tuple[int, Record, Example]]) -> None:
        """Append examples with their record numbers and records."""
        examples = [example for _, _, example in rows]
        for number, _, example in rows:
            if self._has_targets is None:
                self._has_targets = example.target is not None
            if self._has_targets != (example.target is not None):
                raise DataError(
                    f"All records must have a target, or none, but record {number} {'has none' if self._has_targets else 'has one'}."
                )
        self._source.append([example.source for example in examples])
        if self._has_targets:
            self._target = self._target or _SideWriter(self.folder, "target", self.target)
            self._target.append([example.target for example in examples if example.target is not None])
        for number, _, example in rows:
            self._has_links = example.links is not None if self._has_links is None else self._has_links
            if self._has_links != (example.links is not None):
                raise DataError(
                    f"All records must have an alignment, or none, but record {number} {'has none' if self._has_links else 'has one'}."
                )
        if self._factors is not None:
            self._factors.append([example.factors for example in examples if example.factors is not None])
        if self._has_links:
            self._links = self._links or ArrayWriter(self.folder, "links", np.dtype(np.uint32), 2)
            self._links.append([example.links for example in examples if example.links is not None])
        if self._records is not None:
            self._records.append([np.frombuffer(_json_bytes(number, record), dtype=np.uint8) for number, record, _ in rows])
        if self.weights is not None:
            self.weights.append([example.weight for example in examples])
        self._numbers.write(np.array([number for number, _, _ in rows], dtype=np.int64).tobytes())

    def write_manifest(self, facts: dict[str, Any]) -> None:
        """Write what the files hold, last of all."""
        layouts = {"source": self._source.layout, "target": self._target.layout if self._target else None}
        layouts |= {name: one.layout for name, one in (("links", self._links), ("factors", self._factors)) if one is not None}
        weights = {} if self.weights is None else {"weighing": self.weights.facts()}
        write_manifest(self.folder, {**layouts, **weights, **facts})


@final
class _SideWriter:
    """Appends the arrays of one side, and sees to it that they are what the spec says."""

    def __init__(self, folder: Path, name: str, spec: Spec | None, *, half_precision: bool = False):
        self._name, self._spec = name, spec
        dtype, self._channels = _storage(spec)
        if half_precision and dtype == np.float32:
            dtype = np.dtype(np.float16)
        self._arrays = ArrayWriter(folder, name, dtype, self._channels)

    @property
    def layout(self) -> dict[str, Any]:
        return self._arrays.layout

    def append(self, arrays: Sequence[np.ndarray]) -> None:
        joined = np.concatenate(arrays)
        assert joined.ndim == (1 if self._channels is None else 2), f"{self._name} arrays of {self._spec} have shape {joined.shape}"
        assert self._channels is None or joined.shape[1] == self._channels, f"{self._name} arrays must have {self._channels} channels"
        if isinstance(self._spec, TokenSpec) and joined.size:
            assert joined.min() >= 0, f"{self._name} symbols must not be negative"
            size = self._spec.size + self._spec.open_words
            assert joined.max() < size, f"{self._name} symbols must be below {size}"
        self._arrays.append_joined(joined, [len(array) for array in arrays])

    def close(self) -> None:
        self._arrays.close()


def _storage(spec: Spec | None) -> tuple[np.dtype[Any], int | None]:
    """How a sequence is stored: (dtype, channels). No spec is the bytes of a record."""
    if spec is None:
        return np.dtype(np.uint8), None
    if isinstance(spec, TokenSpec):
        return np.min_scalar_type(spec.size + spec.open_words - 1), None
    return np.dtype(np.float32), spec.width


def _storable(value: Any) -> dict[str, Any]:
    """Bytes and arrays, as sounds may be, for JSON; a task that takes them takes this, too."""
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, np.ndarray) and value.dtype.kind in "iuf":
        content = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode("ascii")
        return {"base64": content, "dtype": value.dtype.str, "shape": list(value.shape)}
    raise TypeError(f"a {type(value).__name__} is none")


def _json_bytes(number: int, record: Record) -> bytes:
    try:
        return json.dumps(dict(record), ensure_ascii=False, default=_storable, allow_nan=True).encode("utf-8", "surrogatepass")
    except TypeError as error:
        raise DataError(f"Record {number} must hold plain values (text, numbers, lists) to be kept, but {error}.") from error
