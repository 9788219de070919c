"""Records to score. What training leaves out since one side says nothing is left out here, too, counted and named, or refused.

Most metrics cannot use such a record: chrF ignores what was said where the reference is empty, and an empty source cannot be decoded.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any

from antiphon.contracts.abilities import MakesItems, items_of
from antiphon.contracts.limits import Limits
from antiphon.contracts.records import Record, Records
from antiphon.contracts.specs import TokenSpec
from antiphon.contracts.task import Task
from antiphon.data.limits import empty_side
from antiphon.errors import DataError
from antiphon.recipe.assembly import read_given

_NAMED = 3


def records_to_score(source: Any, task: Task, limits: Limits) -> tuple[list[Any], str]:
    """The items of the records of `source`, and a sentence that says which records were left out; empty where all are there.

    Raises DataError, with file and line, where `limits.empty` says so, and when nothing is left.
    """
    records = read_given(source, task, with_targets=True)
    if isinstance(task, MakesItems) or not isinstance(task.target_spec, TokenSpec):
        return list(items_of(task, records, scored=True)), ""
    kept, left_out, read = [], list[str](), 0
    for number, record, side in _sides(records, task):
        read += 1
        if side and limits.empty == "error":
            raise DataError(
                f"{records.place(number)} must have something on both sides, but its {side} is empty. Remove it, or set"
                " `data.limits.empty: drop`."
            )
        if side and not (side == "target" and limits.empty == "keep"):
            left_out.append(f"{records.place(number)} ({side})" if len(left_out) < _NAMED else "")
        else:
            kept.append(record)
    if not left_out:
        return kept, ""
    first = f"{', '.join(left_out[:_NAMED])}{', ...' if len(left_out) > _NAMED else ''}"
    verb = "was" if len(left_out) == 1 else "were"
    sentence = f"{len(left_out):,} of {read:,} records {verb} left out for an empty side, as `data.limits.empty` says: {first}."
    if not kept:
        raise DataError(f"There is nothing to score: {sentence}")
    return kept, sentence


def _sides(records: Records, task: Task) -> Iterator[tuple[int, Record, str]]:
    """Each record with its number and the side that is empty, if one is."""
    numbers = deque[int]()

    def counted() -> Iterator[Record]:
        for number, record in records():
            numbers.append(number)
            yield record

    for record in items_of(task, counted()):  # one for one, since the task makes no items
        number = numbers.popleft()
        try:
            yield number, record, _empty_side(record, number, task)
        except DataError as error:
            raise DataError(f"{records.place(number)}: {error}") from error


def _empty_side(record: Record, number: int, task: Task) -> str:
    if isinstance(task.source_spec, TokenSpec):
        if not str(task.source_of(record)).strip():
            return "source"
        return empty_side(task.encode(record, number), task.source_spec, task.target_spec)
    return "" if str(task.reference(record)).strip() else "target"  # sound is not read for this
