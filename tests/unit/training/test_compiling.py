"""Compiled layers learn what plain ones learn, whatever the lengths of batches, and the rest of a model does not notice.

All but one test look at what torch traces (the backends `eager` and `aot_eager`); that one goes through inductor, which compiles it.
"""

import copy
import shutil
import subprocess
import sys

import pytest
import torch

from antiphon.errors import ConfigError, TrainingError
from antiphon.training import compiler, compiling
from antiphon.training.compiler import lacks
from antiphon.training.compiling import check_compiling, compile_blocks, compiling_said
from antiphon.training.loss_scale import UNSCALED
from antiphon.training.progress import Progress, Window
from antiphon.training.step import UpdateResult
from tests.conformance.variants import batch, build, variants

# torch's compiler imports it, once in a process.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
CPU = torch.device("cpu")
TRANSFORMER = next(one for one in variants() if one.id == "transformer-default")


@pytest.fixture(autouse=True)
def what_it_takes():
    """Skips on machines where nothing can be compiled."""
    missing = lacks(CPU)
    if missing:
        pytest.skip(missing)


def alone(call):
    """Ask something of compiled layers in a process of its own."""
    program = f"import torch; torch.set_num_threads(1)\nfrom pathlib import Path\nfrom tests import compiled_layers as ask\nask.{call}"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_runs_are_those_of_plain_layers(tmp_path):
    alone(f"runs('eager', Path({str(tmp_path)!r}), resumed=False)")


@pytest.mark.slow
def test_runs_go_on_either_way(tmp_path):
    alone(f"runs('inductor', Path({str(tmp_path)!r}), resumed=True)")


@pytest.mark.slow
def test_batches_of_other_lengths_need_no_other_graph(seed):
    alone(f"batches_of_other_lengths({seed})")


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["transformer", "conformer", "decoder_only", "adapted", "encoder_only", "transducer"])
def test_every_variant_has_the_gradients_of_plain_layers(architecture, seed):
    alone(f"variants_of({architecture!r}, {seed})")


def compiled(seed, compile_as=None):
    """A model whose layers are compiled, by something else if it is given."""
    model = build(TRANSFORMER, seed).train()
    compile_blocks(model, CPU)
    for block in model.blocks() if compile_as else ():
        block.forward = compiling._Forward(block, type(block).forward, compile_as)
    return model


def test_weights_keep_their_names_and_copies_their_own_layers(seed):
    own = compiled(seed)
    assert list(own.state_dict()) == list(build(TRANSFORMER, seed).state_dict())
    copied = copy.deepcopy(own)
    assert all(block.forward.block is block for block in copied.blocks())


def test_what_does_not_learn_is_not_compiled(seed):
    def never(*_):
        raise AssertionError("compiled")

    own, plain, data = compiled(seed, never), build(TRANSFORMER, seed), batch("tokens", seed)
    with pytest.raises(AssertionError, match="compiled"):
        own(data.source, data.inputs)
    with torch.no_grad():
        own(data.source, data.inputs)
    torch.testing.assert_close(own.eval()(data.source, data.inputs).values, plain.eval()(data.source, data.inputs).values)


def test_what_cannot_be_compiled_is_one_sentence(seed, monkeypatch, tmp_path):
    lstm = next(one for one in variants() if one.architecture == "lstm")
    with pytest.raises(ConfigError, match=r"`training.compile` must be false for this LSTM, which has no layers"):
        check_compiling(build(lstm, seed), CPU)
    model = build(TRANSFORMER, seed)
    with pytest.raises(ConfigError, match=r"the device is `mps`"):
        check_compiling(model, torch.device("mps"))
    with monkeypatch.context() as patch:
        patch.setattr(compiler.sys, "platform", "win32")
        with pytest.raises(ConfigError, match="this is Windows"):
            check_compiling(model, CPU)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "which", lambda _: None)
        with pytest.raises(ConfigError, match=r"needs a C\+\+ compiler"):
            check_compiling(model, CPU)
    with monkeypatch.context() as patch:
        patch.setattr(compiler.sysconfig, "get_path", lambda _: str(tmp_path))
        with pytest.raises(ConfigError, match="headers of Python"):
            check_compiling(model, CPU)


def test_what_torch_fails_at_is_one_sentence_too(seed):
    from torch._dynamo.exc import Unsupported

    def broken(*_):
        raise Unsupported("no such operation\nand much more")

    data = batch("tokens", seed)
    with pytest.raises(TrainingError, match=r"cannot compile a layer of this model: no such operation. Set `training.compile` to false.$"):
        compiled(seed, broken)(data.source, data.inputs)
    with pytest.raises(RuntimeError, match="as it is"), compiling_said():
        raise RuntimeError("as it is")


@pytest.mark.parametrize("skipped", [False, True])
def test_seconds_of_compiling_are_no_part_of_the_speed(skipped):
    before = Progress(window=Window(since=100.0), scale=UNSCALED)
    result = UpdateResult(loss=1.0, elements=7, gradient_norm=1.0, skipped=skipped)
    after = before.after(result, epoch=0, batch=1, seconds=150.0, learning_rate=1.0, compiling=40.0)
    assert after.window.since == 140.0
    assert after.window.elements == (0 if skipped else 7)
    assert after.seconds == 150.0, "they are part of the budget"
