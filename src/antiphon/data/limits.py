"""Selects the examples of a corpus by length, length ratio and empty sides, and those that fit into a model.

A model may read or say only so much (`longest_source`, `longest_target`). `fitting` makes the recipe's limits as narrow, and from there on
nobody has to know which of the two a limit comes from: what is longer is dropped, cut or an error, as the recipe says.

Whatever is dropped or shortened is counted by reason, with the first record numbers of each: nothing disappears silently.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, final

import numpy as np

from antiphon.contracts.limits import Limits, least
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.records import Skipped
from antiphon.contracts.sequences import Example
from antiphon.contracts.specs import Spec, TokenSpec, ValueSpec
from antiphon.errors import DataError

KEPT_NUMBERS = 20


@final
@dataclass
class Tally:
    """What became of the records: how many were read and kept, and for each reason how many were dropped or truncated, with the first
    few."""

    read: int = 0
    kept: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    truncated: dict[str, int] = field(default_factory=dict)
    first: dict[str, list[int | str]] = field(default_factory=dict)
    """Reason -> the numbers of the first records that it met, or the places of what is no record."""

    def drop(self, reason: str, record: int) -> None:
        """Count a dropped record."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
        self._note(reason, record)

    def truncate(self, reason: str, record: int) -> None:
        """Count a truncated record."""
        self.truncated[reason] = self.truncated.get(reason, 0) + 1
        self._note(reason, record)

    def skip(self, skipped: Mapping[str, Skipped]) -> None:
        """Count entries of a file that are no records."""
        for reason, one in skipped.items():
            self.read += one.count
            self.dropped[reason] = self.dropped.get(reason, 0) + one.count
            self.first.setdefault(reason, []).extend(one.first[:KEPT_NUMBERS])

    def add(self, others: "Tally") -> None:
        """Count what became of the records behind these."""
        self.read, self.kept = self.read + others.read, self.kept + others.kept
        for counts, more in ((self.dropped, others.dropped), (self.truncated, others.truncated)):
            for reason, number in more.items():
                counts[reason] = counts.get(reason, 0) + number
        for reason, numbers in others.first.items():
            known = self.first.setdefault(reason, [])
            known.extend(numbers[: KEPT_NUMBERS - len(known)])

    def _note(self, reason: str, record: int) -> None:
        numbers = self.first.setdefault(reason, [])
        if len(numbers) < KEPT_NUMBERS:
            numbers.append(record)

    def to_plain(self) -> dict[str, Any]:
        """Plain values, for the manifest and the log."""
        return {"read": self.read, "kept": self.kept, "dropped": self.dropped, "truncated": self.truncated, "first": self.first}


def fitting(limits: Limits, *models: Seq2SeqModel) -> Limits:
    """The limits, narrowed for models that write symbols. For series only the task decides their length."""
    for model in models:
        if isinstance(model.target, TokenSpec):
            limits = limits.within(longest_source(model), model.longest_target)
    return limits


def split_limits(limits: Limits, model: Seq2SeqModel, *read_beside: Seq2SeqModel) -> dict[str, Limits]:
    """The limits for training data, which other models beside this one may read as well, and for validation data."""
    return {"train": fitting(limits, model, *read_beside), "validation": fitting(limits.of_sources(), model)}


def longest_source(model: Seq2SeqModel) -> int | None:
    """The longest source that a model which writes symbols can take; for recordings that are padded to a fixed length, this length."""
    return least(model.longest_source, model.source.length if isinstance(model.source, ValueSpec) else None)


def fitting_note(limits: Limits, fitted: Limits) -> tuple[str, ...]:
    """A sentence about how a model has narrowed the limits; empty if it has not."""
    sides = (
        ("reads at most {} elements of a source", limits.max_source_length, fitted.max_source_length),
        ("says at most {} of a target", limits.max_target_length, fitted.max_target_length),
    )
    most = [what.format(f"{now:,}") for what, before, now in sides if now is not None and now != before]
    fate = {"drop": "left out", "truncate": "cut", "error": "an error"}[limits.too_long]
    return (f"The model {' and '.join(most)}: what is longer is {fate} (`data.limits.too_long`).",) if most else ()


def apply_limits(example: Example, limits: Limits, source: Spec, target: Spec, tally: Tally, place: str) -> Example | None:
    """The example as it enters the corpus, or None when it is dropped; `tally` counts both.

    `place` says where the record stands, for errors.

    Raises DataError where a limit's policy is "error".
    """
    empty = empty_side(example, source, target)
    kept = empty == "target" and limits.empty == "keep"
    if empty and not kept:
        if limits.empty == "error":
            raise DataError(f"{place} must have a source and a target, but its {empty} is empty. Remove it, or set `empty: drop`.")
        tally.drop(f"empty {empty}", example.record)
        return None
    changed = shortened(example, limits, source, target, tally, place)
    if changed is None or limits.max_length_ratio is None or changed.target is None or kept:
        return changed
    shorter, longer = sorted((len(changed.source), len(changed.target) - 1))
    if longer > limits.max_length_ratio * shorter:
        tally.drop("length ratio", example.record)
        return None
    return changed


