"""Writes predictions back into copies of the input files: PO, XLIFF, subtitles and other formats. All else in them stays unchanged.

What a format does not let into a unit (a text that lost a placeholder, say) is asked for once more, with the phrases that it lacks as
required ones; where that is no help, the unit stays as it was and is named. Files are written when all predictions are there, each in one
step, and may replace their inputs; what a run that fails has said until then is in NAME.partial.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, final, runtime_checkable

from antiphon.contracts.reader import MissingError, Rewriter, Said
from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Prediction
from antiphon.contracts.task import Task
from antiphon.data.byte_streams import packed
from antiphon.data.file_records import FILE, UNIT, FileRecords
from antiphon.data.formats import suffix_of
from antiphon.errors import AntiphonError, ConfigError, DataError
from antiphon.prediction.inputs import Inputs
from antiphon.prediction.outputs import Output
from antiphon.store.atomic import replacing

Links = tuple[tuple[int, int], ...]


@runtime_checkable
class Answers(Protocol):
    """Something that predicts and aligns predictions: a `Predictor`."""

    @property
    def task(self) -> Task:
        """The task of the model."""

    def predict(self, inputs: Sequence[Record], *, on_error: Any) -> list[Prediction]:
        """A prediction for each record."""

    def score(self, records: Sequence[Record], *, alignment: bool, on_error: Any) -> list[Prediction]:
        """Scores of given targets, with word alignments."""


def open_rewriting(name: str, inputs: Inputs, answers: Answers) -> "RewrittenFiles | None":
    """The output that `name` asks for, if its inputs are files of a format that can be written back, and it is a file of the same kind, or
    a folder.

    `de.po.new` is a .po file, too. Raises DataError when two files would be written into one.
    """
    files = inputs.files
    if not files or any(file.reader.back is None for file in files):
        return None
    path = Path(name)
    if name == "-":
        return None
    if name.endswith("/") or path.is_dir():
        return RewrittenFiles([(file, path / _relative(file)) for file in files], answers)
    if _kind(path) not in files[0].reader.suffixes:
        return None
    if len(files) > 1:
        raise DataError(f"`--output` must be a folder, such as {path.with_suffix('')}/, as there are {len(files)} inputs, but is {name}.")
    return RewrittenFiles([(files[0], path)], answers)


def _kind(path: Path) -> str:
    """The suffix that tells a file's kind: of `de.po.new` it is the one before the last."""
    return suffix_of(path.with_suffix("") if path.suffix.lower() in (".new", ".out") else path)


def _relative(file: FileRecords) -> str:
    """A file's name in a folder of outputs: the same as in its original folder."""
    return Path(file.path_in_folder or file.paths[0].name).as_posix()


