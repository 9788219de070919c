"""A folder for torch: written by us, run by torch alone."""

import re
import shutil
import subprocess
import sys

import pytest
import torch
from torch import nn

import antiphon
from antiphon.contracts.engine import Exported, Facts
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.engines.torch import open_engine, this_machine
from antiphon.errors import CheckpointError, ConfigError, ExportError
from antiphon.exporters.graphs import Graph, check_graphs
from antiphon.exporters.torch import program
from antiphon.exporters.torch_compiled import save_compiled
from antiphon.recipe.recipe import recipe_from
from tests.checked_shapes import unchecked

TOKENS, FACTS = TokenSpec(size=9, pad=0, unknown=1, start=2, end=3), Facts(stepwise=False, frames=False)
WORDS = ("red", "green", "blue", "black")
DATA = {"train": [{"source": f"{one} {other}", "target": f"{other} {one}"} for one in WORDS for other in WORDS]}
ALONE = """
import json, sys, torch
names = json.load(open(sys.argv[1] + "/checkpoint.json"))["engine"]["details"]["graphs"]
encode = torch.export.load(sys.argv[1] + "/engine/encode.pt2").module(check_guards=False)
step = torch.export.load(sys.argv[1] + "/engine/step.pt2").module(check_guards=False)
found = dict(zip(names["encode"]["outputs"], encode(torch.tensor([[4, 5, 3]]), torch.tensor([3]))))
rows = {name: tensor.unsqueeze(1) if name.startswith("state_") else tensor for name, tensor in found.items()}
said = step(*[{"last": torch.tensor([[2]]), **rows}[name] for name in names["step"]["inputs"]])[0]
assert not [name for name in sys.modules if name.startswith("antiphon")]
print(said.shape[:2] == (1, 1) and bool(said.isfinite().all()))
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("torch")
    settings = {
        "task": {"name": "translation", "vocabulary": {"kind": "word"}},
        "model": {"name": "lstm", "dim": 8},
        "data": {"validation": 4},
        "training": {"max_steps": 3, "samples": 0},
    }
    run = antiphon.train(recipe_from(settings), folder / "run", data=DATA)
    with unchecked():
        return run, antiphon.export(run, format="torch", out=folder / "exported")


def test_a_folder_says_what_its_run_says(exported):
    run, folder = exported
    texts = ["red green", "blue", "black black red red green"]
    ours, theirs = (antiphon.load(place) for place in (run, folder))
    assert [one.text for one in ours.predict(texts)] == [one.text for one in theirs.predict(texts)]
    pairs = [{"source": text, "target": "green blue"} for text in texts]
    scores = [[one.hypothesis.score for one in opened.score(pairs)] for opened in (ours, theirs)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)


@pytest.mark.slow
def test_files_run_where_only_torch_is(exported):
    found = subprocess.run([sys.executable, "-I", "-c", ALONE, str(exported[1])], capture_output=True, text=True, check=False)
    assert found.stdout.strip() == "True", found.stderr[-500:]


@pytest.mark.parametrize("architecture", ["adapted", "pretrained", "chronos_bolt"])
def test_what_has_no_graphs_is_refused(architecture):
    with pytest.raises(ExportError, match=f"A `{architecture}` model cannot be exported for torch"):
        check_graphs(architecture, "torch")


class Fixes(nn.Module):
    """The number of rows becomes a number."""

    def forward(self, x):
        return x * len(x)


class Keeps(nn.Module):
    """Has a weight that it does not read."""

    def __init__(self):
        super().__init__()
        self.read, self.unread = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return self.read(x)


def graph(module):
    return Graph(module, (torch.randn(3, 4),), ("x",), ("y",), ({0: "batch"},))


def test_a_fixed_size_is_refused():
    with unchecked(), pytest.raises(ExportError, match="fixes the size `batch` of `x` in the graph `step`"):
        program("step", graph(Fixes()))


def test_weights_that_are_not_read_stay_behind():
    with unchecked():
        found = program("encode", graph(Keeps()))
    assert set(found.state_dict) == {"read.weight", "read.bias"}
    assert found.module(check_guards=False)(torch.randn(1, 4)).shape == (1, 4)


def test_a_damaged_file_names_the_remedy(tmp_path):
    (tmp_path / "encode.pt2").write_bytes(b"nothing")
    names = {"encode": {"inputs": ["values"], "outputs": ["memory_0"]}}
    facts = Facts(stepwise=False, frames=False)
    with pytest.raises(CheckpointError, match=r"was written by torch 9\.9.*Install torch 9\.9, or export the model again"):
        open_engine(Exported(tmp_path, ValueSpec(1), ValueSpec(1), None, "fp32", facts, {"torch": "9.9"}, {"graphs": names}))


def test_compiled_programs_are_refused_elsewhere(exported, tmp_path, monkeypatch):
    run, folder = exported
    names = {"encode": {"inputs": [], "outputs": []}}
    for machine, version in (({"machine": "Plan9 vax", "instructions": "none"}, torch.__version__), (this_machine(), "1.0")):
        given = Exported(folder, TOKENS, TOKENS, None, "fp32", FACTS, {"torch": version}, {"graphs": names, "compiled": machine})
        with pytest.raises(
            ConfigError, match=f"was compiled for {machine['machine']} with .* by torch {re.escape(version)}, .*Export the run here"
        ):
            open_engine(given)
    (tmp_path / "encode.pt2").write_bytes(b"no archive")
    details, versions = {"graphs": names, "compiled": this_machine()}, {"torch": torch.__version__}
    with pytest.raises(CheckpointError, match=r"encode\.pt2 cannot be opened"):
        open_engine(Exported(tmp_path, TOKENS, TOKENS, None, "fp32", FACTS, versions, details))
    with pytest.raises(ConfigError, match=r"`engine\.compiled` must not be set for .*, which was exported"):
        antiphon.load(folder, overrides=["engine.compiled=true"])
    with pytest.raises(ExportError, match=r"`engine\.compiled` is for `--format torch`, but `--format` is hf"):
        antiphon.export(run, format="hf", out=tmp_path / "hf", overrides=["engine.compiled=true"])
    if shutil.which("g++"):
        with unchecked(), pytest.raises(ExportError, match=r"`engine\.compiled` holds no LSTM or GRU .*, but the graph `encode` has one"):
            antiphon.export(run, format="torch", out=tmp_path / "lstm", overrides=["engine.compiled=true"])
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(ExportError, match=r"`engine\.compiled` must be false here: it needs a C\+\+ compiler \(g\+\+\)"):
        save_compiled({}, tmp_path)


@pytest.mark.slow  # compiles for a minute
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.timeout(1800)
def test_compiled_programs_say_what_the_run_says(tmp_path):
    settings = {
        "task": {"name": "translation", "vocabulary": {"kind": "word"}},
        "model": {"name": "transformer", "dim": 16, "heads": 2, "encoder_layers": 1, "decoder_layers": 1},
        "data": {"validation": 4},
        "training": {"max_steps": 3, "samples": 0},
    }
    run = antiphon.train(recipe_from(settings), tmp_path / "run", data=DATA)
    with unchecked():
        folder = antiphon.export(run, format="torch", out=tmp_path / "compiled", overrides=["engine.compiled=true"])
    texts = ["red green", "blue", "black black red red green"]
    ours, theirs = (antiphon.load(place) for place in (run, folder))
    for one, other in zip(ours.predict(texts), theirs.predict(texts), strict=True):
        assert one.text == other.text
        assert one.hypothesis.score == pytest.approx(other.hypothesis.score, abs=1e-4)
