"""Translation of documents from the command line: files with blank lines, folders of texts, scores by document."""

import json
from pathlib import Path

import pytest

import antiphon as package
from tests.cli.conftest import Command

RECIPE = """\
task: {name: translation, vocabulary: {kind: character}, context: {sentences: 2, of: both, document: doc}}
data: {train: train.tsv, validation: 4, test: train.tsv}
model: {name: lstm, dim: 8}
training: {max_steps: 1, batching: {target_tokens: 200}, device: cpu, samples: 0}
search: {name: greedy, limits: {max_offset: 4, max_ratio: 1}}
evaluation: {metrics: [chrf], resamples: 0}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("context")
    rows = [f"a{place} b{number}\tb{number} a{place}\tdoc{number}" for number in range(5) for place in range(4)]
    (folder / "train.tsv").write_text("source\ttarget\tdoc\n" + "\n".join(rows) + "\n", encoding="utf-8")
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    return Path(package.train(folder / "recipe.yaml", folder / "run"))


def test_scores_are_listed_by_document(antiphon: Command, run: Path) -> None:
    shown = antiphon("evaluate", run, "--by", "document")
    assert "Scores by document" in shown.out
    plain = json.loads(antiphon("evaluate", run, "--by", "document", "--json").out)
    assert [(row["document"], row["sentences"]) for row in plain["details"]["documents"]] == [(f"doc{n}", 4) for n in range(5)]


def test_a_text_with_blank_lines_keeps_them(antiphon: Command, run: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("a0 b0\na1 b0\n\na0 b1\n", encoding="utf-8")
    found = antiphon("predict", run, "--input", tmp_path / "in.txt", "--output", tmp_path / "out.jsonl")
    assert found.status == 0
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 4
    assert all("context" not in line for line in lines)
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("a0 b0\na1 b0\n", encoding="utf-8")
    (folder / "b.txt").write_text("a0 b1\n", encoding="utf-8")
    assert antiphon("predict", run, "--input", folder, "--output", f"{tmp_path}/said/").status == 0
    said = [(tmp_path / "said" / name).read_text(encoding="utf-8") for name in ("a.txt", "b.txt")]
    assert said == ["\n".join(line["prediction"] for line in lines[:2]) + "\n", lines[3]["prediction"] + "\n"]


def test_recipes_are_looked_at_as_they_are_trained(antiphon: Command, run: Path) -> None:
    for command in ("check", "inspect"):
        assert antiphon(command, run.parent / "recipe.yaml").status == 0