@final
class RewrittenFiles(Output):
    """The inputs, rewritten with the predictions for their units."""

    is_seen = False

    def __init__(self, files: Sequence[tuple[FileRecords, Path]], answers: Answers):
        self._answers, self._paths = answers, {file.name: path for file, path in files}
        self._files = {file.name: file for file, _ in files}
        twice = [path for path, count in Counter(path for _, path in files).items() if count > 1]
        if twice or len(self._paths) < len(files):
            raise DataError(f"Two inputs would be written into {(twice or list(self._paths.values()))[0]}. Name their folder as `--input`.")
        self._said: dict[str, list[tuple[Record, str]]] = {}
        self._written = 0
        self.left: list[str] = []

    @property
    def remark(self) -> str:
        """How many units were written, and where."""
        first, *others = self._paths.values()
        more = "" if not others else " and 1 more file" if len(others) == 1 else f" and {len(others)} more files"
        where = f"{first}{more}"
        units = "1 unit was" if self._written == 1 else f"{self._written:,} units were"
        return f"{units} written into {where}."

    @property
    def place(self) -> str:
        """The partial files beside the final ones."""
        return f"in {', '.join(str(_partial(self._paths[name])) for name in self._said)}; the files themselves are as they were"

    def open(self) -> None:
        """Nothing is written before the end. Raises DataError when partial files of an interrupted run are there."""
        there = next((partial for path in self._paths.values() if (partial := _partial(path)).exists()), None)
        if there is not None:
            raise DataError(f"{there} is there already: another run writes it, or one that was stopped has left it. Move it, or remove it.")

    def write(self, prediction: Prediction, record: Mapping[str, Any]) -> None:
        """Keep a prediction, unless the unit could not be used."""
        self.count += 1
        if "error" not in prediction.details:
            self._said.setdefault(str(record[FILE]), []).append((record, str(prediction.value)))

    def close(self, failure: type[BaseException] | None) -> None:
        """Write the files; after a failure, write those with predictions as partial files."""
        for name, file in self._files.items():
            assert file.reader.back is not None, "looked at before"
            rewriter = file.reader.back(file.reading)
            if failure is None:
                self._fill(file, rewriter, self._said.get(name, []))
                self._save(self._paths[name], rewriter.content())
            elif name in self._said:
                for record, text in self._said[name]:
                    with suppress(DataError):  # the first error is told; a unit that is refused waits still
                        rewriter.put(record[UNIT], Said(text))
                self._save(_partial(self._paths[name]), rewriter.content())

    def _fill(self, file: FileRecords, rewriter: Rewriter, said: Sequence[tuple[Record, str]]) -> None:
        """Put the predictions into the units of a file; units whose prediction does not fit are predicted again."""
        missing: list[tuple[Record, str, MissingError]] = []
        for record, text, links in self._linked(said, rewriter):
            try:
                rewriter.put(record[UNIT], Said(text, links))
                self._written += 1
            except MissingError as error:
                missing.append((record, text, error))
            except DataError as error:
                self._leave(file, record, text, error)
        again = self._again([(record, error.phrases) for record, _, error in missing])
        for (record, first, lack), (_, text, links) in zip(missing, self._linked(again, rewriter), strict=True):
            try:
                rewriter.put(record[UNIT], Said(text, links))
                self._written += 1
            except DataError:
                self._leave(file, record, first, lack)

    def _again(self, wanted: Sequence[tuple[Record, tuple[str, ...]]]) -> list[tuple[Record, str]]:
        """New predictions for records with required phrases; unchanged where the search does not support these."""
        asked = [{**record, "required": [*record.get("required", ()), *phrases]} for record, phrases in wanted]
        try:
            found = self._answers.predict(asked, on_error="keep") if asked else []
        except ConfigError:
            return [(record, "") for record, _ in wanted]
        return [(record, "" if "error" in one.details else str(one.value)) for (record, _), one in zip(wanted, found, strict=True)]

    def _linked(self, said: Sequence[tuple[Record, str]], rewriter: Rewriter) -> Iterator[tuple[Record, str, Links | None]]:
        """Predictions with word alignments, where the unit needs them and the model can give them."""
        target = self._answers.task.target_column
        wanting = [place for place, (record, _) in enumerate(said) if rewriter.wants_links(record[UNIT])]
        found: dict[int, Links] = {}
        if wanting and target is not None:
            asked = [{**said[place][0], target: said[place][1]} for place in wanting]
            try:
                scored = self._answers.score(asked, alignment=True, on_error="keep")
                links = [_links(one.details.get("word_alignment")) for one in scored]
                found = {place: one for place, one in zip(wanting, links, strict=True) if one is not None}
            except AntiphonError:  # a model without attention, or an engine that does not show it
                pass
        for place, (record, text) in enumerate(said):
            yield record, text, found.get(place)

    def _leave(self, file: FileRecords, record: Record, text: str, error: DataError) -> None:
        self.left.append(f"{file.place(record[UNIT] - 1)} stays as it was, since {error}: {text!r}")

    @staticmethod
    def _save(path: Path, content: bytes) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path.resolve() if path.is_symlink() else path, "wb") as file:
                file.write(packed(content, path))
        except OSError as error:
            raise DataError(f"{path} cannot be written: {error.strerror}.") from error


def _partial(path: Path) -> Path:
    """The path of an incomplete file."""
    return path.with_name(f"{path.name}.partial")


def _links(pharaoh: object) -> Links | None:
    """Word links, parsed from a line."""
    if not isinstance(pharaoh, str):
        return None
    return tuple((int(source), int(target)) for source, _, target in (link.partition("-") for link in pharaoh.split()))
