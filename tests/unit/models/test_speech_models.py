"""Conformer and encoder-only models in recipes: what they need, refuse, and bring along."""

import warnings

import pytest
import torch

from antiphon.contracts import registry
from antiphon.contracts.configuration import plain, validate
from antiphon.contracts.sequences import Padded, select_rows
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.layers.alignment import Alignment
from antiphon.recipe.recipe import recipe_from

FRAMES, SYMBOLS = ValueSpec(channels=8), TokenSpec(12, 0, 1, 2, 3)
SMALL = {"dim": 8, "encoder_layers": 2, "decoder_layers": 1, "heads": 2, "feed_forward_dim": 8}


def made(name, settings, source=FRAMES, target=SYMBOLS):
    plugin = registry.find("models", name)
    return plugin.build(validate(plugin.Config, settings, path="model"), source, target)


def recipe(model, **others):
    return recipe_from({"task": {"name": "translation"}, "model": model, "training": {"max_steps": 1}, **others})


def test_an_encoder_alone_brings_its_loss_and_its_search():
    found = recipe("encoder_only")
    assert (found.training.loss.name, found.search.name) == ("ctc", "ctc")
    assert recipe({"name": "encoder_only", "preset": "tiny"}).model.encoder.dim == 96
    found = recipe({"name": "encoder_only"}, search={"beam_size": 5})
    assert (found.search.name, found.search.beam_size) == ("ctc", 5)
    assert recipe_from(plain(found)) == found


def test_ctc_beside_a_decoder_brings_the_loss_of_both_and_leaves_the_search():
    found = recipe({"name": "conformer", "ctc": True})
    assert (found.training.loss.name, found.search.name) == ("joint_ctc", "beam")
    assert recipe({"name": "conformer"}).training.loss is None


def test_a_recipe_that_says_otherwise_is_heard():
    found = recipe({"name": "conformer", "ctc": True}, search="ctc")
    assert found.search.name == "ctc"
    values = {"training": {"max_steps": 1, "loss": {"name": "cross_entropy", "label_smoothing": 0.2}}}
    found = recipe_from({"task": "translation", "model": {"name": "conformer", "ctc": True}, **values})
    assert (found.training.loss.name, found.training.loss.label_smoothing) == ("cross_entropy", 0.2)
    values = {"training": {"max_steps": 1, "loss": {"ctc_weight": 0.5}}}
    found = recipe_from({"task": "translation", "model": {"name": "conformer", "ctc": True}, **values})
    assert (found.training.loss.name, found.training.loss.ctc_weight) == ("joint_ctc", 0.5)


@pytest.mark.parametrize("name", ["conformer", "encoder_only"])
def test_presets_are_built(name):
    plugin = registry.find("models", name)
    for preset in ("tiny",):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = plugin.build(validate(plugin.Config, plugin.presets[preset]), ValueSpec(80), TokenSpec(100, 0, 1, 2, 3))
        assert 300_000 < sum(parameter.numel() for parameter in model.parameters()) < 3_000_000


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("conformer", {"decoder_layers": 0}, r"`model\.decoder_layers` must be at least 1, but is 0"),
        ("conformer", {"intermediate_ctc": [1]}, r"`model\.intermediate_ctc` has no effect without `model\.ctc`"),
        ("conformer", {"subsampling": 3}, r"`model\.subsampling`"),
        ("conformer", {"head": "pointer"}, "pointer"),
        ("encoder_only", {"encoder": {"name": "lstm", "dim": 7}}, r"`model\.encoder\.dim` must be even"),
        ("encoder_only", {"encoder": {"name": "lstm"}, "chunk": 4}, r"`model\.encoder\.bidirectional` must be false"),
        ("encoder_only", {"encoder": {"name": "lstm"}, "intermediate_ctc": [1]}, "no effect on an `lstm` encoder"),
        ("encoder_only", {"left_chunks": 4}, r"`model\.left_chunks` must be left out without a `model\.chunk`, but is 4"),
        ("encoder_only", {"chunk": 4, "left_chunks": -1}, r"`model\.left_chunks`.* 0.* -1"),
        (
            "encoder_only",
            {"encoder": {"name": "lstm", "bidirectional": False}, "chunk": 4, "left_chunks": 2},
            r"`model\.left_chunks` has no effect on an `lstm` encoder",
        ),
        ("encoder_only", {"encoder": {"name": "lstm", "heads": 4}}, r"`model\.encoder\.heads` is not a setting"),
        ("lstm", {"attention": "location", "location_kernel": 4}, r"`model\.location_kernel` must be odd"),
        ("lstm", {"attention": "location", "coverage": True}, r"`model\.coverage` needs `model\.attention`"),
        ("lstm", {"attention": "location", "variational_dropout": True}, r"`model\.variational_dropout` must be false"),
        ("transformer", {"subsampling": 2, "patch_length": 3}, r"`model\.patch_length` must be left out with `model\.subsampling: 2`"),
        ("encoder_only", {"encoder": {"name": "rnn"}}, r"`model\.encoder\.name` must be one of conformer, transformer, lstm"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name, settings, message):
    sizes = SMALL if name in ("conformer", "transformer") else {}
    with pytest.raises(ConfigError, match=message):
        made(name, {**sizes, **settings})


