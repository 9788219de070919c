"""An architecture in one file outside the package works like the built-in ones: steps, training, checkpoints, loading."""

from pathlib import Path

import pytest
import torch

import antiphon
from antiphon.contracts import registry
from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.sequences import Padded, select_rows
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ConfigError
from antiphon.recipe.recipe import recipe_from

SPEC = TokenSpec(size=11, pad=0, unknown=1, start=2, end=3)


@pytest.fixture
def model() -> StepwiseModel:
    plugin = registry.admit("models", "examples.convolutional", trusted=True)
    return plugin.build(plugin.Config(dim=16), SPEC, SPEC).double().eval()


def test_step_equals_decode_and_padding_changes_nothing(model: StepwiseModel, seed: int) -> None:
    torch.manual_seed(seed)
    source = Padded(torch.randint(4, 11, (3, 7)), torch.tensor([7, 4, 5]))
    inputs = Padded(torch.randint(4, 11, (3, 6)), torch.tensor([6, 5, 3]))
    with torch.inference_mode():
        output = model.decode(inputs, model.encode(source), attention=True)
        memory = model.project(model.encode(source))
        state = model.init_state(memory, 2, 6)
        for step in range(6):
            said, state = model.step(inputs.values[:, step].repeat_interleave(2), memory, state, attention=True)
            torch.testing.assert_close(said.values.view(3, 2, -1)[:, 1], output.values[:, step])
            state = select_rows(state, torch.tensor([1, 0, 2, 3, 5, 4]))
        alone = model.decode(Padded(inputs.values[1:2], inputs.lengths[1:2]), model.encode(source.select_rows(torch.tensor([1]))))
        torch.testing.assert_close(alone.values[:, :5], output.values[1:2, :5])


def test_trains_saves_and_loads(tmp_path: Path) -> None:
    records = [{"source": word, "target": word[::-1]} for word in ("abc", "bca", "cab", "acb", "bac", "cba", "aab", "bbc")]
    recipe = recipe_from(
        {
            "task": {"name": "translation", "source_vocabulary": {"kind": "character"}, "target_vocabulary": {"kind": "character"}},
            "model": {"name": "examples.convolutional", "dim": 16},
            "training": {"max_steps": 3, "device": "cpu"},
        }
    )
    run = antiphon.train(recipe, tmp_path / "run", data={"train": records, "validation": records})
    with pytest.raises(ConfigError, match="trust_code"):
        antiphon.load(run)
    assert isinstance(antiphon.load(run, trust_code=True).predict("abc").text, str)


def test_an_even_kernel_is_refused() -> None:
    plugin = registry.admit("models", "examples.convolutional", trusted=True)
    with pytest.raises(ConfigError, match=r"`model\.kernel` must be odd, but is 4"):
        plugin.build(plugin.Config(kernel=4), SPEC, SPEC)
