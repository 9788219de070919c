"""The records of a recipe: what is wrong with them is said with the setting that asks for it."""

from pathlib import Path
from typing import Any

import pytest

from antiphon.errors import DataError
from antiphon.recipe.assembly import build_task
from antiphon.recipe.recipe import recipe_from
from antiphon.recipe.splits import open_splits

TEXT = "english\tgerman\tdocument\none\teins\t1\n"
SERIES = "unique_id,ds,y\na,2020-01-01,1\n"


@pytest.mark.parametrize(
    ("task", "content", "said"),
    [
        ({"name": "translation", "target": "german"}, TEXT, r"no column `source`, which `task\.source` asks for; it has: english, german"),
        ({"name": "translation", "source": "english"}, TEXT, r"no column `target`, which `task\.target` asks for"),
        (
            {"name": "translation", "source": "english", "target": "german", "tags": ["language"]},
            TEXT,
            r"no column `language`, which `task\.tags` asks for",
        ),
        (
            {"name": "translation", "source": "english", "target": "german", "context": {"sentences": 1, "document": "page"}},
            TEXT,
            r"no column `page`, which `task\.context\.document` asks for",
        ),
        ({"name": "forecasting", "horizon": 1, "known": ["price"]}, SERIES, r"no column `price`, which `task\.known` asks for"),
    ],
)
def test_a_missing_column_names_the_setting_that_asks_for_it(tmp_path: Path, task: dict[str, Any], content: str, said: str) -> None:
    path = tmp_path / f"train.{'csv' if task['name'] == 'forecasting' else 'tsv'}"
    path.write_text(content)
    recipe = recipe_from({"task": task, "data": {"train": str(path)}, "model": "lstm", "training": {"max_steps": 1}})
    own = build_task(recipe)
    with pytest.raises(DataError, match=said):
        own.fit(open_splits(recipe, own)["train"].whole)
