"""antiphon predict: inputs in, predictions out, in the same order, one for one.

Unusual: a run is a folder, so a file among the runs can only be an input: `antiphon predict runs/speech talk.mp3`.
"""

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from antiphon.cli.options import AsJson, Runs, Set

if TYPE_CHECKING:
    from antiphon.interfaces import Task
    from antiphon.predictor import Predictor
    from antiphon.sequences import Prediction


def predict(
    run: Runs,
    input: Annotated[  # noqa: A002
        str, typer.Option("--input", "-i", help="A file of texts or records; - is standard input, a text a line.")
    ] = "-",
    output: Annotated[
        str,
        typer.Option("--output", "-o", help="Where to write; - is standard output. *.jsonl gets all details; forecasts are csv or *.tsv."),
    ] = "-",
    settings: Set = None,
    as_json: AsJson = False,
) -> None:
    """Predict for each input. An input that cannot be used keeps its place with an empty line and is named on standard error.

    Example: echo "Open the file." | antiphon predict runs/german --set search.beam_size=1
    """
    from antiphon.errors import ConfigError, DataError
    from antiphon.predictor import load

    files = [path for path in run if path.is_file()]
    runs = [path for path in run if path not in files]
    if files and input != "-":
        raise ConfigError(f"Inputs must be named once, but are both `--input {input}` and {files[0]}.")
    if not runs:
        raise ConfigError(f"`antiphon predict` needs a run before the inputs, but {files[0]} is a file.")
    predictor = load(runs, overrides=settings or ())
    predictions = predictor.predict(_inputs(files or input, predictor), on_error="keep")
    if getattr(predictor.recipe.task, "subtitles", "none") != "none" and not as_json and Path(output).suffix != ".jsonl":
        predictions = _with_subtitles(predictions, output)
        output = output if output == "-" or not Path(output).is_dir() else "-"
    refused = cut = 0
    with _opened(output) as file:
        write = _writer(file, predictor.task, as_json=as_json, suffix=Path(output).suffix)
        next(write)
        for number, prediction in enumerate(predictions, 1):
            if "error" in prediction.details:
                refused += 1
                print(f"antiphon: input {number}: {prediction.details['error']}", file=sys.stderr)
            cut += "source_cut" in prediction.details
            write.send(prediction)
        write.close()
    if cut:
        most = predictor.recipe.data.limits.max_source_length
        print(f"antiphon: {cut} of {number} inputs were cut to {most} elements, as `data.limits` says.", file=sys.stderr)
    if refused:
        what = (
            "1 input could not be used; its prediction is" if refused == 1 else f"{refused} inputs could not be used; their predictions are"
        )
        raise DataError(f"{what} empty.")


def _inputs(name: str | list[Path], predictor: "Predictor") -> Iterator[Any]:
    """Records of a file or of several, or the lines of standard input."""
    if name != "-":
        from antiphon.assembly import read_given

        return iter(read_given(Path(name) if isinstance(name, str) else name, predictor.task, with_targets=False))
    return csv.DictReader(_standard_input()) if predictor.task.tabular else _standard_input()


def _with_subtitles(predictions: "Iterator[Prediction]", output: str) -> "Iterator[Prediction]":
    """Predictions whose value is their subtitles; where `output` is a folder each is written there, and its value is the file's name."""
    from antiphon.errors import DataError

    folder = Path(output) if output != "-" and Path(output).is_dir() else None
    for number, prediction in enumerate(predictions, 1):
        subtitles = prediction.details.get("subtitles", "")
        if folder is None and number > 1:
            raise DataError("Subtitles of several recordings need a folder that exists: `--output FOLDER`.")
        if folder is not None and subtitles:
            path = folder / f"{Path(str(prediction.details['audio'])).stem}.{'vtt' if subtitles.startswith('WEBVTT') else 'srt'}"
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
    if as_json:
        return _json_array(file, task)
    if task.tabular and suffix != ".jsonl":
        return _table(file, task, "\t" if suffix == ".tsv" else ",")
    return _lines(file, task, details=suffix == ".jsonl")


def _lines(file: Any, task: "Task", *, details: bool) -> Any:
    """A text a line, or a JSON object a line with everything that is known."""
    while True:
        prediction = yield
        if details:
            text = json.dumps(_plain(prediction, task), ensure_ascii=False)
        else:
            text = str(prediction.value) if "subtitles" in prediction.details else " ".join(str(prediction.value).splitlines())
        print(text, file=file, flush=file is sys.stdout)


def _table(file: Any, task: "Task", separator: str) -> Any:
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
            file.write(f"{separator}\n{json.dumps(_plain(prediction, task), ensure_ascii=False)}")
            separator = ","
    finally:
        file.write("[]\n" if separator == "[" else "\n]\n")


def _plain(prediction: "Prediction", task: "Task") -> dict[str, Any]:
    hypothesis = prediction.hypothesis
    plain: dict[str, Any] = {
        "prediction": [_written(row) for row in task.rows(prediction)] if task.tabular else prediction.value,
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
