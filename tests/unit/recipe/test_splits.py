"""The records of a recipe: what is wrong with them is said with the setting that asks for it."""

from pathlib import Path
from typing import Any

import pytest

from antiphon.errors import ConfigError, DataError
from antiphon.recipe.assembly import build_task
from antiphon.recipe.recipe import recipe_from
from antiphon.recipe.splits import build_corpora, open_splits, unused_columns

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


def forecast_of(tmp_path: Path, rows: int, **task: Any) -> Any:
    path = tmp_path / "sales.csv"
    path.write_text("unique_id,ds,y,promotion\n" + "".join(f"a,{number},{number % 7},0\n" for number in range(rows)))
    task = {"name": "forecasting", "context_length": 10, **task}
    return recipe_from({"task": task, "data": {"train": str(path), "validation": 4}, "model": "linear", "training": {"max_steps": 1}})


def test_columns_that_nothing_reads_are_told(tmp_path: Path) -> None:
    recipe = forecast_of(tmp_path, 20, horizon=4)
    task = build_task(recipe)
    (said,) = unused_columns(open_splits(recipe, task)["train"], task)
    assert said.startswith("Nothing reads the column `promotion`. `task.known` names what is known in advance")
    known = build_task(forecast_of(tmp_path, 20, horizon=4, known=["promotion"]))
    assert unused_columns(open_splits(recipe, known)["train"], known) == ()


def test_a_horizon_longer_than_every_series_is_the_cause_that_is_named(tmp_path: Path) -> None:
    recipe = forecast_of(tmp_path, 20, horizon=30)
    with pytest.raises(ConfigError, match=r"`task\.horizon` must be shorter than the series, of which the longest has 20 steps, but is 30"):
        open_splits(recipe, build_task(recipe))
    wrong = forecast_of(tmp_path, 20, horizon=6)
    with pytest.raises(ConfigError, match=r"`data\.validation` must hold out at least the 6 steps"):
        open_splits(wrong, build_task(wrong))


def test_lengths_are_those_of_the_file(tmp_path: Path) -> None:
    recipe = forecast_of(tmp_path, 16, horizon=4, context_length=12)
    task = build_task(recipe)
    splits = open_splits(recipe, task)
    task.fit(splits["train"].whole)
    with pytest.raises(DataError, match=r"the longest of 1 has 16 \(12 without the 4 that are held out\)\. Shorten .*, or hold out less"):
        build_corpora(splits["train"], task, tmp_path / "corpus", recipe.data.limits, keep_records=False)
