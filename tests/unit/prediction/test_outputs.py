"""An output is in its place when it is complete, and not before; nothing that was there is lost."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from antiphon.contracts.abilities import OwnFile
from antiphon.contracts.sequences import Hypothesis, Prediction
from antiphon.contracts.task import Task
from antiphon.data.records import open_records
from antiphon.errors import DataError
from antiphon.prediction.inputs import Inputs
from antiphon.prediction.outputs import Output, open_output


def said(text: str, **details: object) -> Prediction:
    return Prediction(text, Hypothesis(np.zeros(0, dtype=np.int64), -1.0, -1.0), details=details)


@pytest.fixture
def task() -> Task:
    found = Mock(spec=Task)
    found.source_columns = ("text",)
    return found


def opened(name: Path | str, task: Task, *, reads: tuple[Path, ...] = (), as_json: bool = False) -> Output:
    return open_output(str(name), task, Inputs([], task, paths=reads), as_json=as_json)


def fill(output: Output, *predictions: Prediction, failure: type[BaseException] | None = None) -> None:
    """Write predictions, and perhaps fail then."""
    with output:
        for prediction in predictions:
            output.write(prediction, {"id": 7})
        if failure is not None:
            raise failure


def test_a_file_takes_its_place_when_it_is_complete(task: Task, tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("earlier\n", encoding="utf-8")
    with opened(path, task) as output:
        output.write(said("one\ntwo"), {})
        assert path.read_text(encoding="utf-8") == "earlier\n"
    assert path.read_text(encoding="utf-8") == "one two\n"
    assert [found.name for found in tmp_path.iterdir()] == ["out.txt"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, DataError])
def test_a_failure_leaves_the_earlier_output_and_what_was_done(task: Task, tmp_path: Path, failure: type[BaseException]) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("earlier\n", encoding="utf-8")
    output = opened(path, task)
    with pytest.raises(failure):
        fill(output, said("one"), failure=failure)
    assert path.read_text(encoding="utf-8") == "earlier\n"
    [line] = (tmp_path / "out.jsonl.partial").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["id"] == 7
    assert output.place == f"in {path}.partial; {path} is as it was before"
    with pytest.raises(DataError, match=r"out.jsonl.partial is there already"), opened(path, task):
        pass


def test_nothing_done_leaves_nothing(task: Task, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), opened(tmp_path / "out.txt", task):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_json_that_was_cut_off_is_json(task: Task, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fill(opened(tmp_path / "out.json", task, as_json=True), said("one"), failure=KeyboardInterrupt)
    assert len(json.loads((tmp_path / "out.json.partial").read_text(encoding="utf-8"))) == 1


@pytest.mark.parametrize(
    "name",
    [
        lambda path: path,
        lambda path: os.path.relpath(path),
        lambda path: path.parent / "folder" / ".." / path.name,
        lambda path: Path(os.symlink(path, path.with_name("link")) or path.with_name("link")),
        lambda path: Path(os.link(path, path.with_name("hard")) or path.with_name("hard")),
    ],
    ids=["itself", "relative", "roundabout", "link", "hard link"],
)
def test_an_input_is_no_output(task: Task, tmp_path: Path, name: Callable[[Path], Path | str]) -> None:
    path = tmp_path / "in.txt"
    path.write_text("a\nb\n", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="`--output` must be another file than the input"):
        opened(name(path), task, reads=(path,))
    assert path.read_text(encoding="utf-8") == "a\nb\n"


def test_behind_a_link_its_file_is_written(task: Task, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "there" / "out.txt")
    with opened(tmp_path / "link.txt", task) as output:
        output.write(said("one"), {})
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "there" / "out.txt").read_text(encoding="utf-8") == "one\n"


def test_a_pipe_is_written_as_it_is(task: Task, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text(encoding="utf-8")))
    reader.start()
    with opened(tmp_path / "pipe", task) as output:
        output.write(said("one"), {})
    reader.join()
    assert read == ["one\n"]
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_what_cannot_be_written_is_named(task: Task, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere/out.txt.partial cannot be written: No such file"):
        fill(opened(tmp_path / "nowhere" / "out.txt", task))


def test_a_name_that_is_no_text_can_be_written(task: Task, tmp_path: Path) -> None:
    with opened(tmp_path / "out.jsonl", task) as output:
        output.write(said("one"), {"file": "a\udcff"})
    assert json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8"))["file"] == "a\udcff"


def test_a_task_may_write_a_file_for_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A task from elsewhere can do what subtitles do: it says the name and the content."""

    class Poems(Mock):
        source_columns = ("text",)
        writes_files = True

        def file_of(self, prediction: Prediction) -> OwnFile | None:
            return OwnFile("poem.md", f"# {prediction.value}\n") if prediction.value else None

    task = Poems(spec=Task)
    with opened(f"{tmp_path}/poems/", task) as output:
        for text in ("one", "", "two"):
            output.write(said(text), {})
    assert capsys.readouterr().out.splitlines() == [f"{tmp_path}/poems/poem.md", "", f"{tmp_path}/poems/poem-2.md"]
    assert (tmp_path / "poems" / "poem-2.md").read_text(encoding="utf-8") == "# two\n"
    with pytest.raises(DataError, match=r"poem.md exists already"):
        fill(opened(tmp_path / "poems", task), said("one"))
    with pytest.raises(DataError, match="need a folder"):
        fill(opened(tmp_path / "both.md", task), said("one"), said("two"))


