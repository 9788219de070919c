"""Predictions with a trained model, for one input, a list, or a stream that never ends."""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, final, overload, runtime_checkable

import numpy as np

from antiphon.contracts.abilities import Hears, Streams, StreamsText
from antiphon.contracts.asking import items_of, joined, parts_of, rows_of
from antiphon.contracts.configuration import plain
from antiphon.contracts.engine import SearchesItself
from antiphon.contracts.files import as_file
from antiphon.contracts.following import FollowedSource
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.records import Record
from antiphon.contracts.search import SaysCopies, Search
from antiphon.contracts.sequences import Example, Prediction, Request
from antiphon.contracts.specs import TokenSpec
from antiphon.data.limits import fitting
from antiphon.data.prefetch import ahead
from antiphon.errors import ConfigError, DataError
from antiphon.prediction.alike import check_alike
from antiphon.prediction.compiling import compiled, remarks_on_compiling, uncompiled
from antiphon.prediction.decoding import decode_examples
from antiphon.prediction.documents import Continues, Part, Said
from antiphon.prediction.files import WrittenFiles, predict_files
from antiphon.prediction.refusals import check_unicode, nothing, refused
from antiphon.prediction.sources import readable
from antiphon.prediction.target_scores import TargetScorer
from antiphon.prediction.windows import WINDOW, Live, full, growing, windows
from antiphon.prediction.workers import DecodingWorkers, Way
from antiphon.recipe.assembly import Trained, build_search, load_task, needs_steps, read_given, stepwise
from antiphon.recipe.exported import device_for
from antiphon.recipe.recipe import Recipe, changeable, recipe_from, with_overrides
from antiphon.search.ensemble import Average, together

OnError = Literal["raise", "keep"]
Blank = Literal["refuse", "answer"]


@dataclass(frozen=True)
class _Ready:
    """A preprocessed input: its number from 1, its record, and the parts to decode."""

    number: int
    record: Record
    parts: list[Part]


_Entry = Prediction | _Ready
"""An input made ready, or what is said of one that needs no decoding: it cannot be used, or is blank."""


@runtime_checkable
class Frame(Protocol):
    """A polars or pandas frame, recognized by its columns."""

    @property
    def columns(self) -> Any: ...


