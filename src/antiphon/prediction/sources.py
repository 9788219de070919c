"""Checks which sources can be predicted: those that are empty, longer than the model can read, or far longer than all in training are
refused one by one, or truncated if the recipe truncates."""

from antiphon.contracts.limits import Limits
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Example
from antiphon.contracts.specs import TokenSpec
from antiphon.contracts.task import Task
from antiphon.data.limits import cut_source, fitting, longest_source
from antiphon.errors import DataError

VERY_LONG = 50_000  # elements of a source that nobody spoke of when the model was trained
LONG = 8  # an input so many times longer than any in training is refused: it would take all memory and give nonsense


def readable(example: Example, record: Record, task: Task, model: Seq2SeqModel, limits: Limits) -> Example:
    """The example for a record, truncated if the recipe's limits do so. Raises DataError for a source that is empty or too long."""
    if not str(task.source_of(record)).strip():
        raise DataError("the source is empty.")
    example = cut_source(example, fitting(limits, model), task.source_spec)
    most, length = limits.max_source_length, len(example.source)
    longest = longest_source(model) if isinstance(task.target_spec, TokenSpec) else None
    if longest is not None and length > longest:
        raise DataError(
            f"the source has {length} elements, more than the {longest} that the model can read. Split it, or cut it with"
            " `data.limits.too_long=truncate`."
        )
    if most is not None and length > most * LONG:
        raise DataError(
            f"the source has {length} elements, more than {LONG} times the longest of training ({most}). Split it, or cut it with"
            " `data.limits.too_long=truncate`."
        )
    if most is None and length > VERY_LONG and isinstance(task.source_spec, TokenSpec):
        raise DataError(
            f"the source has {length} elements, more than {VERY_LONG}, and the recipe has no limit. Split it, or say with"
            " `data.limits.max_source_length` that such sources are meant."
        )
    return example