def cut_source(example: Example, limits: Limits, source: Spec) -> Example:
    """The example with its source truncated if the limits truncate; `cut` is the number of elements removed."""
    most = limits.max_source_length
    if limits.too_long != "truncate" or most is None or len(example.source) <= most:
        return example
    cut = _with_source(example, _left(example.source, most, source))
    return _sayable(replace(cut, cut=len(example.source) - most), source)


def empty_side(example: Example, source: Spec, target: Spec) -> Literal["", "source", "target"]:
    """The side, source or target, that is empty; "" when both have content."""
    if _content(example.source, source, 0) == 0:
        return "source"
    if example.target is not None and _content(example.target, target, 1) == 0:
        return "target"
    return ""


def _content(array: np.ndarray, spec: Spec, start_elements: int) -> int:
    """The number of elements that are neither start nor end; more than 3 elements always include some, so only short ones are counted."""
    if not isinstance(spec, TokenSpec):
        return len(array) - start_elements
    if len(array) > 3:
        return len(array)
    return sum(1 for symbol in array.tolist() if symbol not in (spec.start, spec.end, spec.pad))


def shortened(example: Example, limits: Limits, source: Spec, target: Spec, tally: Tally, place: str) -> Example | None:
    """The example within the limits of length; otherwise like `apply_limits`."""
    sides: list[tuple[str, np.ndarray | None, int | None, Spec]] = [
        ("source", example.source, limits.max_source_length, source),
        ("target", example.target, None if limits.max_target_length is None else limits.max_target_length + 1, target),
    ]
    left: dict[str, np.ndarray] = {}
    for side, array, most, spec in sides:
        if array is None or most is None or len(array) <= most:
            continue
        length, limit = (len(array), most) if side == "source" else (len(array) - 1, most - 1)
        if limits.too_long == "error":
            raise DataError(
                f"{place} must have a {side} of at most {limit} elements (`max_{side}_length`), but has {length}. Raise the limit, if the"
                " model has more positions, shorten the record, or set `too_long` to drop or truncate."
            )
        if limits.too_long == "drop":
            tally.drop(f"{side} too long", example.record)
            return None
        left[side] = _left(array, most, spec)
    for side in left:
        tally.truncate(f"{side} too long", example.record)
    if not left:
        return example
    cut = _with_source(example, left["source"]) if "source" in left else example
    if "target" in left and example.target is not None:
        cut = replace(cut, target=example.target[left["target"]])
    cut = replace(cut, links=_links_left(cut, source, target, left))
    return _sayable(cut, source) if "source" in left else cut


def _with_source(example: Example, places: np.ndarray) -> Example:
    """The example with the given elements of its source, and their factors."""
    return replace(example, source=example.source[places], factors=None if example.factors is None else example.factors[places])


def _links_left(example: Example, source: Spec, target: Spec, cut: Collection[str]) -> np.ndarray | None:
    """The links between the remaining elements of both sides. The ending of a truncated side is where symbols of words were before."""
    if example.links is None or example.target is None:
        return example.links
    ends = [
        _ending(array, spec) if side in cut else 0
        for side, array, spec in (("source", example.source, source), ("target", example.target, target))
    ]
    longest = len(example.source) - ends[0], len(example.target) - 1 - ends[1]
    return example.links[(example.links < longest).all(axis=1)]


def _sayable(example: Example, source: Spec) -> Example:
    """An example with a truncated source: its target may only use the remaining open words, since no model can copy the others."""
    if not isinstance(source, TokenSpec) or not source.open_words or example.target is None:
        return example
    lost = (example.target >= source.size) & ~np.isin(example.target, example.source)
    return replace(example, target=np.where(lost, source.unknown, example.target)) if lost.any() else example


def _left(array: np.ndarray, most: int, spec: Spec) -> np.ndarray:
    """The positions of the remaining elements: the first ones, followed by the ending of the sequence."""
    kept = _ending(array, spec) if _ending(array, spec) <= most else 0
    return np.concatenate([np.arange(most - kept), np.arange(len(array) - kept, len(array))])


def _ending(array: np.ndarray, spec: Spec) -> int:
    """The elements that end a sequence: the end symbol, or that and a language after it (mBART)."""
    return next((count for count in (1, 2) if isinstance(spec, TokenSpec) and count <= len(array) and array[-count] == spec.end), 0)
