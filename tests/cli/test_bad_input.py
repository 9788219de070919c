"""What goes wrong gets one clear sentence that names the place and the remedy, a status of 1, and no traceback."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from antiphon.store.checkpoint import digest
from tests.cli.conftest import Command, Result


def says(result: Result, *parts: str) -> None:
    """The command failed with a message that has all the parts."""
    assert result.status == 1, (result.status, result.out, result.err)
    assert "Traceback" not in result.err
    for part in parts:
        assert part in result.err, f"{part!r} is not in: {result.err}"


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ("modle.dim=3", ["`modle`", "Did you mean `model`?"]),
        ("model.dimm=3", ["`model.dimm`", "Did you mean `dim`?"]),
        ("model.name=lstmm", ["lstmm", "Did you mean `lstm`?"]),
        ("model.dim=wide", ["`model.dim`", "'wide'"]),
        ("model.dim=15", ["`model.dim` must be even"]),
        ("training.optimizer.name=adamx", ["adamx", "Did you mean `adamw`?"]),
        ("training.max_steps=null", ["max_steps, max_epochs or max_minutes"]),
        ("training.best=bleu", ["`training.best`", "chrf"]),
        ("evaluation.metrics=[chrff]", ["chrff", "Did you mean `chrf`?"]),
        ("data.train=missing.tsv", ["missing.tsv"]),
        ("data.train=null", ["`data.train` is missing"]),
        ("data.validation=null", ["`data.validation` is missing"]),
        ("data.validation=1000", ["`data.validation`", "40", "1000"]),
        ("task.target=nor", ["`nor`", "Did you mean `no`?"]),
        ("training.freeze=[nothing.*]", ["nothing.*", "encoder.*"]),
        ("training.init_from=nowhere", ["nowhere"]),
        ("data.limits.max_source_length=1", ["train.tsv"]),
        ("evaluation", ["key.path=value"]),
    ],
)
def test_recipe_mistakes(antiphon: Command, project: Path, tmp_path: Path, change: str, parts: list[str]) -> None:
    says(antiphon("train", project, "--out", tmp_path / "run", "--set", change), *parts)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ("model=3", ["`model` must be a name, or a mapping with a `name`, but is 3."]),
        ("task=null", ["`task` must be a name, or a mapping with a `name`"]),
        ("search=[beam]", ["`search` must be a name, or a mapping with a `name`, but is ['beam']."]),
        ("model.dropout=2", ["`model.dropout` must be less than 1, but is 2."]),
        ("training.optimizer.betas=[0.9, 1.5]", ["`training.optimizer.betas.1` must be less than 1, but is 1.5."]),
        ("training.optimizer.learning_rate=.inf", ["`training.optimizer.learning_rate` must be a finite number, but is inf."]),
        ("training.optimizer=adam", ["`training.optimizer.name` must be one of adamw,", "Did you mean `adamw`?"]),
        ("data.cache=train.tsv/cache", ["`data.cache` must be a folder that can be written", "Name another one, or leave it out"]),
    ],
)
@pytest.mark.parametrize("command", ["train", "inspect"])
def test_what_is_found_before_work_begins(
    antiphon: Command, project: Path, tmp_path: Path, command: str, change: str, parts: list[str]
) -> None:
    out = ("--out", tmp_path / "run") if command == "train" else ()
    result = antiphon(command, project, *out, "--set", change)
    says(result, *parts)
    assert len(result.err.strip().splitlines()) == 1, "one sentence"
    assert not (tmp_path / "run" / "recipe.yaml").exists()
    assert not (tmp_path / "run" / "corpus").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("command", ["train", "inspect"])
def test_a_device_that_is_not_there(antiphon: Command, project: Path, tmp_path: Path, command: str) -> None:
    out = ("--out", tmp_path / "run") if command == "train" else ()
    result = antiphon(command, project, *out, "--set", "training.device=cuda")
    says(result, "`training.device` must not be `cuda` on this machine: PyTorch finds no GPU with CUDA.")
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_loading_for_a_device_that_is_not_there(trained: Path) -> None:
    import antiphon as package
    from antiphon.errors import ConfigError

    with pytest.raises(ConfigError, match="`device` must not be `cuda` on this machine"):
        package.load(trained, device="cuda")
    with pytest.raises(ConfigError, match="but is 'gpu'"):
        package.load(trained, device="gpu")


def test_a_warm_up_longer_than_the_budget_is_said(antiphon: Command, project: Path, tmp_path: Path) -> None:
    changes = ("--set", "training.schedule={name: cosine, warmup_steps: 8}", "--set", "training.max_steps=4")
    result = antiphon("train", project, "--out", tmp_path / "run", *changes)
    assert result.status == 0, result.err
    assert "`training.schedule.warmup_steps` is 8, and the budget is about 4 updates" in result.err


def test_transformer_heads_must_divide(antiphon: Command, project: Path) -> None:
    changes = ("--set", "model={name: transformer, dim: 16, heads: 7}")
    says(antiphon("inspect", project, *changes), "`model.heads` must divide `model.dim` (16), but is 7.")


def test_recipe_line_is_named(antiphon: Command, project: Path) -> None:
    project.write_text(project.read_text().replace("  max_steps: 12", "  max_stepz: 12"))
    says(antiphon("train", project), f"{project}:14: `training.max_stepz` is not a setting. Did you mean `max_steps`?")


def test_recipe_that_is_missing_or_no_yaml(antiphon: Command, tmp_path: Path) -> None:
    says(antiphon("train", tmp_path / "none.yaml"), "There is no recipe", "antiphon new")
    (tmp_path / "bad.yaml").write_text("task: [1,\nmodel: }")
    says(antiphon("train", tmp_path / "bad.yaml"), "bad.yaml:2", "YAML")
    (tmp_path / "list.yaml").write_text("- 1")
    says(antiphon("train", tmp_path / "list.yaml"), "must be a mapping")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ["train.tsv", "empty"]),
        (b"en\tno\n", ["train.tsv"]),
        (b"en\tno\nab\tba\ncd\n", ["train.tsv:3"]),
        (b"en\tno\nab\tba\nx\ty\tz\n", ["train.tsv:3"]),
        (b"en\tnei\nab\tba\n", ["no", "nei"]),
        (b"\x00\x01\x02\x00PK", ["train.tsv", "binary"]),
        (b"en\tno\nab\tb\xff\xfea\n", ["train.tsv:2", "utf-8"]),
        (b"\xff\xfee\x00n\x00", ["train.tsv", "has no column `no`, which `task.target` asks for; it has: en"]),
        (b"en\tno\n\t\n\t\n", ["`data.train`", "empty"]),
    ],
)
def test_training_file_mistakes(antiphon: Command, project: Path, tmp_path: Path, content: bytes, parts: list[str]) -> None:
    (project.parent / "train.tsv").write_bytes(content)
    says(antiphon("train", project, "--out", tmp_path / "run"), *parts)


def test_files_of_different_length(antiphon: Command, project: Path) -> None:
    (project.parent / "a.en").write_text("a\nb\nc\n")
    (project.parent / "a.no").write_text("a\nb\n")
    says(antiphon("train", project, "--set", "data.train={source: a.en, target: a.no}"), "a.en", "3", "2")


def test_bom_crlf_and_a_long_line_are_read(antiphon: Command, project: Path) -> None:
    rows = "en\tno\r\n" + "".join(f"ab{number}\tba{number}\r\n" for number in range(20)) + "x" * 1_000_000 + "\ty\r\n"
    (project.parent / "train.tsv").write_bytes(b"\xef\xbb\xbf" + rows.encode())
    result = antiphon("inspect", project)
    assert result.status == 0, result.err
    assert "train: 20 of 21 records are used" in result.out
    assert "1 dropped" in result.out


def test_test_rows_in_train_are_shown(antiphon: Command, project: Path) -> None:
    rows = (project.parent / "test.tsv").read_text().splitlines()[1:4]
    with (project.parent / "train.tsv").open("a") as file:
        file.write("\n".join(rows) + "\n")
    assert "3 records" in next(line for line in antiphon("inspect", project).out.splitlines() if line.startswith("Overlap"))


def test_a_run_folder_that_exists(antiphon: Command, project: Path, trained: Path) -> None:
    says(antiphon("train", project, "--out", trained), "already holds a run", "--resume")


def test_resuming_a_finished_run_says_what_to_raise(antiphon: Command, trained: Path) -> None:
    before = digest(trained / "last" / "model.safetensors")
    result = antiphon("train", trained.parent / "recipe.yaml", "--out", trained, "--resume")
    assert result.status == 0
    assert "is complete: 12 steps done. Raise the budget to train on." in result.err
    assert digest(trained / "last" / "model.safetensors") == before


def test_resuming_a_changed_recipe_is_refused(antiphon: Command, trained: Path) -> None:
    result = antiphon("train", trained.parent / "recipe.yaml", "--out", trained, "--resume", "--set", "model.dim=18", "--set", "seed=4")
    says(result, "`model.dim`", "`seed`")


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    """A run that may be damaged."""
    return Path(shutil.copytree(trained, tmp_path / "copied", symlinks=True))


@pytest.mark.parametrize("name", ["model.safetensors", "checkpoint.json", "features/source/text.json"])
def test_a_flipped_bit_is_found(antiphon: Command, copied: Path, name: str) -> None:
    path = copied / "best" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    says(antiphon("evaluate", copied), "damaged")


def test_a_missing_file_is_found(antiphon: Command, copied: Path) -> None:
    (copied / "best" / "model.safetensors").unlink()
    says(antiphon("predict", copied, "--input", copied / "recipe.yaml"), "incomplete", "model.safetensors")


def test_a_newer_format_is_refused(antiphon: Command, copied: Path) -> None:
    header = copied / "best" / "checkpoint.json"
    header.write_text(json.dumps({**json.loads(header.read_text()), "format": 99, "version": "9.9"}))
    manifest = copied / "best" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "checkpoint.json": digest(header)}))
    says(antiphon("evaluate", copied), "99", "9.9", "Install a newer antiphon")


@pytest.mark.parametrize("part", ["model", "task", "search", "loss", "metrics"])
def test_code_named_by_a_checkpoint_is_not_imported(antiphon: Command, copied: Path, part: str) -> None:
    header = copied / "best" / "checkpoint.json"
    plain = json.loads(header.read_text())
    recipe = plain["recipe"]
    if part == "model":
        plain["model"]["name"] = recipe["model"]["name"] = "os.path"
    elif part == "metrics":
        recipe["evaluation"]["metrics"] = ["os.path"]
    else:
        (recipe["training"] if part == "loss" else recipe)[part] = {"name": "os.path"}
    header.write_text(json.dumps(plain))
    manifest = copied / "best" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "checkpoint.json": digest(header)}))
    says(antiphon("evaluate", copied), "os.path", "trust_code")


def test_no_run(antiphon: Command, tmp_path: Path) -> None:
    says(antiphon("evaluate", tmp_path / "nothing"), "There is no run")
    says(antiphon("report", tmp_path), "needs a run", "antiphon train")


def test_inputs_that_cannot_be_used_keep_their_place(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "in.tsv").write_text("en\nabc\n\n" + "a" * 5000 + "\ncab\n")
    result = antiphon("predict", trained, "--input", "in.tsv")
    says(
        result, "input 2 (in.tsv:3): the source is empty", "input 3 (in.tsv:4): the source has 5001 elements", "2 inputs could not be used"
    )
    lines = result.out.split("\n")
    assert len(lines) == 5
    assert lines[1] == lines[2] == ""


def test_python_names_the_input_that_cannot_be_used(trained: Path) -> None:
    import antiphon as package
    from antiphon.errors import DataError

    model = package.load(trained)
    with pytest.raises(DataError, match="Input 2: the source is empty"):
        model.predict(["abc", " "])
    with pytest.raises(DataError, match="must be a text or a mapping, but is int"):
        model.predict(["abc", 3])  # type: ignore[list-item]


def test_evaluating_on_bad_data(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    says(antiphon("evaluate", trained, "--data", tmp_path / "none.tsv"), "none.tsv")
    (tmp_path / "one.tsv").write_text("en\nabc\n")
    says(antiphon("evaluate", trained, "--data", tmp_path / "one.tsv"), "`no`")


def test_unknown_names(antiphon: Command, tmp_path: Path) -> None:
    says(antiphon("new", "translaton", tmp_path / "x.yaml"), "Did you mean `translation`?")
    says(antiphon("list", "model"), "Did you mean `models`?")


def test_what_is_meant_is_found_or_named(antiphon: Command, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a name of a task, the other suffix, a setting in the wrong place, a folder of runs, a text where a file may stand."""
    monkeypatch.chdir(tmp_path)
    assert "Wrote speech.yaml" in antiphon("new", "speech").out
    assert "speech_recognition" in (tmp_path / "speech.yaml").read_text(encoding="utf-8")
    says(antiphon("inspect", "spech.yaml"), "There is no recipe spech.yaml. Did you mean `speech.yaml`?")
    says(antiphon("inspect", "german.yaml"), "There is no recipe german.yaml. `antiphon new translation german.yaml`")
    says(antiphon("inspect", "speech.yml", "--set", "max_minutes=2"), "Did you mean `training.max_minutes`?")
    says(antiphon("inspect", "speech.yml", "--set", "model.seed=2"), "Did you mean `seed`?")
    says(antiphon("inspect", "speech", "--set", "model.presett=tiny"), "`model.presett` is not a setting. Did you mean `preset`?")
    for name in ("one", "two"):
        (tmp_path / "runs" / name / "best").mkdir(parents=True)
    says(antiphon("evaluate", "runs"), "runs is no run, but holds runs: runs/one, runs/two. Name one.")
    says(antiphon("predict", "runs/one", "a text"), "There is no file a text", "echo 'a text' | antiphon predict runs/one")


def test_list_alone_lists_the_kinds(antiphon: Command) -> None:
    said = antiphon("list").out
    assert "models" in said
    assert "transformer" in said
    assert json.loads(antiphon("list", "--json").out)["search"].startswith("beam, ")
