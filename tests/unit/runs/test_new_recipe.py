"""Which precision a recipe for existing files is written with."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from antiphon.contracts import registry
from antiphon.runs import new_recipe
from antiphon.runs.speed import Cost

SECONDS = Cost({}, 0, 1, 0.0, 10.0, 0, "cpu", 0.0, 1, 1.0, 0.0, 0.0, "")


@pytest.mark.parametrize(
    ("has_bf16", "asked", "seconds", "tried", "said"),
    [
        (True, [], 5.0, {"fp32", "bf16"}, [["precision:", "bf16", "# 2.0 times as fast as fp32 here"]]),
        (True, [], 9.5, {"fp32", "bf16"}, []),
        (False, [], 5.0, {"fp32"}, []),
        (True, ["training.precision=fp32"], 5.0, {"fp32"}, [["precision:", "fp32", "# as asked for"]]),
    ],
)
def test_bf16_is_taken_where_it_is_faster(
    has_bf16: bool,
    asked: list[str],
    seconds: float,
    tried: set[str],
    said: list[list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draw, measured = random.Random(1), set()

    def measure(recipe: Any, *_: Any) -> Cost:
        measured.add(recipe.training.precision)
        return replace(SECONDS, seconds_per_epoch=seconds) if recipe.training.precision == "bf16" else SECONDS

    monkeypatch.setattr(new_recipe, "measure", measure)
    monkeypatch.setattr(new_recipe, "has_bf16", lambda _: has_bf16)
    rows = ["".join(draw.choices("abcdefgh", k=6)) for _ in range(150)]
    (tmp_path / "pairs.tsv").write_text("en\tde\n" + "".join(f"{row}\t{row[::-1]}\n" for row in rows))
    text, _ = new_recipe.recipe_for(
        registry.find("tasks", "translation"), [tmp_path / "pairs.tsv"], tmp_path / "a.yaml", minutes=1.0, overrides=asked
    )
    assert measured == tried
    assert [line.split(maxsplit=2) for line in text.splitlines() if "precision:" in line] == said
