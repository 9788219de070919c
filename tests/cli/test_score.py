"""antiphon score: every record keeps its columns and its place."""

import csv
import json
from pathlib import Path

import pytest

import antiphon as package
from tests.cli.conftest import Command

ALIGNED = """\
task: {name: translation, vocabulary: {kind: word}, alignment: links}
data: {train: pairs.tsv, validation: 2}
model: {name: lstm, dim: 8}
training: {max_steps: 1, device: cpu, samples: 0, loss: {name: cross_entropy, guided_alignment: {}}}
"""
PAIRS = "en\tno\tfrom\nabc1\t1cba\tx\nab2\t\ty\nbca3\t3acb\tz\n"


def test_a_table_with_scores_behind_it(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text(PAIRS, encoding="utf-8")
    result = antiphon("score", trained, "--data", "pairs.tsv")
    assert result.status == 1
    assert "antiphon: pairs.tsv:3: the target is empty." in result.err
    assert result.err.endswith("1 record could not be used, and has no score.\n")
    rows = list(csv.DictReader(result.out.splitlines(), delimiter="\t"))
    assert [row["from"] for row in rows] == ["x", "y", "z"]
    assert list(rows[0]) == ["en", "no", "from", "log_prob", "score"]
    assert rows[1]["log_prob"] == rows[1]["score"] == ""
    expected = package.load(trained, device="cpu").score({"en": "abc1", "no": "1cba"}).hypothesis
    assert float(rows[0]["log_prob"]) == pytest.approx(expected.log_prob, abs=1e-5)
    assert float(rows[0]["score"]) == pytest.approx(expected.log_prob / 5, abs=1e-5)


def test_all_details_as_json_lines(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text(PAIRS.replace("ab2\t\ty\n", ""), encoding="utf-8")
    result = antiphon("score", trained, "--data", "pairs.tsv", "--output", "scored.jsonl", "--alignment")
    assert (result.status, result.out) == (0, ""), result.err
    rows = [json.loads(line) for line in (tmp_path / "scored.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["from"] for row in rows] == ["x", "z"]
    assert rows[0]["target_pieces"] == ["1", "c", "b", "a", "</s>"]
    assert sum(rows[0]["token_scores"]) == pytest.approx(rows[0]["log_prob"], abs=1e-4)
    assert rows[0]["word_alignment"] == "0-0"


def test_two_files_and_an_ensemble(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "a.en").write_text("abc1\nbca3\n", encoding="utf-8")
    (tmp_path / "a.no").write_text("1cba\n3acb\n", encoding="utf-8")
    result = antiphon("score", trained, trained, "--data", "{source: a.en, target: a.no}")
    assert result.status == 0, result.err
    alone = antiphon("score", trained, "--data", "{source: a.en, target: a.no}")
    both, one = (list(csv.DictReader(found.out.splitlines(), delimiter="\t")) for found in (result, alone))
    assert [float(row["log_prob"]) for row in both] == pytest.approx([float(row["log_prob"]) for row in one], abs=1e-4)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("scored.txt", "`--output` must end in .tsv, .csv or .jsonl, as scores are written, but is scored.txt."),
        ("pairs.tsv", "`--output` must be another file than the input pairs.tsv"),
    ],
)
def test_outputs_that_are_refused(antiphon: Command, trained: Path, tmp_path: Path, output: str, message: str) -> None:
    (tmp_path / "pairs.tsv").write_text(PAIRS, encoding="utf-8")
    result = antiphon("score", trained, "--data", "pairs.tsv", "--output", output)
    assert result.status == 1
    assert message in result.err
    assert (tmp_path / "pairs.tsv").read_text(encoding="utf-8") == PAIRS


def test_a_column_of_our_name(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("en\tno\tscore\nabc1\t1cba\t3\n", encoding="utf-8")
    result = antiphon("score", trained, "--data", "pairs.tsv", "--output", "scored.tsv")
    assert result.status == 1
    assert "The inputs have a column `score` already, which the output would have twice. Give it another name." in result.err


def test_a_missing_column_is_named_before_anything_is_scored(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("en\tdk\nabc1\t1cba\n", encoding="utf-8")
    result = antiphon("score", trained, "--data", "pairs.tsv")
    assert result.status == 1
    assert "has no column `no`" in result.err


def test_the_alignment_error_rate_by_the_recipes_column(antiphon: Command, tmp_path: Path) -> None:
    rows = [f"ab c{number}\tc{number} ab\t1-0 0-1" for number in range(9)]
    (tmp_path / "pairs.tsv").write_text("\n".join(["source\ttarget\tlinks", *rows]) + "\n", encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(ALIGNED, encoding="utf-8")
    run = package.train(tmp_path / "recipe.yaml", tmp_path / "run")
    result = antiphon("score", run, "--data", "pairs.tsv", "--alignment")
    assert result.status == 0, result.err
    found = [row["word_alignment"] for row in csv.DictReader(result.out.splitlines(), delimiter="\t")]
    right = sum(link in ("1-0", "0-1") for row in found for link in row.split())
    assert f"the alignment error rate is {1 - right / 18:.1%}, by the links in `links`." in result.err
    assert "error rate" not in antiphon("score", run, "--data", "pairs.tsv").err
