"""Compiled layers learn what plain ones learn, whatever the lengths of batches, and the rest of a model does not notice.

Only what torch traces is looked at (the backend `eager` or `aot_eager`); the slow tests go through inductor, which makes programs of it.
"""

import copy
import json
import shutil
from pathlib import Path

import pytest
import torch

from antiphon.contracts.packing import pack_pairs
from antiphon.errors import ConfigError, TrainingError
from antiphon.runs.train import train
from antiphon.store import checkpoint
from antiphon.training import compiling
from antiphon.training.compiling import Compilation, check_compiling, compile_blocks, compiling_said
from tests.conformance.variants import BY_FRAMES, batch, build, gradients, variants
from tests.reliability.training_processes import TRANSFORMER, events, write_data, write_recipe

# torch looks at what it traces; it hides this warning by itself where warnings are no errors.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf Tensor:UserWarning")
CPU = torch.device("cpu")
STILL = {**TRANSFORMER, "dropout": 0.0}
WITH_BLOCKS = [one for one in variants() if one.architecture in ("transformer", "conformer", "decoder_only", "adapted", "encoder_only")]


@pytest.fixture(autouse=True)
def cheap(monkeypatch):
    """What is traced runs as it is, without a compiler, and nothing of it stays."""
    monkeypatch.setattr(compiling, "BACKEND", "aot_eager")
    yield
    torch._dynamo.reset()


def compiled(variant, seed, kind):
    model = build(variant, seed, kind).train()
    compile_blocks(model, CPU)
    return model


def named(name):
    return next(one for one in variants() if one.id == f"transformer-{name}")


def test_batches_of_other_lengths_need_no_other_graph_and_learn_the_same(seed, monkeypatch):
    monkeypatch.setattr(compiling, "BACKEND", "eager")
    variant, before = named("rotary"), Compilation()
    own, plain = compiled(variant, seed, "tokens"), build(variant, seed, "tokens").train()
    for number in range(4):
        data = batch("tokens", seed + number)
        found, expected = gradients(own, data), gradients(plain, data)
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-9, atol=1e-9, msg=name)
    news = before.news()
    assert news is not None
    assert 2 <= news.graphs <= 4, "an encoder's layer and a decoder's, and perhaps again where two sizes were equal by chance"
    assert before.news() is None, "what has been said is no news"
    assert before.seconds() > 0
    assert before.seconds() == 0


def test_weights_keep_their_names_and_copies_their_own_layers(seed):
    own = compiled(named("default"), seed, "tokens")
    assert list(own.state_dict()) == list(build(named("default"), seed, "tokens").state_dict())
    copied = copy.deepcopy(own)
    assert all(block.forward.block is block for block in copied.blocks())


def test_what_does_not_learn_is_not_compiled(seed, monkeypatch):
    def never(*_):
        raise AssertionError("compiled")

    own, plain = compiled(named("default"), seed, "tokens"), build(named("default"), seed, "tokens")
    for block in own.blocks():
        block.forward = compiling._Forward(block, type(block).forward, never)
    data = batch("tokens", seed)
    with pytest.raises(AssertionError, match="compiled"):
        own(data.source, data.inputs)
    with torch.no_grad():
        own(data.source, data.inputs)
    torch.testing.assert_close(own.eval()(data.source, data.inputs).values, plain.eval()(data.source, data.inputs).values)


def test_what_cannot_be_compiled_is_one_sentence(seed, monkeypatch, tmp_path):
    lstm = next(one for one in variants() if one.architecture == "lstm")
    with pytest.raises(ConfigError, match=r"`training.compile` must be false for this LSTM, which has no layers"):
        check_compiling(build(lstm, seed, "tokens"), CPU)
    model = build(named("default"), seed, "tokens")
    with pytest.raises(ConfigError, match=r"the device is `mps`"):
        check_compiling(model, torch.device("mps"))
    with monkeypatch.context() as patch:
        patch.setattr(compiling.sys, "platform", "win32")
        with pytest.raises(ConfigError, match="this is Windows"):
            check_compiling(model, CPU)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "which", lambda _: None)
        with pytest.raises(ConfigError, match=r"needs a C\+\+ compiler"):
            check_compiling(model, CPU)
    with monkeypatch.context() as patch:
        patch.setattr(compiling.sysconfig, "get_path", lambda _: str(tmp_path))
        with pytest.raises(ConfigError, match="headers of Python"):
            check_compiling(model, CPU)


