"""Adapters on models of our own: only they learn and are saved, their base must be there as it was, and merged they are an ordinary run."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import antiphon
from antiphon.errors import CheckpointError, ConfigError, ExportError
from antiphon.recipe.recipe import Recipe, read_recipe, recipe_from
from antiphon.store import checkpoint as checkpoints

LINES = ["a b c d", "c a b", "d d a", "b c", "a d c b a", "b", "c c d", "d a b c"]
DATA = {"train": [{"source": line, "target": " ".join(reversed(line.split()))} for line in LINES] * 3}
MODELS: dict[str, dict[str, Any]] = {
    "transformer": {"name": "transformer", "dim": 16, "heads": 2, "encoder_layers": 1, "decoder_layers": 2, "feed_forward_dim": 24},
    "ssru": {"name": "transformer", "dim": 16, "heads": 2, "encoder_layers": 1, "decoder_layers": 1, "decoder": "ssru"},
    "lstm": {"name": "lstm", "dim": 16, "encoder_layers": 1, "decoder_layers": 1},
}
ADAPTERS = {"lstm": {"rank": 2, "modules": ["combine", "*.key"]}}


def recipe(model: dict[str, Any], vocabulary: dict[str, Any] | None = None, **training: Any) -> Recipe:
    return recipe_from(
        {
            "task": {"name": "translation", "vocabulary": vocabulary or {"kind": "word"}},
            "model": model,
            "data": {"validation": 2},
            "training": {
                "max_steps": 4,
                "optimizer": {"name": "adamw", "learning_rate": 0.02},
                "batching": {"target_tokens": 60},
                **training,
            },
            "search": {"name": "beam", "beam_size": 2},
        }
    )


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made: dict[str, Path] = {}

    def get(name: str = "transformer") -> Path:
        if name not in made:
            made[name] = antiphon.train(recipe(MODELS[name]), tmp_path_factory.mktemp(name) / "run", data=DATA)
        return made[name]

    return get


def adapted(run: Path, adapter: dict[str, Any] | None = None, **training: Any) -> Recipe:
    return recipe({"name": "adapted", "run": str(run), "adapter": adapter or {"rank": 2}}, {"run": str(run)}, **training)


def texts(run: Path) -> list[Any]:
    return [prediction.text for prediction in antiphon.load(run).predict(LINES)]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_only_adapters_learn_and_are_saved(base: Any, tmp_path: Path, name: str, kind: str) -> None:
    made = adapted(base(name), {**ADAPTERS.get(name, {"rank": 2}), "kind": kind})
    run = antiphon.train(made, tmp_path / "run", data=DATA)
    saved = checkpoints.read((run / "best").resolve())
    assert saved.weights()
    assert all(".lora_" in one for one in saved.weights())
    assert any(bool(tensor.any()) for one, tensor in saved.weights().items() if "lora_B" in one), "the adapter has learned"
    model, theirs = antiphon.load(run).model, antiphon.load(base(name)).model
    assert type(model) is type(theirs)
    kept = {one.replace(".base_layer", ""): tensor for one, tensor in model.state_dict().items()}
    assert all(torch.equal(kept[one], tensor) for one, tensor in theirs.state_dict().items()), "the base stays as it is"


@pytest.mark.parametrize("kind", ["lora", pytest.param("dora", marks=pytest.mark.slow)])
def test_nothing_learned_changes_nothing_and_resuming_is_exact(base: Any, tmp_path: Path, kind: str) -> None:
    still = adapted(base(), {"rank": 2, "kind": kind}, optimizer={"name": "sgd", "learning_rate": 1e-30}, max_steps=1)
    assert texts(antiphon.train(still, tmp_path / "still", data=DATA)) == texts(base())
    whole = antiphon.train(adapted(base(), max_steps=6), tmp_path / "whole", data=DATA)
    part = antiphon.train(adapted(base(), max_steps=3), tmp_path / "part", data=DATA)
    antiphon.train(adapted(base(), max_steps=6), part, data=DATA, resume=True)
    one, two = (checkpoints.read((run / "last").resolve()).weights() for run in (whole, part))
    assert one.keys() == two.keys()
    assert all(torch.equal(tensor, two[key]) for key, tensor in one.items())


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param(kind, name, marks=[pytest.mark.slow] * ((kind, name) != ("dora", "transformer")))
        for kind in ("lora", "dora")
        for name in MODELS
    ],
)
def test_merged_it_is_a_run_of_its_own(base: Any, tmp_path: Path, name: str, kind: str) -> None:
    folder = shutil.copytree(base(name), tmp_path / "base")
    made = adapted(folder, {**ADAPTERS.get(name, {"rank": 2}), "kind": kind, "alpha": 32}, max_steps=8, freeze=["*lora_A*"])
    run = antiphon.train(made, tmp_path / "run", data=DATA)
    before, loss = texts(run), antiphon.evaluate(run, DATA["train"])["loss"]
    assert loss != pytest.approx(antiphon.evaluate(folder, DATA["train"])["loss"], rel=1e-4), "it has learned"
    merged = antiphon.export(run, format="merged", out=tmp_path / "merged")
    shutil.rmtree(run)
    (folder / "checkpoints").rename(tmp_path / "gone")
    assert texts(merged) == before
    assert antiphon.evaluate(merged, DATA["train"])["loss"] == pytest.approx(loss, rel=1e-5)
    assert antiphon.load(merged).recipe.model.name == MODELS[name]["name"]
    assert antiphon.load(merged).recipe.training.freeze == ()
    again = antiphon.train(adapted(merged, ADAPTERS.get(name)), tmp_path / "again", data=DATA)
    assert len(texts(again)) == len(LINES)


def test_what_else_learns_is_named_as_in_the_base(base: Any, tmp_path: Path) -> None:
    adapter = {"rank": 2, "train": ["*.query_key_value.bias", "*embedding*"]}
    run = antiphon.train(adapted(base(), adapter, max_steps=8), tmp_path / "run", data=DATA)
    saved, theirs = checkpoints.read((run / "best").resolve()).weights(), antiphon.load(base()).model.state_dict()
    others = {name.replace(".base_layer", ""): tensor for name, tensor in saved.items() if "lora" not in name}
    assert "encoder.0.attention.query_key_value.bias" in others
    assert "head.weight" in others, "shared weights under all their names"
    assert not any(torch.equal(tensor, theirs[name]) for name, tensor in others.items())
    merged = antiphon.load(antiphon.export(run, format="merged", out=tmp_path / "merged")).model.state_dict()
    assert all(torch.equal(tensor, merged[name]) for name, tensor in others.items())


def test_loss_and_search_are_those_of_the_base_unless_the_recipe_says(base: Any, tmp_path: Path) -> None:
    loss = {"name": "cross_entropy", "label_smoothing": 0.25}
    folder = antiphon.train(recipe(MODELS["lstm"], max_steps=1, loss=loss), tmp_path / "base", data=DATA)
    written = {
        "task": {"name": "translation", "vocabulary": {"run": "base"}},
        "model": {"name": "adapted", "run": "base", "adapter": {"rank": 2, "modules": ["combine"]}},
        "training": {"max_steps": 1},
    }
    found = recipe_from(written, tmp_path)
    assert (found.training.loss.label_smoothing, found.search.beam_size) == (0.25, 2)
    own = recipe_from({**written, "training": {"max_steps": 1, "loss": {"label_smoothing": 0.1}}, "search": "greedy"}, tmp_path)
    assert (own.training.loss.label_smoothing, own.search.name) == (0.1, "greedy")
    folder.rename(tmp_path / "elsewhere")
    assert recipe_from(written, tmp_path).search.beam_size == 5  # that the base is missing is said when its weights are needed


def test_what_cannot_be_adapted_or_merged_is_refused(base: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`model\.run` is missing"):
        antiphon.train(recipe({"name": "adapted"}), tmp_path / "none", data=DATA)
    with pytest.raises(CheckpointError, match="There is no run or checkpoint"):
        antiphon.train(recipe({"name": "adapted", "run": str(tmp_path / "nowhere")}), tmp_path / "nothing", data=DATA)
    with pytest.raises(ConfigError, match=r"must match linear layers, but '\*\.q_proj' matches none of: .*\*\.query_key_value"):
        antiphon.train(adapted(base(), {"modules": ["*.q_proj"]}), tmp_path / "pattern", data=DATA)
    with pytest.raises(ConfigError, match="base_precision` must be fp32"):
        antiphon.train(adapted(base(), {"base_precision": "8bit"}), tmp_path / "8bit", data=DATA)
    other = recipe({"name": "adapted", "run": str(base()), "adapter": {"rank": 2}}, {"kind": "character"})
    with pytest.raises(CheckpointError, match=r"does not fit: its source vocabulary .*`task\.vocabulary: \{run:"):
        antiphon.train(other, tmp_path / "vocabulary", data=DATA)
    renamed = {"train": [{key: text.replace("a", "e") for key, text in record.items()} for record in DATA["train"]]}
    with pytest.raises(CheckpointError, match="does not fit: its source vocabulary is not that of this task"):
        antiphon.train(recipe({"name": "adapted", "run": str(base())}), tmp_path / "as many symbols", data=renamed)
    run = antiphon.train(adapted(base(), max_steps=1), tmp_path / "run", data=DATA)
    with pytest.raises(ConfigError, match=r"`model\.run` must not be a run of `adapted`"):
        antiphon.train(adapted(run), tmp_path / "twice", data=DATA)
    with pytest.raises(ExportError, match="`transformer` is exported whole"):
        antiphon.export(base(), format="merged", out=tmp_path / "merged")


def test_a_base_that_is_missing_or_has_changed_is_refused(base: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(base(), tmp_path / "base", symlinks=True)
    run = antiphon.train(adapted(folder, max_steps=2), tmp_path / "run", data=DATA)
    before = texts(run)
    folder.rename(tmp_path / "moved")
    with pytest.raises(CheckpointError, match=rf"its base, {folder}, is missing\. Put it back, or say where it is: `--set model\.run"):
        antiphon.load(run)
    moved = antiphon.load(run, overrides=[f"model.run={tmp_path / 'moved'}"])
    assert [prediction.text for prediction in moved.predict(LINES)] == before
    there = read_recipe(run / "recipe.yaml", [f"model.run={tmp_path / 'moved'}", "training.max_steps=3"])
    assert len(texts(antiphon.train(there, run, data=DATA, resume=True) / "last")) == len(LINES)
    antiphon.train(recipe(MODELS["transformer"], max_steps=1), folder, data=DATA)
    with pytest.raises(CheckpointError, match=rf"its base, {folder}, has changed: the weights there have the hash \w+, but those"):
        antiphon.load(run, overrides=[f"model.run={folder}"])
    back = read_recipe(run / "recipe.yaml", [f"model.run={folder}", "model.sha256=null", "training.max_steps=4"])
    with pytest.raises(ConfigError, match=r"differs from that of the run in .*`model\.sha256`"):
        antiphon.train(back, run, data=DATA, resume=True)
