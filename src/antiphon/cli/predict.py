"""antiphon predict: inputs in, predictions out, in the same order, one for one.

Unusual: a run is a folder, so a file among the runs can only be an input: `antiphon predict runs/speech talk.mp3`. A folder of inputs is
named by `--input`: recordings, or texts, each of which is one document.
"""

import csv
import itertools
import json
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from antiphon.cli.options import AsJson, Runs, Set, TrustCode

FILE = "file"  # the column with the name of a document in a folder
OWN = ("prediction", "score", "log_prob", "token_scores", "finish_reason", "alignment", "alternatives")  # what we say of a prediction

if TYPE_CHECKING:
    from antiphon.contracts.abilities import Tabular
    from antiphon.contracts.sequences import Prediction
    from antiphon.contracts.task import Task
    from antiphon.prediction.predictor import Predictor


def predict(
    run: Runs,
    input: Annotated[  # noqa: A002
        str, typer.Option("--input", "-i", help="A file of texts or records, or a folder of them; - is standard input, a text a line.")
    ] = "-",
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="Where to write; - is standard output. *.jsonl gets all details, FOLDER/ a file for each; forecasts are csv or *.tsv.",
        ),
    ] = "-",
    settings: Set = None,
    as_json: AsJson = False,
    trust_code: TrustCode = False,
) -> None:
    """Predict for each input. An input that cannot be used keeps its place with an empty line and is named on standard error.

    Example: echo "Open the file." | antiphon predict runs/german --set search.beam_size=1
    """
    from antiphon.errors import ConfigError, DataError
    from antiphon.prediction.predictor import load

    runs, files = _apart(run)
    if files and input != "-":
        raise ConfigError(f"Inputs must be named once, but are both `--input {input}` and {files[0]}.")
    predictor = load(runs, overrides=settings or (), trust_code=trust_code)
    inputs = _inputs(files or input, predictor)
    others: deque[dict[str, Any]] = deque()
    predictions = predictor.predict(_noted(inputs, others, predictor.task), on_error="keep")
    is_json = as_json or Path(output).suffix == ".jsonl"
    if getattr(predictor.recipe.task, "subtitles", "none") != "none" and not is_json:
        predictions = _with_subtitles(predictions, output)
        output = output if output == "-" or not Path(output).is_dir() else "-"
    elif not as_json and (output.endswith("/") or Path(output).is_dir()):
        predictions = _as_files(predictions, Path(output), inputs)
        output = "-"
    refused = cut = 0
    with _opened(output) as file:
        write = _writer(file, predictor.task, as_json=as_json, suffix=Path(output).suffix)
        next(write)
        for number, prediction in enumerate(predictions, 1):
            known = others.popleft() if others else {}
            if "error" in prediction.details:
                refused += 1
                name = f" ({known[FILE]})" if FILE in known else ""
                print(f"antiphon: input {number}{name}: {prediction.details['error']}", file=sys.stderr)
            cut += "source_cut" in prediction.details
            write.send(replace(prediction, details={**known, **prediction.details}) if is_json else prediction)
        write.close()
    if cut:
        most = predictor.recipe.data.limits.max_source_length
        print(f"antiphon: {cut} of {number} inputs were cut to {most} elements, as `data.limits` says.", file=sys.stderr)
    if refused:
        what = (
            "1 input could not be used; its prediction is" if refused == 1 else f"{refused} inputs could not be used; their predictions are"
        )
        raise DataError(f"{what} empty.")


def _apart(named: list[Path]) -> tuple[list[Path], list[Path]]:
    """Runs, and the files behind them. Raises ConfigError for what is neither."""
    from antiphon.data.audio_archives import in_archive
    from antiphon.errors import ConfigError

    files = [path for path in named if path.is_file() or in_archive(path) is not None]
    runs = [path for path in named if path not in files]
    if not runs:
        raise ConfigError(f"`antiphon predict` needs a run before the inputs, but {files[0]} is a file.")
    for path in runs[1:]:
        if not path.exists():
            raise ConfigError(f"There is no file {path} to predict, nor a run of this name.")
        if not any((path / name).exists() for name in ("best", "last", "checkpoint.json")):
            raise ConfigError(f"{path} is no run. A folder of inputs is named by `--input {path}`.")
    return runs, files


def _inputs(name: str | list[Path], predictor: "Predictor") -> Iterable[Any]:
    """Records of a file, of several or of a folder, or the lines of standard input."""
    from antiphon.contracts.abilities import Tabular

    if name != "-":
        from antiphon.recipe.assembly import read_given

        return read_given(Path(name) if isinstance(name, str) else name, predictor.task, with_targets=False)
    return csv.DictReader(_standard_input()) if isinstance(predictor.task, Tabular) else _standard_input()


def _noted(inputs: Iterable[Any], others: "deque[dict[str, Any]]", task: "Task") -> Iterator[Any]:
    """The inputs, while what records hold beside the source (an id, a title, a file's name) is put into `others`, to be written, too."""
    from antiphon.contracts.abilities import Tabular

    for item in inputs:
        if not isinstance(task, Tabular):
            others.append(
                {key: item[key] for key in item if key not in (*task.source_columns[:1], *OWN)} if isinstance(item, Mapping) else {}
            )
        yield item


