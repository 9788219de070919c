"""Files with room for predictions come back with them; what does not fit is asked for again, and then named."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from antiphon.contracts.files import FileConfig
from antiphon.contracts.sequences import Hypothesis, Prediction
from antiphon.contracts.task import Task
from antiphon.data.formats import readers
from antiphon.errors import DataError
from antiphon.prediction.inputs import Inputs, open_inputs
from antiphon.prediction.rewriting import RewrittenFiles, open_rewriting
from tests import toy_reader

LINES = "# toy\nopen %s\none = eins\nsay <b>it</b>\nlost {0}\n"


def said(text: str, **details: object) -> Prediction:
    return Prediction(text, Hypothesis(np.zeros(0, dtype=np.int64), -1.0, -1.0), details=details)


class Answers:
    """Shouts, and forgets placeholders unless they are required."""

    def __init__(self) -> None:
        self.task = Mock(spec=Task)
        self.task.source_columns, self.task.columns, self.task.target_column = ("source",), ("source", "target"), "target"
        self.asked: list[Any] = []

    def predict(self, inputs: Sequence[Any], *, on_error: Any = "keep") -> list[Prediction]:
        self.asked.extend(inputs)
        return [said(" ".join(["AGAIN", *(one for one in record["required"] if one != "{0}")])) for record in inputs]

    def score(self, records: Sequence[Any], *, alignment: bool, on_error: Any) -> list[Prediction]:
        return [said(record["target"], word_alignment="0-1 1-0") for record in records]


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inputs:
    monkeypatch.setattr("antiphon.data.formats.readers", lambda *suffix: iter([*readers(*suffix), toy_reader.plugin]))
    monkeypatch.setattr("antiphon.data.named_files.readers", lambda *suffix: iter([*readers(*suffix), toy_reader.plugin]))
    (tmp_path / "in").mkdir()
    for name in ("a.toy", "b.toy"):
        (tmp_path / "in" / name).write_text(LINES, encoding="utf-8")
    return open_inputs([tmp_path / "in" / "a.toy"], Answers().task)


def answer(output: RewrittenFiles, inputs: Inputs, text: str) -> None:
    with output:
        for record in inputs:
            output.write(said(text), record)


def test_a_file_comes_back_in_its_own_place(tmp_path: Path, inputs: Inputs) -> None:
    path, answers = tmp_path / "in" / "a.toy", Answers()
    output = open_rewriting(str(path), inputs, answers)
    assert output is not None
    answer(output, inputs, "HELLO <b></b>")
    assert path.read_text() == "# toy\nopen %s = AGAIN %s\none = eins\nsay <b>it</b> = HELLO <b></b> ((0, 1), (1, 0))\nlost {0}\n"
    assert [record["required"] for record in answers.asked] == [["%s"], ["{0}"]]
    assert output.left == [f"{path}:5 stays as it was, since the translation lacks `{{0}}` of its source: 'HELLO <b></b>'"]
    assert output.remark == f"2 units were written into {path}."
    assert inputs.skipped()["has a target"].count == 1


def test_a_folder_comes_back_as_a_folder(tmp_path: Path, inputs: Inputs) -> None:
    both = open_inputs([tmp_path / "in"], Answers().task)
    output = open_rewriting(f"{tmp_path}/out/", both, Answers())
    assert output is not None
    answer(output, both, "HELLO %s")
    for name in ("a.toy", "b.toy"):
        assert "open %s = HELLO %s\n" in (tmp_path / "out" / name).read_text()
        assert (tmp_path / "in" / name).read_text() == LINES
    with pytest.raises(DataError, match="must be a folder"):
        open_rewriting(str(tmp_path / "one.toy"), both, Answers())


def test_what_a_run_that_fails_has_said_is_beside_the_file(tmp_path: Path, inputs: Inputs) -> None:
    path = tmp_path / "in" / "a.toy"
    output = open_rewriting(str(path), inputs, Answers())
    assert output is not None
    output.open()
    for text in ("OPEN %s", "SAY"):
        output.write(said(text), next(inputs))
    output.close(KeyboardInterrupt)
    assert path.read_text() == LINES
    assert (tmp_path / "in" / "a.toy.partial").read_text() == LINES.replace("open %s", "open %s = OPEN %s"), "one lost its tags"
    assert output.place == f"in {path}.partial; the files themselves are as they were"
    with pytest.raises(DataError, match=r"a\.toy\.partial is there already"):
        output.open()


@pytest.mark.parametrize("name", ["out.jsonl", "out.txt", "-"])
def test_other_outputs_are_not_rewritten(inputs: Inputs, name: str) -> None:
    assert open_rewriting(name, inputs, Answers()) is None


def test_a_name_may_say_that_it_is_new(tmp_path: Path, inputs: Inputs) -> None:
    assert open_rewriting(str(tmp_path / "a.toy.new"), inputs, Answers()) is not None


def test_texts_and_files_of_another_kind_are_not_mixed(tmp_path: Path, inputs: Inputs) -> None:
    (tmp_path / "in" / "c.txt").write_text("x")
    with pytest.raises(DataError, match=r"has plain texts in it, such as `c\.txt`, and files of another kind, such as `a\.toy`"):
        open_inputs([tmp_path / "in"], Answers().task)


def test_lines_of_a_file_are_no_texts(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import sys

    monkeypatch.setattr(
        "antiphon.prediction.inputs.recognized", lambda opening: toy_reader.plugin if opening.startswith(b"# toy") else None
    )
    monkeypatch.setattr(sys, "stdin", Mock(buffer=io.BytesIO(LINES.encode())))
    with pytest.raises(DataError, match=r"looks like a \.toy file\. Name the file: `--input in\.toy --output out\.toy`"):
        list(open_inputs([], Answers().task))


def test_an_aligned_pair_has_no_way_back(tmp_path: Path) -> None:
    for name in ("a.en", "a.de"):
        (tmp_path / name).write_text("x\n")
    named = [FileConfig(source=str(tmp_path / "a.en"), target=str(tmp_path / "a.de"))]
    assert open_rewriting("out.po", open_inputs(named, Answers().task), Answers()) is None
