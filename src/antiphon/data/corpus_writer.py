"""Appends examples to the files of a corpus."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Example
from antiphon.contracts.specs import Spec, TokenSpec
from antiphon.data.encoding import Encoding
from antiphon.data.folders import ArrayWriter, finish, write_manifest
from antiphon.data.weights import WeightWriter
from antiphon.errors import DataError

BLOCKS = "blocks.bin"
"""Of a part: how many examples each of its blocks of records gave."""


@final
class CorpusWriter:
    """Appends examples to the files of a corpus."""

    def __init__(self, folder: Path, encoding: Encoding):
        source, self.folder, self.target = encoding.source, folder, encoding.target
        self._source = _SideWriter(folder, "source", source, half_precision=encoding.half_precision)
        self._target: _SideWriter | None = None
        self._records = _SideWriter(folder, "records", None) if encoding.keep_records else None
        factors = source.factors if isinstance(source, TokenSpec) else ()
        most = max((factor.size for factor in factors), default=1)
        self._factors = ArrayWriter(folder, "factors", np.min_scalar_type(most - 1), len(factors)) if factors else None
        self._links: ArrayWriter | None = None
        self._has_links: bool | None = None
        self.weights = None if encoding.weight_column is None else WeightWriter(folder, encoding.weight_column)
        self._numbers = open(folder / "numbers.bin", "wb")  # noqa: SIM115 -- closed by __exit__
        self._has_targets: bool | None = None

    def __enter__(self) -> "CorpusWriter":
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

    def write_manifest(self, facts: Mapping[str, Any]) -> None:
        """Write the manifest, last of all."""
        weights = {} if self.weights is None else {"weighing": self.weights.facts()}
        write_manifest(self.folder, {**self._layouts(), **weights, **facts})

    def write_part(self, blocks: Sequence[int], facts: Mapping[str, Any]) -> None:
        """Write a part's manifest, last of all, with the number of examples from each of its blocks."""
        with open(self.folder / BLOCKS, "wb") as file:
            file.write(np.array(blocks, dtype=np.int64).tobytes())
            finish(file)
        weights = {} if self.weights is None else {"weighing": {"column": self.weights.column, "present": self.weights.present}}
        write_manifest(self.folder, {**self._layouts(), **weights, **facts})

    def _layouts(self) -> dict[str, Any]:
        layouts = {"source": self._source.layout, "target": self._target.layout if self._target else None}
        return layouts | {name: one.layout for name, one in (("links", self._links), ("factors", self._factors)) if one is not None}


@final
class _SideWriter:
    """Appends the arrays of one side, and checks them against the spec."""

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
    """How a sequence is stored: (dtype, channels). No spec means the bytes of a record."""
    if spec is None:
        return np.dtype(np.uint8), None
    if isinstance(spec, TokenSpec):
        return np.min_scalar_type(spec.size + spec.open_words - 1), None
    return np.dtype(np.float32), spec.width


def _storable(value: Any) -> dict[str, Any]:
    """Bytes and arrays, such as audio, converted for JSON; tasks that accept them accept this form, too."""
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
