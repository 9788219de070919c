"""Source factors (Sennrich and Haddow 2016): further columns with a value for each word of the source, such as its part of speech.

Every symbol of a word has the word's values; what belongs to no word (the end, a tag, a prefix) has none.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, final

import numpy as np
from jaxtyping import Int
from pydantic import Field

from antiphon.contracts.configuration import config
from antiphon.contracts.records import Record
from antiphon.contracts.specs import Factor
from antiphon.errors import DataError
from antiphon.features.factors import NONE, FactorVocabulary
from antiphon.features.word_places import NO_WORD, words_in
from antiphon.tasks.example_per_record import of_each
from antiphon.tasks.text_requests import text_of


@config
class FactorConfig:
    """How the values of a column are combined with the embeddings of the source's symbols."""

    combine: Literal["sum", "concat"] = "sum"
    """`sum` adds an embedding of the same width; `concat` appends one of `dim` numbers, and a matrix maps both together to the width
    again."""
    dim: Annotated[int, Field(ge=1)] = 32
    """For `concat`: the width of the embeddings of values."""
    min_frequency: Annotated[int, Field(ge=1)] = 1
    """Values that occur less often in the training data are treated as unknown, like values that only occur later."""


@final
class SourceFactors:
    """The factors of a task, by column, in the order of the recipe."""

    def __init__(self, settings: Mapping[str, FactorConfig], source: str):
        self.settings, self._source = settings, source
        self._vocabularies: dict[str, FactorVocabulary] = {}

    def __bool__(self) -> bool:
        return bool(self.settings)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns with values."""
        return tuple(self.settings)

    @property
    def specs(self) -> tuple[Factor, ...]:
        """What a model needs to know; available once fitted."""
        own = self._vocabularies
        return tuple(Factor(name, own[name].size, one.combine, one.dim, own[name].fingerprint) for name, one in self.settings.items())

    def fit(self, records: Iterable[Record]) -> None:
        """Learn the values of every column. Raises DataError with the place of a record with invalid values."""
        for name, one in self.settings.items():
            texts = of_each(records, lambda record, name=name: self._values(record, name))  # type: ignore[misc]
            self._vocabularies[name] = FactorVocabulary.learn(texts, name, one.min_frequency)

    def encode(self, record: Record, places: Int[np.ndarray, " S"]) -> Int[np.ndarray, "S K"]:
        """The values for each symbol, given its word. Raises DataError when the numbers of values and words differ."""
        columns = []
        for name in self.settings:
            numbers = np.append(self._vocabularies[name].encode(self._values(record, name)), NONE)  # the last one for no word, at -1
            columns.append(numbers[places])
        assert NO_WORD == -1, "no word is the last number"
        return np.stack(columns, axis=1)

    def to_plain(self) -> dict[str, list[str]]:
        """The values, for JSON."""
        return {name: list(vocabulary.values) for name, vocabulary in self._vocabularies.items()}

    def restore(self, plain: Mapping[str, Sequence[str]]) -> None:
        """Restore the values of `to_plain`."""
        self._vocabularies = {name: FactorVocabulary(plain[name]) for name in self.settings}

    def _values(self, record: Record, name: str) -> Sequence[str]:
        value: Any = record.get(name)
        values = words_in(value) if isinstance(value, str) else value
        if not isinstance(values, list | tuple) or not all(isinstance(one, str) for one in values):
            what = "is missing" if value is None else f"is {value!r:.60}"
            raise DataError(f"`{name}` must have a value for each word of `{self._source}`, separated by white space, but {what}.")
        words = len(words_in(text_of(record, self._source)))
        if len(values) != words:
            raise DataError(
                f"`{name}` must have a value for each word of `{self._source}`, but has {len(values)} for {words}. Words are separated"
                " by white space."
            )
        return values
