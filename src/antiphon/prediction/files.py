"""Predicts every input of some files, and writes the predictions to the output that the caller names.

The command line and `Predictor.predict_files` go the same way: `open_files`, then `written`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, final, runtime_checkable

from antiphon.contracts.files import FileConfig, is_remote
from antiphon.contracts.records import Record, Skipped
from antiphon.contracts.sequences import Prediction
from antiphon.prediction.inputs import Inputs, open_inputs
from antiphon.prediction.outputs import Output, open_output
from antiphon.prediction.rewriting import Answers, open_rewriting


@runtime_checkable
class AnswersFiles(Answers, Protocol):
    """Something that predicts one by one, and can do so without details, which outputs do not need: a `Predictor`."""

    def predict(self, inputs: Any, *, on_error: Any = ..., blank: Any = ...) -> Any:
        """A prediction for each input."""

    def without_copies(self) -> "AnswersFiles":
        """The same, without reporting copied symbols."""


@final
@dataclass(frozen=True)
class WrittenFiles:
    """The number of inputs of each outcome.

    count     how many were predicted, those that could not be used among them
    refused   those that could not be used, a sentence each
    left      what was said and could not be written into its unit, a sentence each
    skipped   what the files hold beside inputs, by reason
    remark    how much was written and where, as a sentence; empty where there is nothing to say
    """

    count: int
    refused: tuple[str, ...]
    left: tuple[str, ...]
    skipped: Mapping[str, Skipped]
    remark: str


def open_files(answers: AnswersFiles, named: Sequence[Path | FileConfig], output: str, *, as_json: bool = False) -> tuple[Inputs, Output]:
    """The inputs, and the output that a name asks for: copies of the input files, or one of the kinds of `open_output`."""
    inputs = open_inputs(named, answers.task)
    rewriting = None if as_json or is_remote(output) else open_rewriting(output, inputs, answers)
    return inputs, rewriting or open_output(output, answers.task, inputs, as_json=as_json)


def written(answers: AnswersFiles, inputs: Inputs, output: Output) -> Iterator[tuple[int, Prediction, Record]]:
    """(number from 1, prediction, record) of each input, after it is written to an open output (`with output`)."""
    asked = answers if output.has_details else answers.without_copies()
    predictions = asked.predict(inputs.stream(), on_error="keep", blank="answer" if inputs.are_lines else "refuse")
    for number, prediction in enumerate(predictions, 1):
        record = inputs.answered()
        output.write(prediction, record)
        yield number, prediction, record


def predict_files(answers: AnswersFiles, named: Sequence[Path | FileConfig], output: str) -> WrittenFiles:
    """Predict all inputs of the files, and write the predictions."""
    inputs, opened = open_files(answers, named, output)
    count, refused = 0, list[str]()
    with opened:
        for count, prediction, record in written(answers, inputs, opened):
            if "error" in prediction.details:
                refused.append(f"{inputs.name(count, record) or f'input {count}'}: {prediction.details['error']}")
    return WrittenFiles(count, tuple(refused), tuple(opened.left), inputs.skipped(), opened.remark)
