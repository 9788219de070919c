"""`--set model.name=...` on a recipe for another model: what only that one knows is left out, and said; what the user sets is not."""

import warnings
from pathlib import Path

import pytest

from antiphon.contracts import registry
from antiphon.errors import ConfigError
from antiphon.recipe.recipe import Recipe, read_recipe


def recipe_of(tmp_path: Path, task: str, *settings: str) -> Recipe:
    path = tmp_path / f"{task}.yaml"
    text = registry.find("tasks", task).template.format(file=path)
    text = text.replace("  subsampling: 4\n", "  subsampling: 4\n  heads: 4\n  feed_forward_dim: 64\n")
    path.write_text(text)
    return read_recipe(path, settings)


def test_one_word_of_a_template_can_be_changed(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"^`model\.coverage` of the recipe is left out: meant for `lstm`, and not for `transformer`\.$"):
        recipe = recipe_of(tmp_path, "summarization", "model.name=transformer")
    assert recipe.model.name == "transformer"
    assert recipe.model.tied_embeddings == "all"  # what both have stays
    with pytest.warns(UserWarning, match=r"`model\.heads`, `model\.feed_forward_dim` of the recipe are left out"):
        assert recipe_of(tmp_path, "speech_recognition", "model.name=lstm").model.ctc


@pytest.mark.parametrize("name", ["encoder_only", "transducer"])
def test_a_model_with_a_loss_and_a_search_of_its_own_gets_them(tmp_path: Path, name: str) -> None:
    with pytest.warns(UserWarning, match=r"`training\.loss`, `search` of the recipe are left out"):
        recipe = recipe_of(tmp_path, "speech_recognition", f"model.name={name}")
    own = "ctc" if name == "encoder_only" else name
    assert (recipe.training.loss.name, recipe.search.name) == (own, own)


def test_what_is_set_beside_the_name_is_never_left_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--set: `model\.coverage` is not a setting of `transformer`, but of `lstm`\. Allowed here"):
        recipe_of(tmp_path, "summarization", "model.name=transformer", "model.coverage=true")
    with pytest.warns(UserWarning, match="feed_forward_dim"), pytest.raises(ConfigError, match="--set"):
        recipe_of(tmp_path, "speech_recognition", "model.name=lstm", "model.heads=4")


def test_the_same_model_or_a_mapping_takes_nothing_out(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert recipe_of(tmp_path, "summarization", "model.name=lstm").model.coverage
        assert recipe_of(tmp_path, "summarization", "model={name: transformer, dim: 32, heads: 2}").model.dim == 32


def test_a_file_whose_word_was_changed_names_the_model_that_has_the_setting(tmp_path: Path) -> None:
    path = tmp_path / "changed.yaml"
    path.write_text(registry.find("tasks", "summarization").template.format(file=path).replace("name: lstm", "name: transformer"))
    with pytest.raises(ConfigError, match=r"changed\.yaml:\d+: `model\.coverage` is not a setting of `transformer`, but of `lstm`\."):
        read_recipe(path)
