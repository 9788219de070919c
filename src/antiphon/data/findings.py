"""The statistics of an audit, on arrays of one number per record: distributions, repetitions, conflicts, overlaps, outliers.

Contents are compared by 64-bit hashes, so that a record costs 8 bytes a side whatever its length. Two different contents among a hundred
million share a hash with a chance of one in 3,700.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from antiphon.data.content import content
from antiphon.data.permutation import mix64

_LISTED = 10
_BINS = 20
_QUANTILES = {"min": 0.0, "5%": 0.05, "25%": 0.25, "50%": 0.5, "75%": 0.75, "95%": 0.95, "99%": 0.99, "max": 1.0}


@final
@dataclass(frozen=True)
class Distribution:
    """The distribution of lengths: count, mean and quantiles, and a histogram. A bin is (lowest, highest, count); the last one holds the
    long tail."""

    count: int
    mean: float
    quantiles: dict[str, int]
    bins: list[tuple[int, int, int]]


@final
@dataclass(frozen=True)
class Groups:
    """Groups of related records: the number of records, the number of groups, and some groups, with a few records of each."""

    records: int
    groups: int
    listed: list[list[int]]


@final
@dataclass(frozen=True)
class Overlap:
    """Records of the split `second` whose content also occurs in `first`; `listed` pairs (number in first, number in second)."""

    first: str
    second: str
    pairs: int
    pair_share: float
    sources: int
    source_share: float
    listed_pairs: list[tuple[int, int]]
    listed_sources: list[tuple[int, int]]


def content_hash(value: Any) -> int:
    """64 bits of a text, or of any other value's content."""
    if not isinstance(value, str):
        value = content(value)
    return int.from_bytes(hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def pair_hashes(sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """One hash for each pair of a source's and a target's, uint64 (N,)."""
    return mix64(mix64(sources) + targets)


def distribution(counts: Counter[int]) -> Distribution | None:
    """The distribution of lengths, given their frequencies; None when there are none."""
    if not counts:
        return None
    values = np.array(sorted(counts), dtype=np.int64)
    occurs = np.array([counts[int(value)] for value in values], dtype=np.int64)
    reached = np.cumsum(occurs)
    total = int(reached[-1])

    def quantile(share: float) -> int:
        return int(values[np.searchsorted(reached, share * (total - 1), side="right")])

    low, high = int(values[0]), quantile(0.995)
    width = -(-(high - low + 1) // _BINS)
    bins = []
    for begin in range(low, high + 1, width):
        end = begin + width - 1 if begin + width <= high else int(values[-1])
        inside = (values >= begin) & (values <= end)
        bins.append((begin, end, int(occurs[inside].sum())))
    mean = float((values * occurs).sum() / total)
    return Distribution(total, mean, {name: quantile(share) for name, share in _QUANTILES.items()}, bins)


def repetitions(hashes: np.ndarray) -> Groups:
    """Records with the same content as an earlier record; a group lists positions, including that of the earliest record."""
    order = np.argsort(hashes, kind="stable")
    groups = _runs(hashes[order])
    sizes = np.diff(groups)
    repeated = np.flatnonzero(sizes > 1)
    listed = [order[groups[run] : groups[run] + min(5, sizes[run])].tolist() for run in _by_first(repeated, order, groups)]
    return Groups(int((sizes[repeated] - 1).sum()), len(repeated), listed)


def most_frequent(hashes: np.ndarray, share: float = 0.2) -> Groups:
    """Records with the single most frequent content, if that makes up at least the given share of 10 records or more; else none."""
    order = np.argsort(hashes, kind="stable")
    runs = _runs(hashes[order])
    sizes = np.diff(runs)
    if len(hashes) < 10 or sizes.max() < share * len(hashes):
        return Groups(0, 0, [])
    largest = int(sizes.argmax())
    return Groups(int(sizes[largest]), 1, [order[runs[largest] : runs[largest] + 5].tolist()])


def conflicts(sources: np.ndarray, pairs: np.ndarray) -> Groups:
    """Sources that occur with different targets. A group lists a position for each of the targets; `records` counts all."""
    order = np.lexsort((pairs, sources))
    runs = _runs(sources[order])
    new_pair = np.concatenate([[True], np.diff(pairs[order]) != 0]) if len(order) else np.zeros(0, dtype=bool)
    different = np.add.reduceat(new_pair, runs[:-1]) if len(order) else np.zeros(0, dtype=np.int64)
    ambiguous = np.flatnonzero(different > 1)
    listed = []
    for run in _by_first(ambiguous, order, runs):
        members = order[runs[run] : runs[run + 1]][new_pair[runs[run] : runs[run + 1]]]
        listed.append(sorted(members[:5].tolist()))
    return Groups(int(np.diff(runs)[ambiguous].sum()), len(ambiguous), listed)


def _runs(ordered: np.ndarray) -> np.ndarray:
    """The beginning of each run of equal values, and the end."""
    begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(ordered) else np.zeros(0, dtype=np.int64)
    return np.append(begins, len(ordered))


def _by_first(runs: np.ndarray, order: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """The runs to list: those whose first record comes first."""
    firsts = order[begins[runs]]
    return np.asarray(runs[np.argsort(firsts, kind="stable")[:_LISTED]])


def shared(first: np.ndarray, second: np.ndarray) -> tuple[int, list[tuple[int, int]]]:
    """The number of records in `second` with content that `first` contains, and the first few as (position in first, position in
    second)."""
    if not len(first) or not len(second):
        return 0, []
    order = np.argsort(first, kind="stable")
    ordered = first[order]
    found = np.searchsorted(ordered, second)
    inside = ordered[np.minimum(found, len(ordered) - 1)] == second
    listed = np.flatnonzero(inside)[:_LISTED]
    return int(inside.sum()), [(int(order[found[number]]), int(number)) for number in listed]


def robust_bounds(log_ratios: np.ndarray, deviations: float = 4.0) -> tuple[float, float] | None:
    """Median +- robust standard deviations (1.4826 times the median absolute deviation); None for fewer than 20 records.

    The deviation counts as at least 0.1 (a ratio of 1.1), so that a set whose ratio hardly varies does not make outliers of nothing.
    """
    if len(log_ratios) < 20:
        return None
    median = float(np.median(log_ratios))
    deviation = max(0.1, 1.4826 * float(np.median(np.abs(log_ratios - median))))
    return median - deviations * deviation, median + deviations * deviation
