"""Every command does its work, prints what a program can read, and says what comes next."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import antiphon as antiphon_package
from tests.cli.conftest import Command


def test_new_writes_a_recipe_that_reads(antiphon: Command, tmp_path: Path) -> None:
    from antiphon.recipe.recipe import read_recipe

    result = antiphon("new", "translation", tmp_path / "mine.yaml")
    assert result.status == 0
    assert "antiphon inspect" in result.out
    assert read_recipe(tmp_path / "mine.yaml").task.name == "translation"


def test_inspect_shows_the_data_and_the_cost(antiphon: Command, project: Path) -> None:
    result = antiphon("inspect", project)
    assert result.status == 0, result.err
    assert "train: 40 of 40 records" in result.out
    assert "parameters" in result.out
    plain = json.loads(antiphon("inspect", project, "--json").out)
    assert plain["audit"]["splits"]["train"]["tally"]["kept"] == 40
    assert plain["cost"]["total_parameters"] > 1000


def test_inspect_counts_targets_that_do_not_come_back(antiphon: Command, project: Path) -> None:
    """They can never be met; of the default for subwords only blanks and accents are among them."""
    (project.parent / "train.tsv").write_text("en\tno\n" + "a b\t１０ m²　…\n" * 30 + "b a\tb  a\n", encoding="utf-8")
    kinds = {name: f"task.{name}_vocabulary={{kind: unigram, size: 300}}" for name in ("source", "target")}
    shown = antiphon("inspect", project, "--set", kinds["source"], "--set", kinds["target"]).out
    assert "  1 targets come back from the vocabulary as other texts, such as 'b a' for 'b  a' (" in shown
    unified = kinds["target"].replace("size", "normalization: nfkc, size")
    shown = antiphon("inspect", project, "--set", kinds["source"], "--set", unified).out
    assert "  31 targets come back from the vocabulary as other texts, such as '10 m2 ...' for '１０ m²\\u3000…' (" in shown
    assert "train.tsv:2, " in shown


def test_inspecting_a_run_keeps_what_was_seen(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "copied", symlinks=True))
    result = antiphon("inspect", run, "--json")
    assert json.loads(result.out) == json.loads((run / "audit.json").read_text(encoding="utf-8"))
    (run / "audit.json").unlink()
    (run / "audit.json").mkdir()
    result = antiphon("inspect", run)
    assert (result.status, len(result.err.splitlines())) == (1, 1)
    assert f"{run / 'audit.json'} cannot be written: Is a directory. " in result.err


def test_a_path_given_by_set_starts_from_the_current_folder(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.tsv").write_text((trained.parent / "train.tsv").read_text(encoding="utf-8"), encoding="utf-8")
    recipe, settings = trained.parent / "recipe.yaml", ("--set", "data.train=mine.tsv", "--set", "training.max_steps=1")
    for command in (("inspect", recipe), ("train", recipe, "--out", "run"), ("inspect", "run")):
        result = antiphon(*command, *settings)
        assert result.status == 0, result.err
    assert "train: 40 of 40 records" in result.out


def test_train_evaluate_predict_report(antiphon: Command, project: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = antiphon("train", project, "--out", run, "--set", "training.max_steps=6")
    assert result.status == 0, result.err
    assert f"antiphon evaluate {run}" in result.err
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {"validation", "end"} <= {event["kind"] for event in events}
    assert antiphon("report", run).status == 0
    assert (run / "report.html").stat().st_size > 5000


def test_evaluate_prints_scores_with_intervals(antiphon: Command, trained: Path) -> None:
    result = antiphon("evaluate", trained)
    assert result.status == 0, result.err
    assert "chrf" in result.out
    plain = json.loads(antiphon("evaluate", trained, "--json").out)
    scores = {score["name"]: score for score in plain["scores"]}
    assert set(scores) == {"chrf", "exact_match", "loss", "perplexity"}
    assert scores["chrf"]["low"] <= scores["chrf"]["value"] <= scores["chrf"]["high"]


def test_evaluate_compares_two_runs(antiphon: Command, trained: Path) -> None:
    plain = json.loads(antiphon("evaluate", trained, "--compare", trained / "last", "--json").out)
    assert len(plain["runs"]) == 2
    assert {comparison["name"] for comparison in plain["comparisons"]} == {"chrf", "exact_match"}
    assert "approximate randomization" in antiphon("evaluate", trained, "--compare", trained).out


def test_evaluate_scores_an_ensemble(antiphon: Command, trained: Path) -> None:
    plain = json.loads(antiphon("evaluate", trained, trained / "last", "--json").out)
    assert plain["run"] == f"{trained} + {trained / 'last'}"
    assert {score["name"] for score in plain["scores"]} >= {"chrf", "exact_match"}


def test_an_ensemble_has_weights(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("abc1\n", encoding="utf-8")
    last = next(folder for folder in (trained / "checkpoints").iterdir() if folder != (trained / "best").resolve())
    ensemble = ("--weights", "0.9,0.1", "--average", "log_probability")
    plain = json.loads(antiphon("evaluate", trained, last, *ensemble, "--json").out)
    assert plain["run"] == f"0.9 {trained} + 0.1 {last} (log_probability)"
    alone, both, weighted = (
        json.loads(antiphon("predict", *runs, "--json", "--input", tmp_path / "in.txt").out)[0]["log_prob"]
        for runs in ((trained,), (trained, last), (trained, last, *ensemble))
    )
    assert len({alone, both, weighted}) == 3
    wrong = antiphon("predict", trained, "--weights", "1")
    assert "`weights` must be left out unless several runs are an ensemble." in wrong.err
    assert "`--weights` must be numbers, such as 0.6,0.4, but is 'x'." in antiphon("predict", trained, last, "--weights", "x").err


def test_scores_have_four_digits(antiphon: Command, trained: Path) -> None:
    lines = antiphon("evaluate", trained, "--compare", trained / "last").out.splitlines()
    (loss,) = {line.split("│")[2].strip() for line in lines if line.startswith("│ loss")}
    assert len(loss.replace(".", "").lstrip("0")) == 4
    (chrf,) = [line for line in lines if line.startswith("chrf: ")]
    assert len(chrf.split()[1].replace(".", "").lstrip("0")) == 4


def test_evaluations_of_checkpoints_and_ensembles_are_kept_beside_that_of_the_run(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "copy", symlinks=True)
    shutil.rmtree(run / "evaluations", ignore_errors=True)
    worse = next(folder for folder in (run / "checkpoints").iterdir() if folder != (run / "best").resolve())
    other = tmp_path / "elsewhere" / "test.tsv"
    other.parent.mkdir()
    other.write_text("en\tno\nabc\tcba\n")
    for arguments in ((run,), (run, "--data", other), (worse,), (run, worse)):
        assert antiphon("evaluate", *arguments, "--quiet").status == 0
    kept = {path.name: json.loads(path.read_text())["of"] for path in (run / "evaluations").iterdir()}
    assert len(kept) == 4
    assert kept["test.tsv.json"] is None
    assert kept[f"test.tsv@{worse.name}.json"] == f"checkpoint {worse.name}"
    assert f"ensemble of {run} + {worse}" in kept.values()
    antiphon("report", run)
    assert f"test.tsv, checkpoint {worse.name}" in (run / "report.html").read_text()


def test_two_line_aligned_files_are_scored_as_a_table_of_both(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    rows = [("abc1", "1cba"), ("bca2", "2acb"), ("cc3", "3cc")]
    (tmp_path / "a.tsv").write_text("en\tno\n" + "".join(f"{one}\t{other}\n" for one, other in rows), encoding="utf-8")
    for place, name in enumerate(("a.en", "a.no")):
        (tmp_path / name).write_text("".join(f"{row[place]}\n" for row in rows), encoding="utf-8")
    whole, pair = (antiphon("evaluate", trained, "--data", data, "--json") for data in ("a.tsv", "{source: a.en, target: a.no}"))
    assert pair.status == 0, pair.err
    one, other = json.loads(whole.out), json.loads(pair.out)
    assert one["scores"] == other["scores"]
    assert other["data"] == "a.en"
    assert antiphon("tune", trained, "--data", "{source: a.en, target: a.no}", "--grid", "beam_size=1", "--dry-run").status == 0
    wrong = antiphon("evaluate", trained, "--data", "{source: a.en, target: a.nos}")
    assert (wrong.status, wrong.err) == (1, "antiphon: There is no file `a.nos`. Did you mean `a.no`?\n")


def test_a_score_whose_tokenizer_is_missing_says_so(
    antiphon: Command, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("MeCab", "ipadic"):
        monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "a.tsv").write_text("en\tno\nabc1\t設定を開きます。\nbca2\tファイルを保存しました。\n", encoding="utf-8")
    for command in (("evaluate", "--set", "evaluation.metrics=[bleu]"), ("tune", "--metric", "bleu", "--grid", "beam_size=1", "--dry-run")):
        found = json.loads(antiphon(command[0], trained, "--data", "a.tsv", "--json", *command[1:]).out)
        assert found["remarks"][0].startswith("BLEU of Japanese counts characters here (`tok:char`)")
        assert "|tok:char|" in (found["scores"] if "scores" in found else [found["best"]["score"]])[0]["signature"]


def test_predict_keeps_order_and_count(antiphon: Command, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Input:
        buffer = io.BytesIO(b"abc1\ncab2\nabc1\n")

    monkeypatch.setattr(sys, "stdin", Input())
    result = antiphon("predict", trained)
    assert result.status == 0, result.err
    lines = result.out.splitlines()
    assert len(lines) == 3
    assert lines[0] == lines[2]


def test_predict_reads_and_writes_files(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "in.tsv").write_text("en\nabc\nbca\n")
    assert antiphon("predict", trained, "--input", tmp_path / "in.tsv", "--output", tmp_path / "out.jsonl").status == 0
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert len(found) == 2
    assert {"prediction", "score", "token_scores", "finish_reason"} <= set(found[0])
    array = json.loads(antiphon("predict", trained, "--input", tmp_path / "in.tsv", "--json", "--set", "search.alignment=true").out)
    assert len(array) == 2
    assert "alignment" in array[0]


def test_predict_with_an_ensemble(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("abc\n")
    one = antiphon("predict", trained, "--input", tmp_path / "in.txt").out
    assert antiphon("predict", trained, trained, "--input", tmp_path / "in.txt").out == one


def test_list_names_every_plugin(antiphon: Command) -> None:
    result = antiphon("list", "models")
    assert "lstm" in result.out
    assert "transformer" in result.out
    assert set(json.loads(antiphon("list", "search", "--json").out)) >= {"beam", "greedy", "sampling", "mbr"}


@pytest.mark.parametrize("command", ["new", "check", "inspect", "train", "tune", "evaluate", "predict", "report", "list", "schema"])
def test_help_has_an_example(antiphon: Command, command: str) -> None:
    result = antiphon(command, "--help")
    assert result.status == 0
    assert "Example:" in result.out


def test_help_loads_no_torch() -> None:
    code = (
        "import sys; sys.argv = ['antiphon', '--help']\n"
        "try:\n    from antiphon.cli.main import main; main()\n"
        "finally:\n    assert 'torch' not in sys.modules"
    )
    began = time.monotonic()
    source = Path(antiphon_package.__file__).parent.parent
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(source)})
    print(f"--help took {time.monotonic() - began:.2f} s")
