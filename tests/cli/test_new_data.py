"""`antiphon new --data` writes a recipe that fits the data: it is read, and it trains."""

import csv
import math
import random
from datetime import date, timedelta
from pathlib import Path

import pytest

from antiphon.recipe.recipe import read_recipe
from tests.cli.conftest import Command

LETTERS = "abcdefghijklmnop"


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 pairs: words, and the words backwards."""
    draw = random.Random(1)
    path = tmp_path_factory.mktemp("texts") / "pairs.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("kind", "de", "en"))
        for number in range(300):
            words = ["".join(draw.choices(LETTERS, k=3)) for _ in range(4)]
            writer.writerow((f"kind {number % 3}", " ".join(words), " ".join(reversed(words))))
    return path


def test_a_recipe_for_pairs_is_measured_and_trains(antiphon: Command, texts: Path, tmp_path: Path) -> None:
    told = antiphon("new", "translation", tmp_path / "a.yaml", "--data", texts, "--minutes", "0.1", "--set", "model.dropout=0.25")
    assert told.status == 0, told.err
    assert told.out.startswith("300 records to learn from.\nLearns to turn `en` (4.0 words on average) into `de` (4.0 words on average).\n")
    text = (tmp_path / "a.yaml").read_text()
    assert "symbols/s)" in text, "the speed was measured"
    assert "\n# Text to text. What was chosen has its reason beside it. Then:\n#   antiphon inspect " in text
    recipe = read_recipe(tmp_path / "a.yaml")
    assert (recipe.task.source, recipe.task.target, recipe.data.validation, recipe.data.test) == ("en", "de", 15, 15)
    assert (recipe.training.validate_every, recipe.training.schedule.warmup_steps) == ("auto", "auto")
    assert recipe.model.dropout == 0.25
    assert recipe.model.dim in (128, 256, 512), "as this machine is fast"
    assert "  dropout: 0.25                  # as asked for\n" in text
    run = tmp_path / "run"
    told = antiphon("train", tmp_path / "a.yaml", "--out", run, "--set", "training.max_steps=2", "--set", "search.limits.max_length=5")
    assert told.status == 0, told.err
    assert "train: 270 of 270 records" in told.err
    told = antiphon("evaluate", run)
    assert "15 records" in told.out, "those that were held out for the test"


def test_series_have_the_season_that_they_have(antiphon: Command, tmp_path: Path) -> None:
    """Days with a week, and a promotion that is known in advance."""
    draw = random.Random(2)
    rows = []
    for shop in ("north", "south", "west"):
        for number in range(121):
            sold = 20 + 9 * math.sin(2 * math.pi * number / 7) + draw.random()
            rows.append(f"{shop},{date(2024, 1, 1) + timedelta(number)},{sold:.2f},{int(number % 5 == 0)}")
    (tmp_path / "sales.csv").write_text("shop,day,sales,promotion\n" + "\n".join(rows) + "\n")
    told = antiphon("new", "forecasting", tmp_path / "f.yaml", "--data", tmp_path / "sales.csv", "--set", "task.horizon=7")
    assert told.status == 0, told.err
    assert "Learns to forecast `sales` of each `shop`: 3 series of 121 to 121 steps of one day, season 7 (usual for" in told.out
    assert "Not used: `promotion`. What is known in advance" in told.out
    recipe = read_recipe(tmp_path / "f.yaml")
    assert (recipe.task.id, recipe.task.time, recipe.task.target, recipe.task.horizon) == ("shop", "day", "sales", 7)
    assert recipe.task.scaling.season == 7
    assert (recipe.data.validation, recipe.data.test) == (7, 7)
    assert "  # known: [promotion]           # if known in advance" in (tmp_path / "f.yaml").read_text()


def test_a_column_that_is_not_there_is_said(antiphon: Command, texts: Path, tmp_path: Path) -> None:
    told = antiphon("new", "translation", tmp_path / "b.yaml", "--data", texts, "--set", "task.source=french")
    assert told.err == "antiphon: `task.source` must be one of the columns kind, de, en, but is 'french'.\n"
    told = antiphon("new", "translation", tmp_path / "b.yaml", "--set", "task.source=en")
    assert "`--set` needs `--data`" in told.err