def _as_files(predictions: "Iterator[Prediction]", folder: Path, inputs: Iterable[Any]) -> "Iterator[Prediction]":
    """Predictions whose value is the name of the file that holds what was said, called as its document; nothing is overwritten."""
    from antiphon.data.documents import DocumentFolder
    from antiphon.errors import DataError

    if not isinstance(inputs, DocumentFolder):
        raise DataError(
            f"`--output` must be a file unless `--input` is a folder of texts, but {folder} is a folder. Name one, such as out.jsonl."
        )
    paths = [folder / name for name in inputs.names]
    there = [path for path in paths if path.exists()]
    if there:
        raise DataError(f"{there[0]} exists already. Choose another folder, or remove it.")
    return (_written_to(path, prediction) for path, prediction in zip(paths, predictions, strict=True))


def _written_to(path: Path, prediction: "Prediction") -> "Prediction":
    from antiphon.errors import DataError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{prediction.value}\n" if prediction.value else "", encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.") from error
    return replace(prediction, value=str(path))


def _with_subtitles(predictions: "Iterator[Prediction]", output: str) -> "Iterator[Prediction]":
    """Predictions whose value is their subtitles; where `output` is a folder each is written there, and its value is the file's name.

    Of recordings that are called the same, in several folders, the second becomes `name-2.srt`.
    """
    from antiphon.errors import DataError

    folder = Path(output) if output != "-" and Path(output).is_dir() else None
    made: set[Path] = set()
    for number, prediction in enumerate(predictions, 1):
        subtitles = prediction.details.get("subtitles", "")
        if folder is None and number > 1:
            raise DataError("Subtitles of several recordings need a folder that exists: `--output FOLDER`.")
        if folder is not None and subtitles:
            name, suffix = Path(str(prediction.details["audio"])).stem, "vtt" if subtitles.startswith("WEBVTT") else "srt"
            places = (folder / f"{name}{again}.{suffix}" for again in itertools.chain([""], itertools.count(-2, -1)))
            path = next(place for place in places if place not in made)
            made.add(path)
            if path.exists():
                raise DataError(f"{path} exists already. Choose another folder, or remove it.")
            path.write_text(subtitles, encoding="utf-8")
            subtitles = str(path)
        yield replace(prediction, value=subtitles.rstrip("\n"))


def _standard_input() -> Iterator[str]:
    from antiphon.errors import DataError

    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"Standard input, line {number}, must be UTF-8, but byte {error.start + 1} is not.") from error
        yield text.rstrip("\r\n")


@contextmanager
def _opened(name: str) -> Iterator[Any]:
    from antiphon.errors import DataError

    if name == "-":
        yield sys.stdout
        return
    try:
        with open(name, "w", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise DataError(f"{name} cannot be written: {error.strerror}.") from error


def _writer(file: Any, task: "Task", *, as_json: bool, suffix: str) -> Any:
    """What takes predictions one by one."""
    from antiphon.contracts.abilities import Tabular

    if as_json:
        return _json_array(file, task)
    if isinstance(task, Tabular) and suffix != ".jsonl":
        return _table(file, task, "\t" if suffix == ".tsv" else ",")
    return _lines(file, task, details=suffix == ".jsonl")


def _lines(file: Any, task: "Task", *, details: bool) -> Any:
    """A text a line, or a JSON object a line with everything that is known."""
    while True:
        prediction = yield
        if details:
            text = json.dumps(_plain(prediction, task), ensure_ascii=False, default=str)
        else:
            text = str(prediction.value) if "subtitles" in prediction.details else " ".join(str(prediction.value).splitlines())
        print(text, file=file, flush=file is sys.stdout)


def _table(file: Any, task: "Tabular", separator: str) -> Any:
    """The rows of each prediction under one head."""
    writer = None
    while True:
        prediction = yield
        for row in task.rows(prediction):
            if writer is None:
                writer = csv.DictWriter(file, list(row), delimiter=separator, lineterminator="\n")
                writer.writeheader()
            writer.writerow(row)


def _json_array(file: Any, task: "Task") -> Any:
    """One JSON array, written as predictions come."""
    separator = "["
    try:
        while True:
            prediction = yield
            file.write(f"{separator}\n{json.dumps(_plain(prediction, task), ensure_ascii=False, default=str)}")
            separator = ","
    finally:
        file.write("[]\n" if separator == "[" else "\n]\n")


def _plain(prediction: "Prediction", task: "Task") -> dict[str, Any]:
    from antiphon.contracts.abilities import Tabular

    hypothesis = prediction.hypothesis
    plain: dict[str, Any] = {
        "prediction": [_written(row) for row in task.rows(prediction)] if isinstance(task, Tabular) else prediction.value,
        "score": _number(hypothesis.score),
        "log_prob": _number(hypothesis.log_prob),
        "token_scores": [round(score, 4) for score in hypothesis.step_scores],
        "finish_reason": hypothesis.finish_reason,
        **prediction.details,
    }
    if hypothesis.alignment is not None:
        plain["alignment"] = [[round(float(weight), 4) for weight in row] for row in hypothesis.alignment]
    if prediction.alternatives:
        plain["alternatives"] = [_plain(alternative, task) for alternative in prediction.alternatives]
    return plain


def _written(row: dict[str, Any]) -> dict[str, Any]:
    """A row for JSON: dates are texts."""
    return {key: value if isinstance(value, str | int | float) else str(value) for key, value in row.items()}


def _number(value: float) -> float | None:
    return round(value, 4) if abs(value) != float("inf") else None
