"""What a recipe of speech recognition means where it does not say."""

import pytest

from antiphon.errors import ConfigError
from antiphon.recipe.recipe import recipe_from


def recipe(model, search=None):
    values = {"task": {"name": "speech_recognition"}, "data": {"train": "x"}, "training": {"max_steps": 1}, "model": model}
    return recipe_from(values if search is None else {**values, "search": search})


@pytest.mark.parametrize("search", [None, "greedy", {"name": "sampling", "samples": 2}, {"name": "beam", "beam_size": 7}])
def test_texts_are_as_long_as_speech_can_be(search):
    limits = recipe("conformer", search).search.limits
    assert (limits.max_ratio, limits.max_offset) == (0.4, 10)


def test_the_recipe_has_the_last_word_on_lengths():
    limits = recipe("lstm", {"name": "greedy", "limits": {"max_length": 5, "max_ratio": 1.0}}).search.limits
    assert (limits.max_ratio, limits.max_offset, limits.max_length) == (1.0, 10, 5)


@pytest.mark.parametrize(("model", "search"), [("encoder_only", None), ("conformer", "ctc")])
def test_ctc_needs_no_limits(model, search):
    assert recipe(model, search).search.name == "ctc"


def test_limits_that_a_search_does_not_have_are_refused():
    with pytest.raises(ConfigError, match="limits"):
        recipe("encoder_only", {"name": "ctc", "limits": {"max_length": 5}})


def test_batches_count_frames():
    assert recipe("conformer").training.batching.source_tokens == 12_000
