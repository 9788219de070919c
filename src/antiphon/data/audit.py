"""Audits data before training: one pass over each split's records, beside its encoded corpus.

An audit tells what was dropped or cut and why, how long sequences are, what the vocabulary does not know, which records repeat, contradict
each other, copy their source or look misaligned, and whether validation or test data stand in the training data.

Windows of series are not walked through: each is another one, and what can be wrong lies in the series (`series_audit.py`). Only samples of
them are shown.

Memory is about 50 bytes for each record (its number, two hashes, a length ratio, and what sorting them takes). `max_records` bounds it,
and the audit says how many records it has looked at.
"""

import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any, final

import numpy as np

from antiphon.contracts.corpus import StoredCorpus
from antiphon.contracts.records import Record, Records
from antiphon.contracts.specs import Spec, TokenSpec
from antiphon.data import findings
from antiphon.data.findings import Distribution, Groups, Overlap
from antiphon.data.gathering import SIDES, Changed, Extremes, Rows, Side, UnknownTexts, per_row, shown_text
from antiphon.data.mapped import MappedCorpus
from antiphon.data.units_audit import Placeholders, UnitCounts, Units
from antiphon.data.weights import weights_said
from antiphon.data.windows import WindowCorpus

_LISTED = 10
_ROWS = 65536  # whose lengths are looked at together


@final
@dataclass(frozen=True)
class Part:
    """Records of a split, and their corpus (None if only the records are audited)."""

    records: Records
    corpus: StoredCorpus | None = None


@final
@dataclass(frozen=True)
class View:
    """Access to records: `source` and `target` return the value of a side of a record (None if it has none).

    `pieces(side, array)` shows an encoded sequence as the model sees it, one piece for each element; `restored` says what a perfect model
    would say for a record with a target, None where that is no text; `placeholders` finds what a program puts into a text.
    """

    source: Callable[[Record], Any]
    target: Callable[[Record], Any]
    pieces: Callable[[Side, np.ndarray], Sequence[str]] | None = None
    restored: Callable[[Record], str | None] | None = None
    placeholders: Placeholders | None = None


@final
@dataclass(frozen=True)
class Unknown:
    """Symbols that are not in the vocabulary. `characters` and `words` occur only in records with unknown symbols.

    Both are lists of (item, count), most frequent first.
    """

    symbols: int
    share: float
    records: int
    characters: list[tuple[str, int]]
    words: list[tuple[str, int]]


@final
@dataclass(frozen=True)
class Misaligned:
    """Records whose log(target length / source length) lies outside `bounds` (median +- 4 robust standard deviations)."""

    bounds: tuple[float, float]
    records: int
    listed: list[dict[str, Any]]


@final
@dataclass
class SplitAudit:
    """The findings in one split. The record numbers of a later part follow those of the parts before it.

    `labels` says for each record number that is named here where the record stands.
    """

    examined: int
    complete: bool
    tally: dict[str, Any]
    characters: dict[str, Distribution | None]
    elements: dict[str, Distribution | None]
    unknown: dict[str, Unknown | None]
    duplicates: Groups
    conflicts: Groups
    copies: Groups
    same_target: Groups
    """Records with the most frequent target, where many have it: a model may learn to say nothing else."""
    longer: Groups
    """Records whose target is longer than the source, where targets are usually less than half as long."""
    misaligned: Misaligned | None
    samples: list[dict[str, Any]]
    changed: Changed = field(default_factory=Changed)
    """Records whose target the vocabulary does not restore: their references can never be met."""
    labels: dict[int, str] = field(default_factory=dict)
    units: Units | None = None
    """What is to be said of units, where records are those of files that people translate."""