@pytest.mark.parametrize("name", ["conformer", "encoder_only"])
def test_only_frames_to_symbols(name):
    with pytest.raises(ConfigError, match=f"`model.name` must not be `{name}` when the source is made of symbols"):
        made(name, {}, source=SYMBOLS)
    with pytest.raises(ConfigError, match=f"`model.name` must not be `{name}` when the target is real-valued"):
        made(name, {}, target=FRAMES)


@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_symbols_are_neither_subsampled_nor_aligned(name):
    with pytest.raises(ConfigError, match=r"`model\.subsampling` must be 1 when the source is made of symbols, but is 2"):
        made(name, {"dim": 8, "subsampling": 2}, SYMBOLS, SYMBOLS)
    for source, target in ((SYMBOLS, SYMBOLS), (FRAMES, FRAMES)):
        with pytest.raises(ConfigError, match=r"`model\.ctc` must be false"):
            made(name, {"dim": 8, "ctc": True}, source, target)


@pytest.mark.parametrize("name", ["lstm", "transformer"])
@pytest.mark.parametrize("kind", ["convolution", "stack"])
def test_subsampling_makes_fewer_states_and_says_so(name, kind):
    model = made(name, {"dim": 8, "subsampling": 4, "subsampling_kind": kind})
    memory = model.encode(Padded(torch.randn(2, 21, 8), torch.tensor([21, 9])))
    assert memory.mask.sum(1).tolist() == [6, 3]
    assert memory.states.shape == (2, 6, 8)
    assert (model.stride, made(name, {"dim": 8}).stride) == (4, 1)
    assert recipe({"name": name, "ctc": True}).training.loss.name == "joint_ctc"


def test_location_aware_scores_by_hand():
    torch.manual_seed(4)
    alignment = Alignment("location", 6, filters=2, kernel_size=3)
    states, query, earlier = torch.randn(1, 5, 6), torch.randn(2, 1, 6), torch.rand(2, 5).softmax(-1)
    context, weights = alignment(query, alignment.project(states), torch.ones(1, 5, dtype=torch.bool), earlier)
    for row in range(2):
        scores = []
        for place in range(5):
            around = [float(earlier[row, place + shift]) if 0 <= place + shift < 5 else 0.0 for shift in (-1, 0, 1)]
            located = alignment.located.weight @ (alignment.filters.weight[:, 0] @ torch.tensor(around))
            inner = alignment.query(query[row, 0]) + alignment.key.weight @ states[0, place] + located
            scores.append(alignment.energy.weight[0] @ inner.tanh())
        expected = torch.stack(scores).softmax(0)
        torch.testing.assert_close(weights[row, 0], expected)
        torch.testing.assert_close(context[row, 0], expected @ states[0])


def test_the_first_step_looks_everywhere_alike_and_each_hypothesis_remembers_its_own():
    model = made("lstm", {"dim": 8, "attention": "location", "location_kernel": 3}).eval()
    memory = model.project(model.encode(Padded(torch.randn(2, 5, 8), torch.tensor([5, 2]))))
    state = model.init_state(memory, 3, 4)
    torch.testing.assert_close(state.earlier[0], torch.full((5,), 0.2))
    torch.testing.assert_close(state.earlier[5], torch.tensor([0.5, 0.5, 0, 0, 0]))
    output, state = model.step(torch.tensor([4, 5, 6, 7, 8, 9]), memory, state)
    torch.testing.assert_close(state.earlier, output.attention)
    assert select_rows(state, torch.tensor([1, 1])).earlier.shape == (2, 5)