def test_what_torch_cannot_compile_is_one_sentence_too(seed, monkeypatch):
    def broken(graph, inputs):
        raise ValueError("no such kernel")

    monkeypatch.setattr(compiling, "BACKEND", broken)
    data = batch("tokens", seed)
    with pytest.raises(TrainingError, match=r"torch cannot compile a layer of this model: .*no such kernel"):
        gradients(compiled(named("default"), seed, "tokens"), data)
    with pytest.raises(RuntimeError, match="as it is"), compiling_said():
        raise RuntimeError("as it is")


def ran(folder: Path, name: str, **training):
    recipe = write_recipe(folder, model=STILL, max_steps=6, save_every=3, **training)
    train(recipe, folder / name)
    return [event["loss"] for event in events(folder / name, "train")]


def same_weights(one: Path, other: Path):
    left, right = (checkpoint.read((run / "last").resolve()).weights() for run in (one, other))
    assert left.keys() == right.keys()
    for name, tensor in right.items():
        torch.testing.assert_close(left[name], tensor, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("backend", ["eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_runs_are_those_of_plain_layers_and_go_on_either_way(backend, tmp_path, monkeypatch):
    monkeypatch.setattr(compiling, "BACKEND", backend)
    write_data(tmp_path)
    plain = ran(tmp_path, "plain")
    assert ran(tmp_path, "compiled", compile=True) == pytest.approx(plain, rel=1e-5)
    same_weights(tmp_path / "compiled", tmp_path / "plain")
    (event,) = [json.loads(line) for line in (tmp_path / "compiled/metrics.jsonl").read_text().splitlines() if '"compiled"' in line]
    assert event["graphs"] >= 2
    assert event["seconds"] > 0
    if backend == "eager":
        return
    recipe = tmp_path / "recipe.yaml"
    for name, first, then in (("off", "true", "false"), ("on", "false", "true")):
        train(recipe, tmp_path / name, settings=["training.max_steps=3", f"training.compile={first}"])
        train(recipe, tmp_path / name, settings=[f"training.compile={then}"], resume=True)
        same_weights(tmp_path / name, tmp_path / "plain")


@pytest.mark.slow
@pytest.mark.parametrize("variant", WITH_BLOCKS, ids=lambda one: one.id)
def test_every_variant_has_the_gradients_of_plain_layers(variant, seed):
    kind = variant.specs[0]
    if not build(variant, seed, kind).blocks():
        pytest.skip("it has no layers that stand alone")
    if variant.architecture in BY_FRAMES:
        own, plain, data = compiled(variant, seed, kind), build(variant, seed, kind).train(), batch(kind, seed)
        for model in (own, plain):
            model.frames(model.encode(data.source)).features.square().sum().backward()
        found, expected = ({name: one.grad for name, one in model.named_parameters() if one.grad is not None} for model in (own, plain))
    else:
        data = batch(kind, seed)
        found, expected = gradients(compiled(variant, seed, kind), data), gradients(build(variant, seed, kind).train(), data)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-8, atol=1e-8, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("positions", ["sinusoidal", "rotary", "relative"])
def test_pairs_in_one_row_have_the_gradients_of_plain_layers(positions, seed):
    variant = named({"sinusoidal": "default"}.get(positions, positions))
    data = batch("tokens", seed)
    packing = pack_pairs(data.source.lengths, data.target.lengths - 1)
    found = []
    for model in (compiled(variant, seed, "tokens"), build(variant, seed, "tokens").train()):
        memory = model.encode(data.source.packed(packing.source))
        model.decode(data.inputs.packed(packing.inputs), memory).features.square().sum().backward()
        found.append({name: one.grad for name, one in model.named_parameters() if one.grad is not None})
    for name, gradient in found[1].items():
        torch.testing.assert_close(found[0][name], gradient, rtol=1e-8, atol=1e-8, msg=name)
