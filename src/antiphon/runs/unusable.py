"""Lists all records that cannot be encoded, where training would stop at the first: for people who repair files."""

from antiphon.contracts.abilities import EncodesParts
from antiphon.contracts.asking import unfolded
from antiphon.contracts.task import Task
from antiphon.errors import DataError
from antiphon.recipe.splits import Split

_TOLD = 5


def all_unusable(split: Split, task: Task, first: DataError) -> DataError:
    """The error that names the first few records of a split that cannot be encoded, and their number.

    first   the error that encoding stopped with, which stands when it is the only one, or no record's
    """
    if not isinstance(task, EncodesParts):
        return first
    told, count, total = list[str](), 0, 0
    try:
        for part, _ in split.parts:
            records = unfolded(task, part)
            for number, record in records():
                total += 1
                try:
                    task.encode(record, number)
                except DataError as error:
                    count += 1
                    if len(told) < _TOLD:
                        told.append(f"{records.place(number)}: {str(error).rstrip('.')}")
    except DataError:  # the file cannot be read to its end
        return first
    if count < 2:
        return first
    more = "; ..." if count > len(told) else ""
    return DataError(f"{count:,} of {total:,} records of `data.{split.name}` cannot be used: {'; '.join(told)}{more}. Mend or remove them.")
