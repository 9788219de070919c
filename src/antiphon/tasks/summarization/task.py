"""Summarization: a document and its summary, an article and its headline, a description and its synopsis.

What it adds to a pair of texts: references know their documents, so that metrics can say what is new and what is copied; simple summaries
stand beside every score (the first words, the first sentence, the best sentences that an oracle would take); words that the vocabulary
does not have can be copied; and a summary can be asked to have about so many words.

Unusual: length is learned, not forced. Every training document begins with a symbol for the class of its summary's length, the classes
holding about equally many summaries (Fan, Grangier and Auli 2018); at prediction the wish chooses the class. Hard limits are the search's.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from antiphon.contracts.records import Record
from antiphon.errors import ConfigError, DataError
from antiphon.metrics.sourced import SourcedText
from antiphon.metrics.words import words
from antiphon.store import checkpoint
from antiphon.tasks.example_per_record import of_each
from antiphon.tasks.summarization.baselines import summary_baselines
from antiphon.tasks.summarization.config import SummarizationConfig
from antiphon.tasks.text_pairs import TextPairs
from antiphon.tasks.text_requests import text_of

_LENGTHS = "lengths.json"


@final
class Summarization(TextPairs):
    """A document and its summary."""

    name = "summarization"
    not_encoded = TextPairs.not_encoded | {"length", "baselines"}  # a length is wished of a record without a summary

    def __init__(self, settings: SummarizationConfig):
        self.lengths = settings
        self.bounds: tuple[int, ...] = ()
        super().__init__(settings)

    def fit(self, records: Iterable[Record]) -> None:
        """Learn the vocabularies and the length classes. `records` must be iterable several times."""
        if self.lengths.length_classes:
            self.bounds = self._learn_bounds(records)
        super().fit(records)

    @property
    def learned(self) -> Any:
        """The symbols of tags, and the length classes."""
        return [super().learned, self.bounds]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know after fitting."""
        if not self.bounds:
            return super().notes
        classes = [f"up to {bound}" for bound in self.bounds] + [f"above {self.bounds[-1]}"]
        return (*super().notes, f"Summaries have one of {len(classes)} classes of length, in words: {', '.join(classes)}.")

    def about(self) -> dict[str, Any]:
        """The upper bounds in words of all length classes but the last, if a record's field `length` can request one."""
        return {"lengths": list(self.bounds)}

    def lead(self, record: Record) -> tuple[str, ...]:
        """The symbols of length class and tags. In training the length is that of the summary, in prediction the requested one."""
        if not self.lengths.length_classes:
            return super().lead(record)
        return (self.more_symbols()[self._length_class(record)], *super().lead(record))

    def more_symbols(self) -> tuple[str, ...]:
        """The symbols of the length classes."""
        return tuple(f"<length_{number + 1}>" for number in range(self.lengths.length_classes))

    def reference(self, record: Record) -> str:
        """The summary, with its document as source."""
        return SourcedText(super().reference(record), self.source_of(record))

    def baselines(self, items: Sequence[Any]) -> Mapping[str, Sequence[str]]:
        """The outputs of the recipe's baselines: the first words, the first sentence, the sentences closest to the reference."""
        references = [[super(Summarization, self).reference(item)] for item in items]
        return summary_baselines([self.source_of(item) for item in items], references, self.lengths.baselines)

    def save(self, folder: Path) -> None:
        """Write the vocabularies, tags and length classes."""
        super().save(folder)
        if self.bounds:
            checkpoint.write_json(folder / _LENGTHS, {"bounds": list(self.bounds)})

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        if self.lengths.length_classes:
            self.bounds = tuple(checkpoint.read_json(folder / _LENGTHS)["bounds"])
        super().load(folder)

    def _learn_bounds(self, records: Iterable[Record]) -> tuple[int, ...]:
        """The upper bounds of all classes but the last, in words, such that the classes contain about equally many summaries."""
        counts = sorted(of_each(records, lambda record: len(words(text_of(record, self.settings.target)))))
        wanted = self.lengths.length_classes
        places = [len(counts) * number // wanted for number in range(1, wanted)] if counts else []
        bounds = tuple(counts[max(place - 1, 0)] for place in places)
        if len(set(bounds)) < wanted - 1:
            found = len(set(counts))
            raise ConfigError(
                f"`task.length_classes` must be fewer, since the summaries have only {found} different lengths in words, too unevenly"
                f" spread for {wanted} classes. Set it to 0 or to a smaller number."
            )
        return bounds

    def _length_class(self, record: Record) -> int:
        if record.get(self.settings.target) is not None:
            wanted = len(words(text_of(record, self.settings.target)))
        else:
            wish = record.get("length", self.lengths.length)
            if wish is None:
                return self.lengths.length_classes // 2
            if isinstance(wish, bool) or not (isinstance(wish, int) or (isinstance(wish, str) and wish.isdigit())) or int(wish) < 1:
                raise DataError(f"`length` must be a number of words, at least 1, but is {wish!r}.")
            wanted = int(wish)
        return bisect_right(self.bounds, wanted - 1)
