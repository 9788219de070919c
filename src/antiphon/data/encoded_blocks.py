"""A block of records as it enters a corpus: encoded, weighed and limited, its arrays behind each other in the types that are stored.

It depends on its records and on the encoding alone, so any process can make it, and whoever writes the corpus only appends it.
"""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Example
from antiphon.contracts.specs import Spec, TokenSpec
from antiphon.data.encoding import Encoding
from antiphon.data.limits import Tally, apply_limits
from antiphon.data.weights import check_all_weighed, weight_of
from antiphon.errors import DataError

Block = Sequence[tuple[int, Record]]
"""(record number, record)."""

_A_RECORD = "A record"


class RecordError(DataError):
    """A record that cannot be encoded. Where it stands is known only to who has all records, and said `at` its place."""

    def __init__(self, number: int, message: str):
        super().__init__(message)
        self.number = number

    def __reduce__(self) -> tuple[type["RecordError"], tuple[int, str]]:
        """As other processes are told it."""
        return type(self), (self.number, str(self))

    def at(self, place: str) -> DataError:
        """The error that says the record's place."""
        return DataError(str(self).replace(_A_RECORD, place, 1))


@dataclass(frozen=True)
class Joined:
    """Arrays behind each other, as they are stored, and how long each is."""

    values: np.ndarray
    lengths: np.ndarray


@dataclass(frozen=True)
class EncodedBlock:
    """What becomes of a block of records."""

    tally: Tally
    first: int
    """The number of the block's first record, kept or not."""
    numbers: np.ndarray
    """The record numbers of the examples, int64 (N,)."""
    arrays: dict[str, Joined]
    """By the names of their files; nothing when no example is left. Targets and links are missing where the examples have none."""
    weights: np.ndarray
    """How much each example counts, float32 (N,)."""
    weighed: bool
    """Whether the records say so."""


def storages(encoding: Encoding) -> dict[str, tuple[np.dtype[Any], int | None]]:
    """How each array of a corpus is stored, by the names of their files: (dtype, channels, or None where it has one axis)."""
    source, target = _storage(encoding.source), _storage(encoding.target)
    if encoding.half_precision and source[0] == np.float32:
        source = np.dtype(np.float16), source[1]
    found: dict[str, tuple[np.dtype[Any], int | None]] = {"source": source, "target": target, "links": (np.dtype(np.uint32), 2)}
    factors = encoding.source.factors if isinstance(encoding.source, TokenSpec) else ()
    if factors:
        found["factors"] = np.min_scalar_type(max(factor.size for factor in factors) - 1), len(factors)
    if encoding.keep_records:
        found["records"] = np.dtype(np.uint8), None
    return found


def _storage(spec: Spec) -> tuple[np.dtype[Any], int | None]:
    if isinstance(spec, TokenSpec):
        return np.min_scalar_type(spec.size + spec.open_words - 1), None
    return np.dtype(np.float32), spec.width


def encode_block(block: Block, encoding: Encoding) -> EncodedBlock:
    """Encode a block of at least one record.

    Raises RecordError for the first record that cannot be encoded, and DataError when only some have a target or an alignment.
    """
    tally, rows, weights, weighed = Tally(read=len(block)), list[tuple[int, Record, Example]](), list[float](), list[bool]()
    for (number, record), example in zip(block, _examples(block, encoding), strict=True):
        try:
            weight = _weight(record, encoding.weight_column, weighed)
        except DataError as error:
            raise RecordError(number, f"{_A_RECORD}: {error}") from error
        taken = _limited(number, example, encoding, tally)
        if taken is not None:
            rows.append((number, record, taken))
            weights.append(weight)
    tally.kept = len(rows)
    numbers = np.array([number for number, _, _ in rows], dtype=np.int64)
    arrays = _arrays(rows, encoding) if rows else {}
    return EncodedBlock(tally, block[0][0], numbers, arrays, np.array(weights, dtype=np.float32), any(weighed))


def _examples(block: Block, encoding: Encoding) -> list[Example]:
    """The examples of a block; when that fails, one record at a time, to name the one that is wrong."""
    if encoding.encode_many is not None:
        try:
            return encoding.encode_many(list(block))
        except DataError:
            pass
    examples = []
    for number, record in block:
        try:
            examples.append(encoding.encode(record, number))
        except DataError as error:
            raise RecordError(number, f"{_A_RECORD}: {error}") from error
    return examples


def _weight(record: Record, column: str | None, weighed: list[bool]) -> float:
    """How much a record counts; `weighed` says, and is told, whether those before it had a weight."""
    if column is None:
        return 1.0
    weighed.append(column in record)
    check_all_weighed(column, weighed[0], weighed[-1])
    return weight_of(record, column) if weighed[-1] else 1.0


def _limited(number: int, example: Example, encoding: Encoding, tally: Tally) -> Example | None:
    if example.record != number:
        example = replace(example, record=number)
    try:
        return apply_limits(example, encoding.limits, encoding.source, encoding.target, tally, _A_RECORD)
    except DataError as error:
        raise RecordError(number, str(error)) from None


def _arrays(rows: Sequence[tuple[int, Record, Example]], encoding: Encoding) -> dict[str, Joined]:
    examples = [example for _, _, example in rows]
    _check_alike(examples, "a target", lambda example: example.target is not None)
    _check_alike(examples, "an alignment", lambda example: example.links is not None)
    found: dict[str, list[np.ndarray]] = {
        "source": [example.source for example in examples],
        "target": [example.target for example in examples if example.target is not None],
        "links": [example.links for example in examples if example.links is not None],
        "factors": [example.factors for example in examples if example.factors is not None],
        "records": [],
    }
    if encoding.keep_records:
        found["records"] = [np.frombuffer(_json_bytes(number, record), dtype=np.uint8) for number, record, _ in rows]
    specs = {"source": encoding.source, "target": encoding.target}
    return {
        name: _joined(name, found[name], dtype, channels, specs.get(name))
        for name, (dtype, channels) in storages(encoding).items()
        if found[name]
    }


def _check_alike(examples: Sequence[Example], what: str, has: Callable[[Example], bool]) -> None:
    first = has(examples[0])
    for example in examples:
        if has(example) != first:
            raise some_only(what, example.record, has_it=not first)


def some_only(what: str, number: int, *, has_it: bool) -> DataError:
    """That a record has what those before it lack, or lacks what they have."""
    return DataError(f"All records must have {what}, or none, but record {number} {'has one' if has_it else 'has none'}.")


def _joined(name: str, arrays: Sequence[np.ndarray], dtype: np.dtype[Any], channels: int | None, spec: Spec | None) -> Joined:
    """The arrays of one file, which must be what the spec says."""
    joined = np.concatenate(arrays)
    assert joined.ndim == (1 if channels is None else 2), f"{name} arrays of {spec} have shape {joined.shape}"
    assert channels is None or joined.shape[1] == channels, f"{name} arrays must have {channels} channels"
    if isinstance(spec, TokenSpec) and joined.size:
        assert joined.min() >= 0, f"{name} symbols must not be negative"
        size = spec.size + spec.open_words
        assert joined.max() < size, f"{name} symbols must be below {size}"
    return Joined(joined.astype(dtype, copy=False), np.array([len(array) for array in arrays], dtype=np.int64))


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
