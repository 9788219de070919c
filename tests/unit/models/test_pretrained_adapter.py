"""Adapters: only they learn and are saved, everything else works as with a whole model, and the base must be the one they stand on."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import antiphon
from antiphon.contracts.configuration import plain
from antiphon.errors import CheckpointError, ConfigError, MissingPackageError
from antiphon.recipe.assembly import build_model, build_task, resolved
from antiphon.recipe.recipe import Recipe, recipe_from, with_overrides
from antiphon.store import checkpoint as checkpoints
from tests.pretrained_checkpoints import FAMILIES, write_checkpoint

SOURCES = ["the cat sat on the mat", "der hund", "haus und baum und hund", "cat"]
TARGETS = ["der hund sat", "weg", "the mat und nicht langsam", "baum lief"]
DATA = {"train": [{"source": source, "target": target} for source, target in zip(SOURCES, TARGETS, strict=True)] * 4}


def recipe(folder: Path, name: str = "bart", model: Any = None, **training: Any) -> Recipe:
    languages = FAMILIES[name].languages
    vocabulary = {"kind": "pretrained", "model": str(folder), **({"languages": list(languages)} if languages else {})}
    optimizer = {"name": "adamw", "learning_rate": 0.01}
    return recipe_from(
        {
            "task": {"name": "translation", "vocabulary": vocabulary},
            "model": {"name": "pretrained", "path": str(folder), "adapter": {"rank": 2}, **(model or {})},
            "data": {"validation": 2},
            "training": {"max_steps": 4, "optimizer": optimizer, "batching": {"target_tokens": 40}, **training},
            "search": "greedy",
        }
    )


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made: dict[str, Path] = {}

    def get(name: str = "bart") -> Path:
        if name not in made:
            made[name] = write_checkpoint(tmp_path_factory.mktemp("published") / name, name)
        return made[name]

    return get


def built(made: Recipe, *, seed: int = 0) -> Any:
    made = resolved(made)
    task = build_task(made)
    task.fit([])
    torch.manual_seed(seed)
    model = build_model(made, task)
    antiphon.contracts.registry.find("models", "pretrained").start(model, made.model)
    return model


def scores(run: Path) -> Any:
    """What a run says of fixed symbols."""
    model = antiphon.load(run).model.eval()
    with torch.inference_mode():
        states = model.network(input_ids=torch.arange(4, 12).view(2, 4), decoder_input_ids=torch.arange(2, 8).view(2, 3))
    return states.logits


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_an_untrained_adapter_changes_nothing(base: Any, name: str, kind: str) -> None:
    model = built(recipe(base(name), name, {"adapter": {"kind": kind, "rank": 2}})).eval()
    theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(base(name)).eval()
    symbols = {"input_ids": torch.arange(4, 12).view(2, 4), "decoder_input_ids": torch.arange(2, 8).view(2, 3)}
    with torch.inference_mode():
        torch.testing.assert_close(model.network(**symbols).logits, theirs(**symbols).logits, rtol=1e-4, atol=1e-5)
    learned = [parameter_name for parameter_name, parameter in model.named_parameters() if parameter.requires_grad]
    assert learned
    assert set(learned) == set(model.own_weights())
    assert all("lora_" in one and ("ttention" in one or "attn" in one) for one in learned)


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_a_checkpoint_holds_the_adapter_alone(base: Any, tmp_path: Path, kind: str) -> None:
    run = antiphon.train(recipe(base(), model={"adapter": {"kind": kind, "rank": 2}}), tmp_path / "run", data=DATA)
    saved = checkpoints.read((run / "best").resolve())
    weights = saved.weights()
    assert weights
    assert all(".lora_" in name for name in weights)
    assert (saved.folder / "model.safetensors").stat().st_size < (base() / "model.safetensors").stat().st_size / 2
    settings = saved.header["recipe"]["model"]
    assert settings["path"] == str(base().absolute())
    assert len(settings["base"]["sha256"]) == 64
    model = antiphon.load(run).model
    theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(base()).state_dict()
    kept = {name.removeprefix("network.").replace(".base_layer", ""): tensor for name, tensor in model.state_dict().items()}
    assert all(torch.equal(kept[name], tensor) for name, tensor in theirs.items()), "the base stays as it is"
    assert any(bool(tensor.any()) for name, tensor in weights.items() if "lora_B" in name), "the adapter has learned"


def test_all_else_works_as_with_a_whole_model(base: Any, tmp_path: Path) -> None:
    settings = {"ema_decay": 0.5, "average": 2, "keep": 2, "validate_every": 2, "max_steps": 6}
    made = recipe(base(), **settings)
    whole = antiphon.train(made, tmp_path / "whole", data=DATA)
    part = antiphon.train(recipe(base(), **{**settings, "max_steps": 3}), tmp_path / "part", data=DATA)
    antiphon.train(made, part, data=DATA, resume=True)
    one, two = (checkpoints.read((run / "last").resolve()) for run in (whole, part))
    assert one.weights().keys() == two.weights().keys()
    assert all(torch.equal(tensor, two.weights()[name]) for name, tensor in one.weights().items()), "resumed to the bit"
    trained = checkpoints.read_tensors(one.training / "weights.safetensors")
    assert all(".lora_" in name for name in trained)
    assert len(antiphon.load([whole, part]).predict(SOURCES)) == 4
    assert antiphon.evaluate(whole, DATA["train"])["loss"] == pytest.approx(antiphon.evaluate(part, DATA["train"])["loss"])


def test_an_adapter_starts_another_one(base: Any, tmp_path: Path) -> None:
    run = antiphon.train(recipe(base()), tmp_path / "run", data=DATA)
    two = antiphon.train(recipe(base(), init_from=str(run), optimizer={"name": "sgd", "learning_rate": 1e-12}), tmp_path / "two", data=DATA)
    torch.testing.assert_close(scores(two), scores(run))
    whole = antiphon.train(recipe(base(), model={"adapter": None}), tmp_path / "whole", data=DATA)
    with pytest.raises(CheckpointError, match=r"Nothing in .* fits"):
        antiphon.train(recipe(base(), init_from=str(whole)), tmp_path / "three", data=DATA)


def test_a_base_that_is_missing_or_has_changed_is_refused(base: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(base(), tmp_path / "base")
    run = antiphon.train(recipe(folder, max_steps=2), tmp_path / "run", data=DATA)
    before = scores(run)
    folder.rename(tmp_path / "moved")
    with pytest.raises(CheckpointError, match=rf"its base, {folder}, is missing\. Put it back, or say where it is: `--set model\.path"):
        antiphon.load(run)
    with pytest.raises(CheckpointError, match="is missing"):
        antiphon.train(recipe(folder, max_steps=3), run, data=DATA, resume=True)
    moved = antiphon.load(run, overrides=[f"model.path={tmp_path / 'moved'}"])
    assert moved.predict(SOURCES[0]).text is not None
    antiphon.train(recipe(folder, model={"path": str(tmp_path / "moved")}, max_steps=3), run, data=DATA, resume=True)
    shutil.copytree(tmp_path / "moved", folder)
    assert torch.equal(scores(run / "checkpoints" / "step-2"), before)
    weights = checkpoints.read_tensors(folder / "model.safetensors")
    name = next(name for name in weights if name.endswith("q_proj.weight"))
    checkpoints.write_tensors(folder / "model.safetensors", {**weights, name: weights[name] + 1e-3})
    with pytest.raises(CheckpointError, match=rf"its base, {folder}, has changed: the weights there have the hash \w+, but those"):
        antiphon.load(run / "checkpoints" / "step-2")
    with pytest.raises(ConfigError, match=r"differs from that of the run in .*: `model\.base\.sha256`"):
        antiphon.train(recipe(folder, max_steps=4), run, data=DATA, resume=True)


def test_the_recipe_of_an_earlier_run_begins_another(base: Any, tmp_path: Path) -> None:
    """It describes a checkpoint already: an adapter asks which weights these were, and other checkpoints do not fit."""
    first = resolved(recipe(base(), model={"adapter": None}))
    assert first.model.base is None
    known = plain(first)
    adapter = recipe_from({**known, "model": {**known["model"], "adapter": {"rank": 2}}})
    assert resolved(adapter).model.base == resolved(recipe(base())).model.base
    folder = write_checkpoint(tmp_path / "other", "t5")
    other = recipe_from({**known, "model": {**known["model"], "path": str(folder)}})
    with pytest.raises(ConfigError, match=r"`model\.description` is not that of .*other, but of another checkpoint"):
        built(other)
    changed = shutil.copytree(base(), tmp_path / "changed")
    weights = checkpoints.read_tensors(changed / "model.safetensors")
    name = next(name for name in weights if name.endswith("q_proj.weight"))
    checkpoints.write_tensors(changed / "model.safetensors", {**weights, name: weights[name] + 1e-3})
    adapted = plain(resolved(recipe(base())))
    with pytest.raises(CheckpointError, match="has changed: the weights there have the hash"):
        built(recipe_from({**adapted, "model": {**adapted["model"], "path": str(changed)}}))


def test_patterns_choose_what_adapts_and_what_else_learns(base: Any, tmp_path: Path) -> None:
    adapter = {
        "rank": 2,
        "modules": ["*decoder*.fc1", "*.q_proj"],
        "train": ["*decoder.layernorm_embedding*", "network.model.shared.weight"],
    }
    model = built(recipe(base(), model={"adapter": adapter}))
    learned = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in learned if ".lora_" in name} == {"fc1", "q_proj"}
    assert not any("encoder" in name and "fc1" in name for name in learned)
    assert {name for name in learned if ".lora_" not in name} == {
        "network.model.decoder.layernorm_embedding.weight",
        "network.model.decoder.layernorm_embedding.bias",
        "network.model.shared.weight",
    }
    assert set(model.own_weights()) >= {*learned, "network.lm_head.weight"}, "shared weights under all their names"
    run = antiphon.train(recipe(base(), model={"adapter": adapter}), tmp_path / "run", data=DATA)
    saved, used = checkpoints.read((run / "last").resolve()).weights(), antiphon.load(run / "last").model.state_dict()
    assert all(torch.equal(tensor, used[name]) for name, tensor in saved.items())
    for key, pattern, what in (("modules", "*.q_prj", "linear layers"), ("train", "*norms*", "parameters")):
        with pytest.raises(ConfigError, match=rf"`model\.adapter\.{key}` must match {what}, but '\{pattern}"):
            built(recipe(base(), model={"adapter": {key: [pattern]}}))
    with pytest.raises(ConfigError, match="must match linear layers"):
        built(recipe(base(), model={"adapter": {"modules": ["*.lm_head"]}}))


@pytest.mark.parametrize("name", ["t5", "bart"])
@pytest.mark.parametrize("adapter", [None, {"rank": 2}])
def test_checkpointed_activations_and_bf16(base: Any, tmp_path: Path, name: str, adapter: Any) -> None:
    """Computing layers twice changes no gradient; bfloat16 learns, too."""

    def learn(folder: str, **model: Any) -> dict[str, torch.Tensor]:
        made = recipe(base(name), name, {"adapter": adapter, "dropout": 0.0, **model}, max_steps=2)
        return checkpoints.read((antiphon.train(made, tmp_path / folder, data=DATA) / "last").resolve()).weights()

    plain, twice = learn("plain"), learn("twice", checkpoint_activations=True)
    for key, tensor in plain.items():
        torch.testing.assert_close(twice[key], tensor, rtol=1e-5, atol=1e-6)
    made = recipe(base(name), name, {"adapter": adapter, "checkpoint_activations": True}, precision="bf16")
    run = antiphon.train(made, tmp_path / "bf16", data=DATA)
    assert all(tensor.dtype == torch.float32 for tensor in checkpoints.read((run / "last").resolve()).weights().values())


def test_activations_are_in_fact_computed_again(base: Any) -> None:
    model = built(recipe(base(), model={"checkpoint_activations": True}))
    calls = 0

    def count(*_: Any) -> None:
        nonlocal calls
        calls += 1

    model.network.model.encoder.layers[0].fc1.register_forward_hook(count)
    model.train().network(input_ids=torch.tensor([[4, 5]]), decoder_input_ids=torch.tensor([[2]])).logits.sum().backward()
    assert calls == 2


@pytest.mark.parametrize("name", ["t5", "bart", "marian"])
def test_a_base_of_eight_bits_learns_and_opens_in_either_precision(base: Any, tmp_path: Path, name: str) -> None:
    made = recipe(base(name), name, {"adapter": {"rank": 2, "base_precision": "8bit"}, "dropout": 0.0})
    exact = built(recipe(base(name), name, {"adapter": {"rank": 2}, "dropout": 0.0})).eval()
    small = built(made).eval()
    symbols = {"input_ids": torch.arange(4, 12).view(2, 4), "decoder_input_ids": torch.arange(2, 8).view(2, 3)}
    with torch.inference_mode():
        expected, found = exact.network(**symbols).logits, small.network(**symbols).logits
    assert 0 < float((found - expected).abs().max()) < 0.1 * float(expected.std())
    integers = [name for name, parameter in small.named_parameters() if parameter.dtype == torch.int8]
    assert any("base_layer" in name for name in integers)
    assert any("base_layer" not in name for name in integers)  # the feed-forward layers, too

    run = antiphon.train(made, tmp_path / "run", data=DATA)
    saved = checkpoints.read((run / "last").resolve()).weights()
    assert saved.keys() == small.own_weights().keys()
    assert any(float(tensor.abs().max()) > 0 for key, tensor in saved.items() if "lora_B" in key)
    found = scores(run)
    with torch.inference_mode():
        expected = antiphon.load(run, overrides=["model.adapter.base_precision=fp32"]).model.eval().network(**symbols).logits
    assert found.shape == expected.shape
    assert 0 < float((found - expected).abs().max()) < 0.1 * float(expected.std())
    part = antiphon.train(with_overrides(made, ["training.max_steps=2"]), tmp_path / "part", data=DATA)
    antiphon.train(made, part, data=DATA, resume=True)
    torch.testing.assert_close(scores(part), found)


def test_eight_bits_need_their_extra(base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(MissingPackageError, match=r"base_precision: 8bit` needs the package `bitsandbytes`\. .*'\.\[hf-8bit\]'"):
        built(recipe(base(), model={"adapter": {"base_precision": "8bit"}}))
    monkeypatch.undo()
    with pytest.raises(ConfigError, match=r"`model\.adapter\.kind` must be lora with `model\.adapter\.base_precision: 8bit`"):
        built(recipe(base(), model={"adapter": {"kind": "dora", "base_precision": "8bit"}}))


def test_rates_apply_to_published_models(base: Any, tmp_path: Path) -> None:
    optimizer = {"name": "adamw", "learning_rate": 0.01, "layer_decay": 0.5, "factors": {"*lora_B*": 16}}
    run = antiphon.train(recipe(base(), optimizer=optimizer), tmp_path / "run", data=DATA)
    part = antiphon.train(recipe(base(), optimizer=optimizer, max_steps=2), tmp_path / "part", data=DATA)
    antiphon.train(recipe(base(), optimizer=optimizer), part, data=DATA, resume=True)
    one, two = (checkpoints.read((folder / "last").resolve()).weights() for folder in (run, part))
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items()), "groups of rates resume to the bit"


def with_code(folder: Path, base: Path, family: str) -> Path:
    """A checkpoint that brings code of its own, which leaves a mark when it is run."""
    shutil.copytree(base, folder)
    written = json.loads((folder / "config.json").read_text())
    written |= {"model_type": family, "auto_map": {"AutoConfig": "mine.MineConfig", "AutoModelForSeq2SeqLM": "mine.Mine"}}
    (folder / "config.json").write_text(json.dumps(written))
    (folder / "mine.py").write_text(
        "from pathlib import Path\n"
        "from transformers import BartConfig, BartForConditionalGeneration\n"
        f"Path({str(folder / 'was_run')!r}).touch()\n"
        f"class MineConfig(BartConfig):\n    model_type = {family!r}\n"
        "class Mine(BartForConditionalGeneration):\n    config_class = MineConfig\n"
    )
    return folder


@pytest.mark.parametrize("family", ["bart", "mine"])
def test_code_of_a_checkpoint_is_not_run(base: Any, tmp_path: Path, family: str) -> None:
    folder = with_code(tmp_path / "own", base(), family)
    values = plain(recipe(folder, model={"adapter": None}))
    made = recipe_from({**values, "task": plain(recipe(base()))["task"]})
    with pytest.raises(ConfigError, match=r"brings code of its own \(AutoConfig, AutoModelForSeq2SeqLM\), which is run only if the recipe"):
        antiphon.train(made, tmp_path / "run", data=DATA)
    assert not (folder / "was_run").exists()


def test_code_of_a_checkpoint_is_run_where_the_recipe_says_so(base: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = with_code(tmp_path / "own", base(), "mine")
    values = plain(recipe(folder, model={"adapter": None, "trust_remote_code": True}, max_steps=1))
    run = antiphon.train(recipe_from({**values, "task": plain(recipe(base()))["task"]}), tmp_path / "run", data=DATA)
    assert (folder / "was_run").exists()
    (folder / "was_run").unlink()
    with pytest.raises(ConfigError, match=r"trust_remote_code.*runs code that comes with a published model.* unless you trust it"):
        antiphon.load(run)
    assert type(antiphon.load(run, trust_code=True).model.network).__name__ == "Mine"


def test_transformers_is_told_not_to_trust(base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    for kind in (transformers.AutoConfig, transformers.AutoModelForSeq2SeqLM, transformers.AutoTokenizer):
        for method in ("from_pretrained", "from_config"):
            if hasattr(kind, method):
                original = getattr(kind, method)

                def listen(*arguments: Any, _original: Any = original, **options: Any) -> Any:
                    told.append(options.get("trust_remote_code"))
                    return _original(*arguments, **options)

                monkeypatch.setattr(kind, method, listen)
    built(recipe(base()))
    assert len(told) >= 4
    assert set(told) == {False}
