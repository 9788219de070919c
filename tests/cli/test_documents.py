"""Documents as files: a folder in, texts in its order out; and what summarization does with bad input, from the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import antiphon as package
from antiphon.errors import DataError
from tests.cli.conftest import Command

RECIPE = """\
task: {name: summarization, vocabulary: {kind: word, punctuation: split, size: 60}}
data: {train: train.jsonl, validation: 8, limits: {max_source_length: 30}}
model: {name: lstm, dim: 16, head: pointer}
training: {max_steps: 6, validate_every: 6, batching: {target_tokens: 100}, device: cpu}
search: {name: greedy, limits: {max_length: 5}}
evaluation: {metrics: [rouge1], resamples: 10}
"""


def write_project(folder: Path) -> Path:
    """A recipe with its data; returns the recipe's path."""
    names = ["zork", "blip", "quux", "tool", "file", "page"]
    rows = [(names[n % 6], names[n * 5 % 6], n) for n in range(40)]
    lines = [{"document": f"The {a} reads the {b} and shows it {n} times.", "summary": f"The {a} {b}"} for a, b, n in rows]
    (folder / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    return folder / "recipe.yaml"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = write_project(tmp_path_factory.mktemp("summaries"))
    return Path(package.train(recipe, recipe.parent / "run"))


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "more").mkdir(parents=True)
    (folder / "b.txt").write_text("The tool reads the file\nand shows\tit.\n", encoding="utf-8")
    (folder / "a.txt").write_text("\ufeffThe zork reads the page.", encoding="utf-8")
    (folder / "c.txt").write_text("", encoding="utf-8")
    (folder / "more" / "d.txt").write_text("The quux.\n", encoding="utf-8")
    (folder / "notes.md").write_text("no document", encoding="utf-8")
    (folder / ".hidden.txt").write_text("no document", encoding="utf-8")
    return folder


def test_a_folder_is_read_in_the_order_of_names(antiphon: Command, run: Path, documents: Path, tmp_path: Path) -> None:
    """Each file gives what its text gives alone, its lines joined; an empty one keeps its place and is named."""
    texts = ["The zork reads the page.", "The tool reads the file and shows it.", "", "The quux."]
    (tmp_path / "same.jsonl").write_text("".join(json.dumps({"document": text}) + "\n" for text in texts), encoding="utf-8")
    found = antiphon("predict", run, "--input", documents)
    assert found.out == antiphon("predict", run, "--input", tmp_path / "same.jsonl").out
    assert len(found.out.splitlines()) == 4
    assert found.out.splitlines()[2] == ""
    assert "antiphon: input 3 (c.txt): the source is empty." in found.err
    assert "1 input could not be used" in found.err
    assert found.status == 1


def test_each_document_gets_a_file(antiphon: Command, run: Path, documents: Path, tmp_path: Path) -> None:
    said = antiphon("predict", run, "--input", documents).out.splitlines()
    result = antiphon("predict", run, "--input", documents, "--output", f"{tmp_path}/out/")
    names = ["a.txt", "b.txt", "c.txt", "more/d.txt"]
    assert result.out.splitlines() == [str(tmp_path / "out" / name) for name in names]
    assert [(tmp_path / "out" / name).read_text(encoding="utf-8").strip() for name in names] == said
    again = antiphon("predict", run, "--input", documents, "--output", tmp_path / "out")
    assert again.status == 1
    assert "a.txt exists already. Choose another folder" in again.err
    into_itself = antiphon("predict", run, "--input", documents, "--output", documents)
    assert "exists already" in into_itself.err
    assert (documents / "b.txt").read_text(encoding="utf-8").startswith("The tool")


def test_json_lines_keep_the_other_columns(antiphon: Command, run: Path, documents: Path, tmp_path: Path) -> None:
    rows = [{"document": "The tool reads.", "id": 7, "score": "mine", "error": "a word"}, {"document": " ", "id": 8}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    result = antiphon("predict", run, "--input", tmp_path / "in.jsonl", "--output", tmp_path / "out.jsonl")
    first, second = (json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines())
    assert (first["id"], first["error"], second["id"], second["prediction"]) == (7, "a word", 8, "")
    assert isinstance(first["score"], float), "what is said of a prediction is never replaced"
    assert "document" not in first
    assert "1 input could not be used" in result.err
    assert f"input 2 ({tmp_path / 'in.jsonl'}:2): the source is empty." in result.err
    shown = json.loads(antiphon("predict", run, "--input", documents, "--json").out)
    assert [row["file"] for row in shown] == ["a.txt", "b.txt", "c.txt", "more/d.txt"]
    assert shown[2]["error"] == "the source is empty."


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: None, "must have texts in it (.txt, one for each document), but has none"),
        (lambda folder: (folder / "a.txt").write_bytes(b"ab\xff"), "a.txt` must be UTF-8, but byte 3 is not"),
    ],
)
def test_folders_that_cannot_be_read(antiphon: Command, run: Path, tmp_path: Path, make: Callable[[Path], object], message: str) -> None:
    (tmp_path / "bad").mkdir()
    make(tmp_path / "bad")
    result = antiphon("predict", run, "--input", tmp_path / "bad")
    assert result.status == 1
    assert message in result.err
    assert "Traceback" not in result.err


