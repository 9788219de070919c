"""Transducers in recipes: what they bring along, and what they refuse."""

import pytest
import torch

from antiphon.contracts import registry
from antiphon.contracts.configuration import plain, validate
from antiphon.contracts.sequences import Padded
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.recipe.recipe import recipe_from
from antiphon.search.ctc import CTCSearch, CTCSearchConfig
from antiphon.search.ensemble import together
from antiphon.search.transducer import TransducerSearch, TransducerSearchConfig

FRAMES, SYMBOLS = ValueSpec(channels=8), TokenSpec(12, 0, 1, 2, 3)
SMALL = {"encoder": {"name": "lstm", "dim": 8, "layers": 1}, "predictor": {"dim": 8}, "joiner_dim": 8, "subsampling_width": 2}


def made(settings, source=FRAMES, target=SYMBOLS):
    plugin = registry.find("models", "transducer")
    return plugin.build(validate(plugin.Config, settings, path="model"), source, target)


def test_it_brings_its_loss_and_its_search():
    values = {"task": {"name": "translation"}, "model": "transducer", "training": {"max_steps": 1}}
    found = recipe_from(values)
    assert (found.training.loss.name, found.search.name) == ("transducer", "transducer")
    assert recipe_from(plain(found)) == found
    found = recipe_from({**values, "search": {"beam_size": 5}})
    assert (found.search.name, found.search.beam_size) == ("transducer", 5)
    found = recipe_from({**values, "model": {"name": "transducer", "preset": "tiny"}, "search": "ctc"})
    assert (found.model.joiner_dim, found.search.name) == (96, "ctc")


@pytest.mark.parametrize("preset", ["tiny", "base"])
def test_presets_read_frames_and_symbols(preset):
    plugin = registry.find("models", "transducer")
    for source, changes in ((FRAMES, {}), (SYMBOLS, {"ctc": False})):
        with torch.device("meta"):
            model = made({**plugin.presets[preset], **changes}, source)
        assert model.stride == (4 if source is FRAMES else 1)


@pytest.mark.parametrize(
    ("settings", "source", "target", "message"),
    [
        ({}, FRAMES, ValueSpec(1), "must not be `transducer` when the target is real-valued"),
        ({"subsampling": 4}, SYMBOLS, SYMBOLS, r"`model\.subsampling` must be 1 when the source is made of symbols, but is 4"),
        ({"ctc": True}, SYMBOLS, SYMBOLS, r"`model\.ctc` must be false unless the source is made of values"),
        ({"intermediate_ctc": [1]}, FRAMES, SYMBOLS, r"`model\.intermediate_ctc` has no effect without `model\.ctc`"),
        ({"encoder": {"name": "lstm"}, "chunk": 4}, FRAMES, SYMBOLS, r"`model\.encoder\.bidirectional` must be false"),
        ({"predictor": {"name": "lstm", "context": 3}}, FRAMES, SYMBOLS, r"`model\.predictor\.context` is not a setting"),
        ({"predictor": "gru"}, FRAMES, SYMBOLS, r"`model\.predictor\.name` must be one of stateless, lstm"),
    ],
)
def test_what_does_not_fit_is_refused(settings, source, target, message):
    with pytest.raises(ConfigError, match=message):
        made(settings, source, target)


def test_ctc_beside_it_can_be_searched_alone(seed):
    source = Padded(torch.randn(2, 9, 8), torch.tensor([9, 5]))
    model = made({**SMALL, "ctc": True}).eval()
    assert len(CTCSearch(CTCSearchConfig(beam_size=3))(model, source)) == 2
    with pytest.raises(ConfigError, match="needs a model with an output for each frame"):
        CTCSearch(CTCSearchConfig())(made(SMALL).eval(), source)


def test_an_ensemble_is_refused_by_name(seed):
    source = Padded(torch.randn(2, 9, 8), torch.tensor([9, 5]))
    with pytest.raises(ConfigError, match="and no ensemble, but this model is a DirectEnsemble"):
        TransducerSearch(TransducerSearchConfig())(together([made(SMALL).eval(), made(SMALL).eval()]), source)
