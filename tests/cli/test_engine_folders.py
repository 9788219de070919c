"""A folder that was exported for an engine, at the command line: opened like a run, or one sentence that says why not."""

import json
import shutil
from importlib import import_module
from pathlib import Path

import pytest

from antiphon import load
from antiphon.errors import ConfigError
from antiphon.runs.export import export
from antiphon.store import checkpoint
from tests.cli.conftest import Command
from tests.toy_engine import with_toy_engine


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    with_toy_engine(monkeypatch)


@pytest.fixture(scope="module")
def written(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported folder; do not change it."""
    with pytest.MonkeyPatch.context() as patch:
        with_toy_engine(patch)
        return export(trained, format="toy", out=tmp_path_factory.mktemp("exported") / "out", check=0)


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """An exported folder to break."""
    shutil.copytree(written, tmp_path / "folder")
    return tmp_path / "folder"


def test_what_opens_a_run_opens_it(antiphon: Command, trained: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("abc\ncde\n")
    from_run, from_folder = antiphon("predict", trained, "words.txt"), antiphon("predict", folder, "words.txt")
    assert from_folder.status == 0, from_folder.err
    assert from_folder.out == from_run.out
    both = antiphon("predict", folder, trained, folder, "words.txt")  # members of different engines
    assert both.status == 0, both.err
    assert both.out == from_run.out
    (tmp_path / "pairs.tsv").write_text("en\tno\nabc\tcba\n")
    scores = [antiphon("score", one, "--data", "pairs.tsv").out.splitlines()[1].split("\t") for one in (trained, folder)]
    assert [float(cell) for cell in scores[1][2:]] == pytest.approx([float(cell) for cell in scores[0][2:]], abs=1e-4)
    said = antiphon("evaluate", folder, "--data", "pairs.tsv", "--json")
    assert said.status == 0, said.err
    evaluated = [json.loads(antiphon("evaluate", one, "--data", "pairs.tsv", "--json").out) for one in (trained, folder)]
    assert [one["value"] for one in evaluated[1]["scores"]] == pytest.approx([one["value"] for one in evaluated[0]["scores"]], abs=1e-4)
    reported = antiphon("report", folder)
    assert reported.status == 0, reported.err
    assert "pairs.tsv" in (folder / "report.html").read_text()
    examined = antiphon("doctor", folder, "--data", "pairs.tsv", "--json")
    assert examined.status == 0, examined.out
    assert json.loads(examined.out)["sound"]


def refused(result) -> str:
    assert result.status == 1
    assert result.out == ""
    assert result.err.startswith("antiphon: ")
    assert result.err.count("\n") == 1, result.err
    return result.err


def test_what_cannot_be_opened_is_one_sentence(antiphon: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = json.loads((folder / "checkpoint.json").read_text())

    def with_header(**engine) -> str:
        changed = {**header, "engine": {**header["engine"], **engine}}
        checkpoint.amend(folder, {**changed, "format": 1})
        return refused(antiphon("predict", folder, "--input", "x.txt"))

    (folder.parent / "x.txt").write_text("abc\n")
    assert "`future`, which this version does not have. Install a newer antiphon" in with_header(name="future")
    assert "was exported by a newer version, antiphon" in with_header(facts={**header["engine"]["facts"], "new": 1})
    assert "needs version 7 of toy, but 1 is installed" in with_header(versions={"toy": "7"})
    checkpoint.amend(folder, header)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("Opset 99 is under\ndevelopment")

    with monkeypatch.context() as patch:
        patch.setattr(import_module("antiphon.engines.toy"), "graphs_of", broken)
        said = refused(antiphon("predict", folder, "--input", "x.txt"))
    assert "`toy` cannot open" in said
    assert "(in fp32; toy 1 then, none now): Opset 99 is under development. Install the version" in said
    weights = folder / "engine" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert "engine/weights.safetensors has changed since it was written" in refused(antiphon("predict", folder, "--input", "x.txt"))
    (folder / "checkpoint.json").write_text(json.dumps({**header, "format": 99}))
    assert "has format 99" in refused(antiphon("predict", folder, "--input", "x.txt"))


def test_what_cannot_be_done_with_it_is_one_sentence(
    antiphon: Command, trained: Path, written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.txt").write_text("abc\n")

    def predicted(folder: Path, *options: object) -> str:
        return refused(antiphon("predict", folder, "--input", "x.txt", *options))

    assert "`model.dim` must not be set for" in predicted(written, "--set", "model.dim=32")
    assert "`engine.search=ours` has no effect on" in predicted(trained, "--set", "engine.search=ours")
    assert antiphon("predict", written, "--input", "x.txt", "--set", "engine.search=ours").status == 0
    with monkeypatch.context() as patch:
        patch.setattr("torch.cuda.is_available", lambda: True)
        patch.setattr("torch.cuda.device_count", lambda: 1)
        with pytest.raises(ConfigError, match="must be `cpu` or `auto` for a model exported for `toy`"):
            load(written, device="cuda")
    assert "was exported already, for the engine `toy`" in refused(antiphon("export", written, "--format", "toy", "--out", "again"))
    assert "only a run can be inspected" in refused(antiphon("inspect", written))
    recipe = trained.parent / "recipe.yaml"
    assert "in which no run can begin" in refused(antiphon("train", recipe, "--out", written))
    learned = antiphon("train", recipe, "--out", "new", "--set", f"training.init_from={written}")
    assert "it has no weights to learn from" in learned.err
    assert learned.status == 1
