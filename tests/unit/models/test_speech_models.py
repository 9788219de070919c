"""Conformer and encoder-only models in recipes: what they need, refuse, and bring along."""

import warnings

import pytest

from antiphon import registry
from antiphon.configuration import plain, validate
from antiphon.errors import ConfigError
from antiphon.interfaces import TokenSpec, ValueSpec
from antiphon.recipe import recipe_from

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
        ("encoder_only", {"encoder": {"name": "lstm", "heads": 4}}, r"`model\.encoder\.heads` is not a setting"),
        ("encoder_only", {"encoder": {"name": "rnn"}}, r"`model\.encoder\.name` must be one of conformer, transformer, lstm"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name, settings, message):
    sizes = SMALL if name == "conformer" else {}
    with pytest.raises(ConfigError, match=message):
        made(name, {**sizes, **settings})


@pytest.mark.parametrize("name", ["conformer", "encoder_only"])
def test_only_frames_to_symbols(name):
    with pytest.raises(ConfigError, match=f"`model.name` must not be `{name}` when the source is made of symbols"):
        made(name, {}, source=SYMBOLS)
    with pytest.raises(ConfigError, match=f"`model.name` must not be `{name}` when the target is real-valued"):
        made(name, {}, target=FRAMES)
