"""Parts from a recipe: what one part must tell another."""

from pathlib import Path

import numpy as np

from antiphon.assembly import build_search, build_task
from antiphon.recipe import recipe_from
from antiphon.search.mbr import MinimumBayesRiskSearch


def test_minimum_bayes_risk_knows_which_way_a_metric_is_better(tmp_path: Path) -> None:
    values = {
        "task": {"name": "translation", "vocabulary": {"kind": "character"}},
        "model": "lstm",
        "training": {"max_steps": 1},
    }
    for metric in ("chrf", "ter"):
        recipe = recipe_from({**values, "search": {"name": "mbr", "metric": metric}})
        task = build_task(recipe)
        task.fit([{"source": "abc def", "target": "abc def"}])
        search = build_search(recipe.search, task)
        assert isinstance(search, MinimumBayesRiskSearch)
        assert search._utility is not None
        same, other = (task.encode({"source": text}).source[:-1] for text in ("abc def", "fed a"))
        utility = np.asarray(search._utility([same, other], [same]))
        assert utility[0, 0] > utility[1, 0], metric
