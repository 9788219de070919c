"""What `antiphon predict` loads to answer from a folder that was exported: nothing that only training needs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from antiphon.contracts.configuration import Kept, plain
from antiphon.recipe.recipe import read_recipe, recipe_of_engine, with_overrides
from antiphon.runs.export import export
from antiphon.runs.train import train

SHOWN = """
import sys
from antiphon.cli.main import main
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
import json
print(json.dumps(sorted(sys.modules)))
"""
TRAINING = ("antiphon.training", "antiphon.losses", "antiphon.exporters", "antiphon.distillation", "antiphon.runs", "antiphon.report")
SMALL = {"antiphon.training", "antiphon.training.device", "antiphon.losses", "antiphon.losses.observed"}  # which anything computes with
HEAVY = ("sacrebleu", "lxml", "polars", "pandas", "pyarrow", "sympy", "onnx", "transformers", "matplotlib")
OF_TORCH = ("torch._dynamo", "torch._inductor", "torch._meta_registrations", "torch._refs", "torch.export._trace")
OTHER_FORMATS = ("antiphon.readers.po", "antiphon.readers.tmx", "antiphon.readers.html", "antiphon.readers.gluonts")
MORE_OF_TORCH = """
import sys
from pathlib import Path
from antiphon.cli.starting import load_torch_for
load_torch_for([Path(sys.argv[1])])
assert "torch" in sys.modules and "torch._meta_registrations" not in sys.modules
import torch
from torch.export import Dim
class Doubled(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.gelu(x.sort(1)[0] + x)
program = torch.export.export(Doubled(), (torch.randn(2, 3),), dynamic_shapes=({0: Dim("rows")},))
spec = sys.modules["torch._meta_registrations"].__spec__
assert spec.name == "torch._meta_registrations" and spec.origin.endswith(".py")
import torch._refs
assert torch._refs.__spec__.origin.endswith(".py") and torch.linalg.pinv(torch.empty(3, 2, device="meta")).shape == (2, 3)
print(len(program.module()(torch.randn(5, 3))))
"""


@pytest.mark.parametrize("engine", ["ctranslate2", pytest.param("onnx", marks=pytest.mark.slow)])
def test_nothing_that_only_training_needs_is_loaded(engine: str, project: Path, tmp_path: Path) -> None:
    pytest.importorskip({"onnx": "onnxruntime"}.get(engine, engine))
    model = "model={name: transformer, dim: 16, heads: 2, encoder_layers: 1, decoder_layers: 1, feed_forward_dim: 16}"
    run = train(read_recipe(project, [model, "training.max_steps=1"]), tmp_path / "run")
    folder = export(run, format=engine, out=tmp_path / "out", check=0)
    (tmp_path / "one.txt").write_text("abc1\n")
    command = [sys.executable, "-c", SHOWN, "predict", str(folder), "--input", str(tmp_path / "one.txt"), "--set", "search.beam_size=1"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(said) == 2
    loaded = json.loads(said[1])
    roots = (*TRAINING, *HEAVY, *OF_TORCH, *OTHER_FORMATS)
    needless = [name for name in loaded if any(name == root or name.startswith(f"{root}.") for root in roots)]
    assert {*needless} <= SMALL
    assert f"antiphon.engines.{engine}" in loaded


def test_what_is_left_out_of_torch_comes_with_the_first_part_that_needs_it(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.json").write_text('{"engine": {"name": "onnx"}}')
    done = subprocess.run([sys.executable, "-c", MORE_OF_TORCH, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "5\n"), done.stderr


@pytest.mark.parametrize("engine", ["torch", None])
def test_torch_is_loaded_as_a_whole_where_it_runs_the_model(engine: str | None, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.json").write_text(json.dumps({"engine": {"name": engine}} if engine else {}))
    asked = f"from pathlib import Path; from antiphon.cli.starting import load_torch_for; load_torch_for([Path({str(tmp_path)!r})])"
    done = subprocess.run(
        [sys.executable, "-c", f"{asked}\nimport sys; print('torch' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n", "left to whoever imports it"


def test_what_it_learned_with_is_there_when_somebody_asks(project: Path, tmp_path: Path) -> None:
    recipe = read_recipe(project)
    kept = recipe_of_engine(plain(recipe), trust=recipe.trust)
    assert isinstance(kept.training, Kept)
    assert kept.training.optimizer == recipe.training.optimizer
    assert plain(kept) == plain(recipe)
    assert isinstance(with_overrides(kept, ["search.beam_size=1"]).training, Kept)
    changed = with_overrides(kept, ["training.decoder_inputs=scheduled_sampling"])
    assert changed.training.decoder_inputs.name == "scheduled_sampling"
    assert changed.training.optimizer == recipe.training.optimizer
