"""Splits validation records off the training records, so that no source to validate on occurs in training.

Records with one key stand on one side: the source that they share, or whoever speaks. All parts of the training data are looked at
together, since a sentence, or a speaker, may be in several files. A key is a hash of 64 bits, so a record costs 16 bytes, its number
included, whatever it holds; two keys that share a hash by chance (one in 3,700 among a hundred million) only stand on one side, too.
"""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from antiphon.contracts.records import Record, Records
from antiphon.data.findings import content_hash
from antiphon.data.records import ChosenRecords
from antiphon.errors import DataError

_NAMED = 10


@final
@dataclass(frozen=True)
class Division:
    """Each part without its held-out records, the held-out records of each part (None if nothing is left, or held out), and a sentence."""

    training: tuple[Records | None, ...]
    validation: tuple[Records | None, ...]
    note: str


def split(
    parts: Sequence[Records], columns: Sequence[str], wanted: int, seed: int, *, named: bool = False, name: str = "validation"
) -> Division:
    """Hold out `wanted` records of all parts together, or about as many if records share their key.

    columns   the key of a record: its values there. Records that share it stand on one side
    seed      draws the records; where no two records share a key, exactly `wanted` of them
    named     say which keys are held out, as people want to know of speakers
    name      what they are held out for: validation, or test

    Raises DataError when there are no more than `wanted` records, or fewer than two different keys.
    """
    keys, numbered, starts = _keys(parts, lambda record: content_hash([_told(record.get(column)) for column in columns]))
    if wanted >= len(keys):
        raise DataError(f"`data.{name}` must be less than the number of training records ({len(keys)}), but is {wanted}.")
    _, groups, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    shown = " and ".join(f"`{column}`" for column in columns)
    if len(sizes) < 2:
        raise DataError(
            f"{shown} must differ between at least two training records, so that one can be held out, but is always the same. Name a file"
            f" in `data.{name}`."
        )
    drawn = np.zeros(len(keys), dtype=bool)
    drawn[np.random.default_rng(seed).choice(len(keys), wanted, replace=False, shuffle=False)] = True
    held = _whole(np.bincount(groups, weights=drawn).astype(np.int64), sizes, wanted, seed)[groups]
    assert not np.intersect1d(keys[held], keys[~held]).size, "what is held out is not learned from"
    training, validation = [], []
    for part, start, end in zip(parts, starts[:-1], starts[1:], strict=True):
        numbers = frozenset(numbered[start:end][held[start:end]].tolist())
        training.append(ChosenRecords(part, numbers, keep=False) if len(numbers) < end - start else None)
        validation.append(ChosenRecords(part, numbers, keep=True) if numbers else None)
    note = f"{held.sum():,} of {len(keys):,} training records are held out for {name}"
    if named:
        names = sorted({" ".join(str(record.get(column)) for column in columns) for part in validation if part for record in part})
        listed = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
        note += f": those of {len(names):,} of {len(sizes):,} different {shown}, {listed}"
    elif len(sizes) < len(keys):
        note += f"; {len(keys) - len(sizes):,} records repeat the {shown} of an earlier one, and stand on its side"
    return Division(tuple(training), tuple(validation), f"{note}.")


def _told(value: Any) -> Any:
    """A value in the form common to all files: a number in one may be a text in another."""
    return str(value) if isinstance(value, int | float) else value


def _keys(parts: Sequence[Records], key: Callable[[Record], int]) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """The key of every record, uint64 (N,), its number within its part, int64 (N,), with gaps where others were held out before, and the
    first index of each part among them, followed by the end of the last one."""
    found, numbers, starts = array("Q"), array("q"), [0]
    for part in parts:
        for number, record in part():
            found.append(key(record))
            numbers.append(number)
        starts.append(len(found))
    return np.frombuffer(found, dtype=np.uint64), np.frombuffer(numbers, dtype=np.int64), starts


def _whole(drawn: np.ndarray, sizes: np.ndarray, wanted: int, seed: int) -> np.ndarray:
    """The groups to hold out, bool (G,): those drawn first, which are taken whole, then random others as far as they fit; never all, at
    least one."""
    held: np.ndarray = drawn == sizes
    room = wanted - int(sizes[held].sum())
    left = int((~held).sum())
    for group in np.random.default_rng((seed, 1)).permutation(np.flatnonzero(~held)).tolist():
        if room == 0 or left == 1:
            break
        if sizes[group] <= room:
            held[group] = True
            room, left = room - int(sizes[group]), left - 1
    if not held.any():
        held[np.argmin(sizes)] = True
    return held