def test_a_folder_for_the_output_of_a_file_gets_its_blocks(antiphon: Command, run: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("The tool.\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"^`--output` must be a file unless `--input` is a folder of texts"):
        package.load(run).predict_files(tmp_path / "in.txt", f"{tmp_path}/out/")
    assert not (tmp_path / "out").exists()
    assert antiphon("predict", run, "--input", tmp_path / "in.txt", "--output", f"{tmp_path}/out/").status == 0
    assert (tmp_path / "out" / "part-00000.jsonl").read_text("utf-8").count("\n") == 1


def test_documents_without_summaries_cannot_be_scored(antiphon: Command, run: Path, documents: Path) -> None:
    result = antiphon("evaluate", run, "--data", documents)
    assert result.status == 1
    assert "must have the column `summary`, but a folder of texts" in result.err


def test_a_text_far_longer_than_any_of_training_is_refused_unless_it_may_be_cut(antiphon: Command, run: Path, tmp_path: Path) -> None:
    (tmp_path / "long").mkdir()
    (tmp_path / "long" / "a.txt").write_text("The tool reads. " * 10_000, encoding="utf-8")
    refused = antiphon("predict", run, "--input", tmp_path / "long")
    assert refused.status == 1
    assert refused.err.count("antiphon:") == 2
    assert "input 1 (a.txt): the source has 40001 elements, more than 8 times the longest of training (30)" in refused.err
    assert "data.limits.too_long=truncate" in refused.err
    cut = antiphon("predict", run, "--input", tmp_path / "long", "--set", "data.limits.too_long=truncate")
    assert cut.status == 0, cut.err
    assert "1 of 1 inputs were cut to 30 elements" in cut.err


def test_targets_that_are_all_equal_are_said_before_training(antiphon: Command, tmp_path: Path) -> None:
    recipe = write_project(tmp_path)
    rows = [{"document": f"The tool reads {n} files.", "summary": "The same"} for n in range(30)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    inspected, trained = antiphon("inspect", recipe), antiphon("train", recipe, "--out", tmp_path / "run")
    assert inspected.status == trained.status == 0, trained.err
    assert "have one and the same target: a model may learn to say nothing else" in inspected.out
    assert "all 22 targets are the same: a model will learn to say nothing else" in trained.err


def test_targets_longer_than_their_sources_are_said(antiphon: Command, tmp_path: Path) -> None:
    recipe = write_project(tmp_path)
    with (tmp_path / "train.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"document": "A tool.", "summary": "The tool that reads files and shows them 3 times"}) + "\n")
    recipe.write_text(RECIPE.replace("validation: 8", "validation: train.jsonl"), encoding="utf-8")
    assert "1 target is longer than its source" in antiphon("inspect", recipe).out


def test_copying_needs_attention(antiphon: Command, tmp_path: Path) -> None:
    result = antiphon("train", write_project(tmp_path), "--out", tmp_path / "run", "--set", "model.attention=none")
    assert result.status == 1
    assert "`model.head.name` must not be `pointer` without attention" in result.err
    assert "Set `model.attention`" in result.err


def test_a_folder_is_training_data_of_denoising(antiphon: Command, documents: Path, tmp_path: Path) -> None:
    (tmp_path / "mending.yaml").write_text(
        "task: {name: denoising, vocabulary: {kind: word}}\ndata: {train: docs, validation: 1}\n"
        "model: {name: lstm, dim: 16}\ntraining: {max_steps: 2, device: cpu}\n",
        encoding="utf-8",
    )
    result = antiphon("inspect", tmp_path / "mending.yaml")
    assert result.status == 0, result.err
    assert "c.txt" in result.out, "the empty document is named"