@final
class Predictor:
    """A trained model with its task and search. `antiphon.load` makes one.

    `search` may be changed by `with_search`; results do not depend on what else is in a batch.
    """

    def __init__(
        self,
        trained: Sequence[Trained],
        *,
        device: str = "auto",
        overrides: Sequence[str] = (),
        weights: Sequence[float] | None = None,
        average: Average | None = None,
        compiles: bool = False,
    ):
        """`compiles` is whether steps are compiled if `engine.compiled` asks for it."""
        first = check_alike(trained)
        self.device = device_for([item.header for item in trained], device)
        self.trained = tuple(trained)
        self.recipe: Recipe = with_overrides(first.recipe, overrides) if overrides else first.recipe
        self.task = first.task if self.recipe.task == first.recipe.task else load_task(self.recipe, first)
        models = [item.model.to(self.device).eval() for item in trained]
        if needs_steps(self.recipe.search):
            models = [stepwise(model, self.recipe.search.name) for model in models]
        if compiles and self.recipe.engine.compiled:
            models = [compiled(model, item, self.device) for model, item in zip(models, trained, strict=True)]
        self.model: Seq2SeqModel = together(models, average, weights)
        self.limits = fitting(self.recipe.data.limits, self.model)
        self.search, self._copies, self._says_copies = self._searching(), True, False
        self._workers: DecodingWorkers | None = None

    @property
    def remarks(self) -> Sequence[str]:
        """Sentences about the model at work: what was compiled, and how long that took."""
        return remarks_on_compiling(self.model)

    def with_workers(self, workers: DecodingWorkers | None) -> "Predictor":
        """The same model, with batches decoded by other processes that have opened it as well."""
        other = copy.copy(self)
        other._workers = workers
        return other

    def without_copies(self) -> "Predictor":
        """The same model, without details that need an extra pass: copied symbols (`details["copied"]`), and from workers the
        `step_scores`."""
        other = copy.copy(self)
        other._copies = False
        return other

    def _saying_copies(self) -> "Predictor":
        if not (self._copies and self.model.copies and isinstance(self.search, SaysCopies)):
            return self
        other = copy.copy(self)
        other.search, other._says_copies = self.search.with_copies(), True
        return other

    def decoding_by(self, way: Way) -> "Predictor":
        """The same model, configured for batches that another process sends."""
        other = self.with_search(way.search)
        other.recipe = replace(other.recipe, evaluation=replace(other.recipe.evaluation, batch_size=way.batch_size))
        return other._saying_copies() if way.copies else other

    def decode(self, examples: Sequence[Example], requests: Sequence[Request]) -> list[Prediction]:
        """The search's hypotheses for examples, each with its request; an empty prediction where the request cannot be satisfied."""
        size = self.recipe.evaluation.batch_size
        if self._workers is not None:
            return self._workers.decode(examples, requests, Way(plain(self.recipe.search), self._says_copies, self._copies, size))
        return decode_examples(self.model, self.search, self.task, examples, requests, batch_size=size, device=self.device, refused=refused)

    def with_search(self, settings: Mapping[str, Any]) -> "Predictor":
        """The same model with other search settings: `{"beam_size": 1}`, or `{"name": "sampling", "temperature": 0.8}`.

        Raises ConfigError when the search needs steps that the model cannot take.
        """
        current = plain(self.recipe.search)
        kept = current if settings.get("name", current["name"]) == current["name"] else {}
        other = copy.copy(self)
        other.recipe = recipe_from({**changeable(self.recipe), "search": {**kept, **settings}}, trust=self.recipe.trust)
        if needs_steps(other.recipe.search):
            stepwise(self.model, other.recipe.search.name)
        other.search = other._searching()
        return other

    def _searching(self) -> Search:
        """The search of the recipe, or an engine's own that finds the same hypotheses."""
        settings, own = self.recipe.search, None
        if isinstance(self.model, SearchesItself) and self.recipe.engine.search == "native":
            own = self.model.own_search(settings)
        return build_search(settings, self.task) if own is None else own

    @overload
    def predict(self, inputs: str | bytes | Path | Record, *, on_error: OnError = "raise", blank: Blank = "refuse") -> Prediction: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, inputs: Sequence[str | Record], *, on_error: OnError = "raise", blank: Blank = "refuse") -> list[Prediction]: ...
    @overload
    def predict(self, inputs: Frame, *, on_error: OnError = "raise", blank: Blank = "refuse") -> list[Prediction]: ...
    @overload
    def predict(self, inputs: Iterator[str | Record], *, on_error: OnError = "raise", blank: Blank = "refuse") -> Iterator[Prediction]: ...

    def predict(
        self, inputs: Any, *, on_error: OnError = "raise", blank: Blank = "refuse"
    ) -> Prediction | list[Prediction] | Iterator[Prediction]:
        """Predict for a text or record, for a list of them or a frame, or lazily for an iterator, in the order given.

        Where records are rows of series, there is one prediction for each series. Where sources are recordings, a text is the path of one,
        bytes are a file's content, and an array is samples at the rate that the model hears.

        Of an iterator, the first answers come after one batch; later more inputs are read ahead, up to 16 batches, and sorted by length.
        When it raises, all that it gave before is answered first. If it has a method `is_ready`, which says whether its next input is
        there, what was read is answered whenever it is not.

        A record is a mapping with the task's source columns; its optional fields `prefix`, `required`, `banned` and `hot_words` ask for a
        forced opening and for phrases that must, must not or should appear. `details` counts symbols of the source that were cut off
        (`source_cut`), and that the vocabulary does not know (`source_unknown`).

        on_error   what an input that cannot be used (empty, far too long, no text, asking for what cannot be said) does: "raise" a
                   DataError that names it, or "keep" its place with an empty prediction, whose `details["error"]` says why
        blank      whether a source of nothing but blanks is such an input, or is answered with nothing, as the blank lines of a text are
        """
        if isinstance(inputs, np.ndarray) and isinstance(self.task, Hears):  # a sound is one input, not as many as it has samples
            inputs = {self.task.source_columns[0]: inputs, "sample_rate": self.task.sample_rate}
        stream = self._saying_copies()._stream
        if isinstance(inputs, str | bytes | Path | Mapping):
            return next(stream(items_of(self.task, [inputs]), on_error, blank))
        if isinstance(inputs, Sequence):
            return list(stream(items_of(self.task, inputs), on_error, blank))
        if isinstance(inputs, Frame):
            return list(stream(items_of(self.task, read_given(inputs, self.task, with_targets=False)), on_error, blank))
        if isinstance(inputs, Iterable):
            live = inputs if isinstance(inputs, Live) else None
            return stream(items_of(self.task, inputs), on_error, blank, sizes=growing(self.recipe.evaluation.batch_size), live=live)
        raise DataError(f"An input must be a text, a record, or several of them, but is {type(inputs).__name__}.")

    @overload
    def score(self, records: Record, *, alignment: bool = False, on_error: OnError = "raise") -> Prediction: ...
    @overload
    def score(self, records: Sequence[Record], *, alignment: bool = False, on_error: OnError = "raise") -> list[Prediction]: ...
    @overload
    def score(self, records: Frame, *, alignment: bool = False, on_error: OnError = "raise") -> list[Prediction]: ...
    @overload
    def score(self, records: Iterator[Record], *, alignment: bool = False, on_error: OnError = "raise") -> Iterator[Prediction]: ...

    def score(
        self, records: Any, *, alignment: bool = False, on_error: OnError = "raise"
    ) -> Prediction | list[Prediction] | Iterator[Prediction]:
        """The model's scores of given targets: for a record, for a list or a frame, or lazily for an iterator, in order.

        A prediction's value is the target. Its hypothesis has `log_prob`, the natural logarithm of the target's probability, `score`, the
        mean of it per symbol, and `step_scores`, those of the symbols and the end, which `details["target_pieces"]` names; of values
        log-densities of the steps, of a model with CTC and no decoder those over all alignments.

        alignment   whether `details["word_alignment"]` links each word to that of the source which it looks at most: `0-0 1-2`
        on_error    what a record that cannot be used does: "raise" a DataError that names it, or "keep" its place, as in `predict`

        Raises ConfigError when the model has no attention to align words by, or says values but no distribution of them.
        """
        if isinstance(records, Mapping):
            return next(self.score_items(items_of(self.task, [records], scored=True), alignment=alignment, on_error=on_error))
        if isinstance(records, Frame):
            records = list(read_given(records, self.task, with_targets=True))
        found = self.score_items(items_of(self.task, records, scored=True), alignment=alignment, on_error=on_error)
        return list(found) if isinstance(records, Sequence) else found

    def score_items(self, items: Iterator[Any], *, alignment: bool = False, on_error: OnError = "raise") -> Iterator[Prediction]:
        """Like `score`, for items that `task.items` made of records."""
        size = self.recipe.evaluation.batch_size
        limits = self.recipe.data.limits
        scorer = TargetScorer(self.model, self.task, limits, batch_size=size, device=self.device, alignment=alignment)
        return scorer.stream(items, None if on_error == "raise" else refused)

    def stream(self, blocks: Iterable[np.ndarray], sample_rate: int) -> Iterator[Prediction]:
        """Transcribe a recording while it is arriving: a prediction of all so far after each block of samples, and one at the end.

        blocks        samples (N,) or (N, channels), of any length each, as they arrive
        sample_rate   samples a second

        `details` says how many seconds were `received` and `decided`, the `latency` in seconds, and whether this is the `final` one. Needs
        a run of speech recognition with `model: encoder_only` or `transducer` and `chunk`, and features that can be computed as they come.
        Raises ConfigError when the run cannot do this, DataError when a block is no sound.
        """
        return _said_after_each(blocks, self.follow(sample_rate))

    def follow(self, sample_rate: int) -> FollowedSource:
        """Like `stream`, for callers that push blocks: `hear(block)` gives a prediction, or None if nothing is new, `end()` the last."""
        if not isinstance(self.task, Streams):
            raise ConfigError(f"A stream needs a run of speech recognition, but this is one of {self.task.name}.")
        return self.task.follow(self.model, sample_rate)

    def stream_text(self, words: Iterable[str], record: Record | None = None) -> Iterator[Prediction]:
        """Translate a text while its words arrive: a prediction of all that is decided after each word, and one of the whole at the end,
        equal to that of `search: greedy`. `record` has the other columns of a source, such as tags.

        `details` says how many words were `read`, which `words` are decided, each with how many had been read then (`after`), and whether
        this is the `final` one. Needs one run with `model.wait_k`. Raises ConfigError when the run cannot do this.
        """
        if not isinstance(self.task, StreamsText):
            raise ConfigError(f"A stream of words needs a run that turns texts into texts, but this is one of {self.task.name}.")
        return self.task.stream_text(uncompiled(self.model), self.recipe.search, words, record or {})

    def predict_items(self, items: Sequence[Any], *, on_error: OnError = "raise") -> list[Prediction]:
        """Predict items that `task.items` made of records, to be scored: copied symbols are not reported."""
        return list(self._stream(iter(items), on_error))

    def predict_files(self, inputs: Any, output: Path | str) -> WrittenFiles:
        """Predict all inputs of files, and write the predictions, like `antiphon predict --input --output`.

        inputs   a file, a pattern such as "po/*.po", a folder, a mapping as in a recipe, or a list of these
        output   a file or folder/; one of the inputs' kind is written as they are, with predictions in their units, also in its own place

        The result names what could not be used, and what could not be written. Raises DataError or ConfigError where nothing can be done.
        """
        entries = inputs if isinstance(inputs, list | tuple) else [inputs]
        try:
            named = [Path(entry) if isinstance(entry, str | Path) else as_file(entry) for entry in entries]
        except ValueError as error:
            raise ConfigError(f"`inputs` must name files, but {error}") from error
        return predict_files(self, named, str(output))

    def predict_table(self, inputs: Any) -> Any:
        """Predictions as a polars frame: forecasts in the long format of their history. `inputs` are as for `predict`, or a file."""
        import polars

        records = read_given(inputs, self.task, with_targets=False)
        predictions = self._stream(items_of(self.task, records), "raise")
        return polars.DataFrame([row for prediction in predictions for row in rows_of(self.task, prediction)])

    def _stream(
        self,
        inputs: Iterator[Any],
        on_error: OnError,
        blank: Blank = "refuse",
        *,
        sizes: Iterator[int] | None = None,
        live: Live | None = None,
    ) -> Iterator[Prediction]:
        """Predictions one by one; `sizes` are the sizes of the windows to decode, large ones unless inputs arrive one by one."""
        size = self.recipe.evaluation.batch_size
        said = Said(self.task) if isinstance(self.task, Continues) and self.task.continues else None
        entries: Iterator[_Entry] = self._entries(inputs, on_error, blank)
        if self._workers is not None and live is None:
            sizes = full(size * self._workers.count // 2) if self._workers.count > 2 else None  # so that none waits long for the others
            entries = ahead(entries, size * WINDOW)  # while other processes decode, this one prepares
        for window in windows(entries, full(size) if sizes is None else sizes, _parts_in, live):
            found = iter(self._decoded([entry for entry in window if isinstance(entry, _Ready)], on_error, said))
            for entry in window:
                yield entry if isinstance(entry, Prediction) else next(found)

    def _decoded(self, ready: Sequence[_Ready], on_error: OnError, said: Said | None) -> Iterator[Prediction]:
        """The predictions for inputs, joined from their parts; `said` is given where they depend on earlier outputs."""

        def decode(parts: Sequence[Part]) -> list[Prediction]:
            return self.decode([part.example for part in parts], [part.request for part in parts])

        parts = [part for entry in ready for part in entry.parts]
        found = iter(decode(parts) if said is None else said.decoded(parts, decode))
        for entry in ready:
            own = [next(found) for _ in entry.parts]
            wrong = next((one for one in own if "error" in one.details), None)
            if wrong is not None and on_error == "raise":
                raise DataError(f"Input {entry.number}: {wrong.details['error']}")
            yield self._joined(entry, own) if wrong is None else wrong

    def _joined(self, entry: _Ready, predictions: Sequence[Prediction]) -> Prediction:
        """One prediction, with the number of elements cut off its source, and of symbols unknown to the vocabulary."""
        prediction, spec = joined(self.task, predictions, entry.record), self.task.source_spec
        sources = [part.example for part in entry.parts]
        counts = {"source_cut": sum(example.cut for example in sources)}
        if isinstance(spec, TokenSpec):
            counts["source_unknown"] = sum(self._unknown(example.source, spec) for example in sources)
        said = {name: count for name, count in counts.items() if count}
        return replace(prediction, details={**prediction.details, **said}) if said else prediction

    def _unknown(self, source: np.ndarray, spec: TokenSpec) -> int:
        """The number of symbols unknown to the vocabulary; an open word is known to a model that can copy it."""
        return int((source == spec.unknown).sum() + (0 if self.model.copies else (source >= spec.size).sum()))

    def _entries(self, inputs: Iterator[Any], on_error: OnError, blank: Blank) -> Iterator[_Entry]:
        """Preprocessed inputs, one by one."""
        for number, item in enumerate(inputs):
            entry: _Entry
            try:
                record = self._record(item)
                if isinstance(self.task.source_spec, TokenSpec):
                    check_unicode(record.get(self.task.source_columns[0]))
                if blank == "answer" and not str(self.task.source_of(record)).strip():
                    entry = nothing("end")
                else:
                    entry = _Ready(number + 1, record, [self._prepare(part, number) for part in parts_of(self.task, record)])
            except DataError as error:
                if on_error == "raise":
                    raise DataError(f"Input {number + 1}: {error}") from error
                entry = refused(str(error))
            yield entry

    def _prepare(self, record: Record, number: int) -> Part:
        target = self.task.target_column
        example = self.task.encode({key: value for key, value in record.items() if key != target}, number)
        return Part(record, readable(example, record, self.task, self.model, self.recipe.data.limits), self.task.request(record))

    def _record(self, item: Any) -> Record:
        if isinstance(item, str | bytes | Path):
            columns = self.task.source_columns
            if len(columns) > 1:
                raise DataError(f"it must be a record with the columns {', '.join(columns)}, but is a {type(item).__name__}.")
            return {columns[0]: str(item) if isinstance(item, Path) else item}
        if not isinstance(item, Mapping):
            raise DataError(f"it must be a text or a mapping, but is {type(item).__name__}.")
        return item


def _parts_in(entry: _Entry) -> int:
    """The number of parts to decode for an input; at least 1, so that windows end."""
    return 1 if isinstance(entry, Prediction) else max(1, len(entry.parts))


def _said_after_each(blocks: Iterable[np.ndarray], source: FollowedSource) -> Iterator[Prediction]:
    for block in blocks:
        said = source.hear(block)
        if said is not None:
            yield said
    yield source.end()