@final
@dataclass(frozen=True)
class Audit:
    """The findings in all splits, and between them."""

    splits: dict[str, SplitAudit]
    overlaps: list[Overlap]

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON: keys are the names of fields."""
        plain: dict[str, Any] = asdict(self)
        return plain


def audit(
    splits: Mapping[str, Sequence[Part]],
    view: View,
    source: Spec,
    target: Spec,
    *,
    max_records: int = 20_000_000,
    samples: int = 3,
) -> Audit:
    """Audit each split in one pass, then compare the splits.

    max_records   the most records of a split to look at, which bounds memory; a split that has more is marked as not complete
    samples       how many records of each split to show as the model will see them
    """
    passes = {name: _Pass(parts, view, {"source": source, "target": target}, max_records, samples) for name, parts in splits.items()}
    compared = [name for name, one in passes.items() if not one.holds_windows]
    overlaps = [_overlap(first, passes[first], second, passes[second]) for first, second in combinations(compared, 2)]
    for overlap in overlaps:
        for numbers in (overlap.listed_pairs, overlap.listed_sources):
            passes[overlap.first].name_records(number for number, _ in numbers)
            passes[overlap.second].name_records(number for _, number in numbers)
    return Audit({name: one.result for name, one in passes.items()}, overlaps)


def _overlap(first: str, one: "_Pass", second: str, other: "_Pass") -> Overlap:
    pairs, pair_rows = findings.shared(one.pair_hashes, other.pair_hashes)
    sources, source_rows = findings.shared(one.source_hashes, other.source_hashes)
    count = max(1, other.examined)
    listed = [[(one.numbers[left], other.numbers[right]) for left, right in rows] for rows in (pair_rows, source_rows)]
    return Overlap(first, second, pairs, pairs / count, sources, sources / count, listed[0], listed[1])


@final
class _Pass:
    """One pass over the records of a split, which collects the data for the findings."""

    def __init__(self, parts: Sequence[Part], view: View, specs: Mapping[Side, Spec], max_records: int, samples: int):
        self._parts, self._view, self._specs = parts, view, specs
        self._starts: list[int] = []
        self._end = 0
        self._windows = 0
        self.numbers = array("q")
        self._complete = True
        self._hashes = {side: array("Q") for side in SIDES}
        self._log_ratios = array("f")
        self._longer: list[int] = []
        self._longer_count = 0
        self._characters: dict[Side, Counter[int]] = {side: Counter() for side in SIDES}
        self._outliers = Extremes()
        self._copies: list[int] = []
        self._copy_count = 0
        self._samples: list[dict[str, Any]] = []
        self._unknown = {side: UnknownTexts() for side in SIDES}
        self._changed = Changed()
        self._units = None if view.placeholders is None else UnitCounts(view.placeholders)
        for part in parts:
            self._walk(part, max_records, -(-samples // max(1, len(parts))))
        self.source_hashes = np.frombuffer(self._hashes["source"], dtype=np.uint64)
        self._target_hashes = np.frombuffer(self._hashes["target"], dtype=np.uint64)
        self.pair_hashes = findings.pair_hashes(self.source_hashes, self._target_hashes)
        source = specs["source"]
        if isinstance(source, TokenSpec) and source.says_nothing:  # records differ by their targets alone
            self.source_hashes = self.pair_hashes
        self.result = self._summarize()

    @property
    def examined(self) -> int:
        return len(self.numbers) + self._windows

    @property
    def holds_windows(self) -> bool:
        """Whether the examples are windows of series, which are not compared."""
        return self._windows > 0

    def _walk(self, part: Part, max_records: int, samples: int) -> None:
        """Go through a part's records, in step with its corpus, whose rows have ascending record numbers."""
        start = self._end
        self._starts.append(start)
        rows = Rows(part.corpus, self._specs)
        shown = rows.spread(samples)
        if isinstance(part.corpus, WindowCorpus):
            self._show(start, part.corpus, sorted(shown))
            return
        for number, record in part.records():
            if self.examined >= max_records:
                self._complete = False
                return
            row = rows.row_of(number)
            self._end = start + number + 1
            self.numbers.append(start + number)
            texts: dict[Side, Any] = {"source": self._view.source(record), "target": self._view.target(record)}
            self._look(start + number, texts, rows, row)
            if self._units is not None and row >= 0:
                self._units.add(start + number, record, texts["source"], texts["target"])
            if row >= 0 and isinstance(texts["target"], str) and self._view.restored is not None:
                back = self._view.restored(record)
                if back is not None and back != texts["target"]:
                    self._changed.add(start + number, texts["target"], back)
            if row in shown and part.corpus is not None:
                self._samples.append(self._sample(start + number, texts, part.corpus, row))

    def _show(self, start: int, corpus: WindowCorpus, rows: Sequence[int]) -> None:
        """Select some windows as samples."""
        self._windows += len(corpus)
        self._end = start + len(corpus)
        for row in rows:
            record = corpus.record(row)
            texts: dict[Side, Any] = {"source": self._view.source(record), "target": self._view.target(record)}
            self._samples.append(self._sample(start + row, texts, corpus, row))

    def _look(self, number: int, texts: Mapping[Side, Any], rows: "Rows", row: int) -> None:
        for side in SIDES:
            self._hashes[side].append(findings.content_hash(texts[side]))
            text = texts[side]
            if isinstance(text, str):
                self._characters[side][len(text)] += 1
                if row >= 0 and side in rows.with_unknown:
                    self._unknown[side].add(text, bool(rows.with_unknown[side][row]))
        lengths = self._lengths(texts, rows, row)
        if lengths and min(lengths) > 0:
            ratio = math.log(lengths[1] / lengths[0])
            self._log_ratios.append(ratio)
            self._outliers.add(ratio, number, lengths, texts)
            self._longer_count += ratio > 0
            if ratio > 0 and len(self._longer) < _LISTED:
                self._longer.append(number)
        if texts["target"] is not None and isinstance(texts["source"], str) and texts["source"] == texts["target"]:
            self._copy_count += 1
            if len(self._copies) < _LISTED:
                self._copies.append(number)

    @staticmethod
    def _lengths(texts: Mapping[Side, Any], rows: "Rows", row: int) -> tuple[int, int] | None:
        """The lengths to compare: of two texts in characters; of other values in encoded elements, if there are any."""
        source, target = texts["source"], texts["target"]
        if isinstance(source, str) and isinstance(target, str):
            return len(source), len(target)
        return rows.lengths(row) if row >= 0 and target is not None else None

    def _sample(self, number: int, texts: Mapping[Side, Any], corpus: StoredCorpus, row: int) -> dict[str, Any]:
        example = corpus.example(row)
        sample: dict[str, Any] = {"record": number}
        for side, encoded in (("source", example.source), ("target", example.target)):
            name: Side = "source" if side == "source" else "target"
            sample[side] = shown_text(texts[name])
            if encoded is not None and self._view.pieces is not None:
                sample[f"{side}_pieces"] = list(self._view.pieces(name, encoded))
            elif encoded is not None and isinstance(self._specs[name], TokenSpec):
                sample[f"{side}_pieces"] = [str(symbol) for symbol in encoded.tolist()]
        return sample

    def _summarize(self) -> SplitAudit:
        has_targets = any(part.corpus is None or part.corpus.has_targets for part in self._parts)
        nothing = Groups(0, 0, [])
        result = SplitAudit(
            examined=self.examined,
            complete=self._complete,
            tally=self._tally(),
            characters={side: findings.distribution(self._characters[side]) for side in SIDES},
            elements={side: findings.distribution(_element_lengths(self._parts, side)) for side in SIDES},
            unknown={side: self._unknown_of(side) for side in SIDES},
            duplicates=self._numbered(findings.repetitions(self.pair_hashes)),
            conflicts=self._numbered(findings.conflicts(self.source_hashes, self.pair_hashes)) if has_targets else nothing,
            copies=Groups(self._copy_count, self._copy_count, [[number] for number in self._copies]),
            same_target=self._numbered(findings.most_frequent(self._target_hashes)) if has_targets else nothing,
            longer=self._longer_targets(),
            misaligned=self._misaligned(),
            samples=self._samples,
            changed=self._changed,
            units=None if self._units is None else self._units.result(),
        )
        self.result = result
        unlike = () if result.units is None else (result.units.unlike,)
        for groups in (*unlike, result.duplicates, result.conflicts, result.copies, result.same_target, result.longer):
            self.name_records(number for group in groups.listed for number in group)
        self.name_records(entry["record"] for entry in (result.misaligned.listed if result.misaligned else []))
        self.name_records(one for first in result.tally["first"].values() for one in first if not isinstance(one, str))
        self.name_records(entry["record"] for entry in (*result.samples, *result.changed.listed))
        return result

    def _longer_targets(self) -> Groups:
        ratios = np.frombuffer(self._log_ratios, dtype=np.float32)
        if len(ratios) == 0 or np.median(ratios) > math.log(0.5):
            return Groups(0, 0, [])
        return Groups(self._longer_count, self._longer_count, [[number] for number in self._longer])

    def _numbered(self, groups: Groups) -> Groups:
        """Groups of record numbers from groups of positions; the two differ if a split leaves records out."""
        return Groups(groups.records, groups.groups, [[self.numbers[position] for position in group] for group in groups.listed])

    def name_records(self, numbers: Iterator[int]) -> None:
        """Look up the places of the listed records."""
        for number in numbers:
            part = int(np.searchsorted(self._starts, number, side="right")) - 1
            self.result.labels[number] = self._parts[part].records.label(number - self._starts[part])

    def _tally(self) -> dict[str, Any]:
        """The tally of all parts."""
        total: dict[str, Any] = {"read": 0, "kept": 0, "dropped": Counter(), "truncated": Counter(), "first": {}}
        for start, part in zip(self._starts, self._parts, strict=False):
            if part.corpus is None:
                continue
            tally = part.corpus.tally
            total["read"] += tally["read"]
            total["kept"] += tally["kept"]
            total["dropped"].update(tally["dropped"])
            total["truncated"].update(tally["truncated"])
            for reason, first in tally["first"].items():  # numbers of records, or names of series
                total["first"].setdefault(reason, []).extend(one if isinstance(one, str) else start + one for one in first)
            if isinstance(part.corpus, MappedCorpus) and part.corpus.weights is not None:
                total.setdefault("weights", []).append(weights_said(part.corpus.weights))
            if "unit" in tally:
                total["unit"], total["windows"] = tally["unit"], total.get("windows", 0) + tally["windows"]
        return {**total, "dropped": dict(total["dropped"]), "truncated": dict(total["truncated"])}

    def _unknown_of(self, side: Side) -> Unknown | None:
        spec = self._specs[side]
        corpora = [
            part.corpus for part in self._parts if isinstance(part.corpus, MappedCorpus) and (side == "source" or part.corpus.has_targets)
        ]
        if not isinstance(spec, TokenSpec) or not corpora:
            return None
        symbols = total = records = 0
        for corpus in corpora:
            for offsets, values in corpus.blocks(side):
                unknown = per_row(offsets, values == spec.unknown)
                symbols, total, records = symbols + int(unknown.sum()), total + len(values), records + int((unknown > 0).sum())
        texts = self._unknown[side]
        return Unknown(symbols, symbols / max(1, total), records, texts.characters(), texts.words())

    def _misaligned(self) -> Misaligned | None:
        ratios = np.frombuffer(self._log_ratios, dtype=np.float32)
        bounds = findings.robust_bounds(ratios)
        if bounds is None:
            return None
        outside = int(((ratios < bounds[0]) | (ratios > bounds[1])).sum())
        return Misaligned(bounds, outside, self._outliers.outside(bounds))


def _element_lengths(parts: Sequence[Part], side: Side) -> Counter[int]:
    """The frequency of each encoded length; a target's start element does not count."""
    counts: Counter[int] = Counter()
    for part in parts:
        if part.corpus is None or (side == "target" and not part.corpus.has_targets):
            continue
        for start in range(0, len(part.corpus), _ROWS):
            sources, targets = part.corpus.lengths(np.arange(start, min(start + _ROWS, len(part.corpus))))
            values, occurs = np.unique(sources if side == "source" else targets - 1, return_counts=True)
            counts.update(Counter({int(value): int(count) for value, count in zip(values, occurs, strict=True)}))
    return counts
