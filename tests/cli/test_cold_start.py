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
HEAVY = ("sacrebleu", "lxml", "polars", "pandas", "pyarrow", "onnx", "transformers", "matplotlib", "torch._dynamo", "torch._inductor")
OTHER_FORMATS = ("antiphon.readers.po", "antiphon.readers.tmx", "antiphon.readers.html", "antiphon.readers.gluonts")


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
    roots = (*TRAINING, *HEAVY, *OTHER_FORMATS)
    needless = [name for name in loaded if any(name == root or name.startswith(f"{root}.") for root in roots)]
    assert {*needless} <= SMALL
    assert f"antiphon.engines.{engine}" in loaded


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
