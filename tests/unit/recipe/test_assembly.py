"""Parts from a recipe: what one part must tell another."""

from pathlib import Path

import numpy as np
import pytest

from antiphon.errors import ConfigError
from antiphon.recipe.assembly import build_search, build_task
from antiphon.recipe.recipe import recipe_from
from antiphon.search.mbr import MinimumBayesRiskSearch


def test_minimum_bayes_risk_knows_which_way_a_metric_is_better(tmp_path: Path) -> None:
    values = {
        "task": {"name": "translation", "vocabulary": {"kind": "character"}},
        "model": "lstm",
        "training": {"max_steps": 1},
    }
    for metric in ("chrf", "ter", "rouge_l"):
        recipe = recipe_from({**values, "search": {"name": "mbr", "metric": metric}})
        task = build_task(recipe)
        task.fit([{"source": "abc def", "target": "abc def"}])
        search = build_search(recipe.search, task)
        assert isinstance(search, MinimumBayesRiskSearch)
        assert search._utility is not None
        same, other = (task.encode({"source": text}).source[:-1] for text in ("abc def", "fed a"))
        utility = np.asarray(search._utility([same, other], [same]))
        assert utility[0, 0] > utility[1, 0], metric


def test_minimum_bayes_risk_needs_a_metric_that_judges() -> None:
    values = {"task": {"name": "translation"}, "model": "lstm", "training": {"max_steps": 1}}
    recipe = recipe_from({**values, "search": {"name": "mbr", "metric": "copy_rate"}})
    with pytest.raises(ConfigError, match=r"`search\.metric` must say which of two outputs is better, but `copy_rate` only describes"):
        build_search(recipe.search, build_task(recipe))