RECORDS = [{"text": 'a, "b"', "id": 7, "more": ["x"]}, {"text": "c\nd", "id": None}]


def test_a_table_has_the_columns_of_the_inputs_and_the_predictions(task: Task, tmp_path: Path) -> None:
    with opened(tmp_path / "out.csv", task) as output:
        for record, text in zip(RECORDS, ("one\r\ntwo", ""), strict=True):
            output.write(said(text), record)
    rows = list(open_records(tmp_path / "out.csv"))
    assert rows == [
        {"text": 'a, "b"', "id": "7", "more": '["x"]', "prediction": "one\r\ntwo"},
        {"text": "c\nd", "id": "", "more": "", "prediction": ""},
    ]
    assert output.remark == ""
    with opened(tmp_path / "out.TSV", task) as output:
        output.write(said('"one"'), {"text": '"a'})
    assert (tmp_path / "out.TSV").read_text(encoding="utf-8") == 'text\tprediction\n"a\t"one"\n'


@pytest.mark.parametrize(
    ("name", "record", "message"),
    [
        ("out.tsv", {"text": "c\nd"}, r"out.tsv cannot hold a tab or a line end within a value, as in 'c\\nd'. Write a .csv file instead."),
        ("out.csv", {"text": "c", "prediction": "d"}, "The inputs have a column `prediction` already"),
    ],
)
def test_what_a_table_cannot_hold_is_said(task: Task, tmp_path: Path, name: str, record: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message), opened(tmp_path / name, task) as output:
        output.write(said("one"), record)


def test_records_of_other_columns_have_no_table(task: Task, tmp_path: Path) -> None:
    with opened(tmp_path / "out.csv", task) as output:
        output.write(said("one"), RECORDS[1])
        with pytest.raises(DataError, match="but a later one has `more`, too"):
            output.write(said("one"), RECORDS[0])


def test_bare_lines_say_that_they_lost_line_ends(task: Task, tmp_path: Path) -> None:
    with opened(tmp_path / "out.de", task) as output:
        for text in ("one\r\n\r\ntwo", "three\u2028four\x0bfive", " six "):
            output.write(said(text), {})
    assert (tmp_path / "out.de").read_text(encoding="utf-8") == "one two\nthree\u2028four\x0bfive\n six \n"
    assert output.remark.startswith("1 prediction holds line ends, which became blanks")


@pytest.mark.parametrize("name", ["out.po", "out.json", "out.XLSX", "out.srt", "out.parquet", "out.txt.gz", "out.xliff"])
def test_a_suffix_that_promises_another_format_is_refused(task: Task, tmp_path: Path, name: str) -> None:
    suffix = Path(name).suffix
    with pytest.raises(
        DataError, match=rf"{name}` has the suffix {suffix}, but predictions are written as bare lines \(.txt\), .csv or .tsv"
    ):
        opened(tmp_path / name, task)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.po"])
def test_one_document_of_json_is_in_no_other_file(task: Task, tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=rf"{name}` must end in .json with `--json`"):
        opened(tmp_path / name, task, as_json=True)


def test_subtitles_have_the_suffix_that_they_are(tmp_path: Path) -> None:
    class Subtitles(Mock):
        source_columns = ("audio",)
        writes_files = True

        def file_of(self, prediction: Prediction) -> OwnFile:
            return OwnFile("talk.srt", "1")

    task = Subtitles(spec=Task)
    with pytest.raises(DataError, match=r"other.vtt must end in .srt, which the task is set to write"):
        fill(opened(tmp_path / "other.vtt", task), said("one"))
    with pytest.raises(DataError, match=r"other.csv` has the suffix .csv, but predictions are written as subtitles"):
        opened(tmp_path / "other.csv", task)
