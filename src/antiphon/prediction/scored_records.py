"""Selects the records to score. The same ones as in training are left out, counted and named, or refused: records with an empty side, and
those that are longer than the model can read or write.

Most metrics cannot use the former: chrF ignores what was said where the reference is empty, and an empty source cannot be decoded. Of the
latter only long sources count here. What is said for a long reference can be scored; only its loss cannot be measured.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from antiphon.contracts.abilities import MakesItems
from antiphon.contracts.asking import items_of, parts_of
from antiphon.contracts.limits import Limits
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.records import Record, Records
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.contracts.task import Task
from antiphon.data.limits import empty_side
from antiphon.errors import DataError
from antiphon.recipe.assembly import read_given

_NAMED = 3

Empty = Literal["", "source", "target"]


@dataclass
class _LeftOut:
    """Records that were left out; the first few are named."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, place: Callable[[int], str], number: int, what: object) -> None:
        self.count += 1
        if len(self.first) < _NAMED:  # to find a place may mean to read the file again
            self.first.append(f"{place(number)} ({what})")

    def sentences(self, read: int, why: str, key: str) -> Iterator[str]:
        if self.count:
            first = f"{', '.join(self.first)}{' and others' if self.count > _NAMED else ''}"
            yield f"{self.count:,} of {read:,} records {'was' if self.count == 1 else 'were'} left out {why}, as `{key}` says: {first}."


def records_to_score(source: Any, task: Task, limits: Limits, model: Seq2SeqModel) -> tuple[list[Any], tuple[str, ...]]:
    """The items of the records of `source`, and sentences that say which records were left out; none if all are kept.

    Raises DataError, with file and line, where `limits` say so, and when nothing is left.
    """
    records = read_given(source, task, with_targets=True)
    if not isinstance(task.target_spec, TokenSpec):
        return list(items_of(task, records, scored=True)), ()
    place = _item_place if isinstance(task, MakesItems) else records.place
    # Recordings that are filled up to a length are heard in parts of that length, so none needs to be read for it.
    filled = isinstance(task.source_spec, ValueSpec) and task.source_spec.length is not None
    most = None if filled or limits.too_long == "truncate" else model.longest_source
    kept, empty, long, read = [], _LeftOut(), _LeftOut(), 0
    for number, record, side, length in _seen(records, task, most):
        read += 1
        if side and limits.empty == "error":
            raise DataError(
                f"{place(number)} must have a source and a target, but its {side} is empty. Remove it, or set `data.limits.empty: drop`."
            )
        if most is not None and length > most and limits.too_long == "error":
            raise DataError(
                f"{place(number)} must have a source of at most {most} elements, which is all that the model can read, but has"
                f" {length}. Split it, or set `data.limits.too_long` to drop or truncate."
            )
        if side and not (side == "target" and limits.empty == "keep"):
            empty.add(place, number, side)
        elif most is not None and length > most:
            long.add(place, number, length)
        else:
            kept.append(record)
    sentences: tuple[str, ...] = (
        *empty.sentences(read, "for an empty side", "data.limits.empty"),
        *long.sentences(read, f"since the model reads at most {most or 0:,} elements of a source", "data.limits.too_long"),
    )
    for reason, skipped in records.skipped().items():
        first = f"{', '.join(skipped.first[:_NAMED])}{', ...' if skipped.count > _NAMED else ''}"
        sentences += (f"{skipped.count:,} left out of what the files hold: {reason} ({first}).",)
    if sentences and not kept:
        raise DataError(f"There is nothing to score: {' '.join(sentences)}")
    return kept, sentences


def _item_place(number: int) -> str:
    return f"item {number + 1}"


def _seen(records: Records, task: Task, most: int | None) -> Iterator[tuple[int, Record, Empty, int]]:
    """Each item with its number, its empty side, if any, and where it matters the length of its longest part."""
    if isinstance(task, MakesItems):  # which makes none that is empty
        for number, item in enumerate(task.items(records, scored=True)):
            yield number, item, "", _length(item, task) if most is not None else 0
        return
    numbers = deque[int]()

    def counted() -> Iterator[Record]:
        for number, record in records():
            numbers.append(number)
            yield record

    for record in items_of(task, counted()):  # one for one, since the task makes no items
        number = numbers.popleft()
        try:
            side = _empty_side(record, number, task)
            length = 0 if side == "source" or most is None else _length(record, task)
        except DataError as error:
            raise DataError(f"{records.place(number)}: {error}") from error
        yield number, record, side, length


def _length(record: Record, task: Task) -> int:
    return max((len(task.encode(part).source) for part in parts_of(task, record)), default=0)


def _empty_side(record: Record, number: int, task: Task) -> Empty:
    if isinstance(task.source_spec, TokenSpec):
        if not str(task.source_of(record)).strip():
            return "source"
        return empty_side(task.encode(record, number), task.source_spec, task.target_spec)
    return "" if str(task.reference(record)).strip() else "target"  # sound is not read for this
