"""Every recipe that comes with the project can be read, names what exists, and says what it is."""

import csv
import gzip
import os
import re
import subprocess
from pathlib import Path

import pytest

from antiphon.contracts import registry
from antiphon.recipe.recipe import Recipe, read_recipe

ROOT = Path(__file__).resolve().parents[2]
RECIPES = sorted(path for path in (ROOT / "recipes").rglob("*.yaml") if "data" not in path.relative_to(ROOT).parts)

each_recipe = pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.relative_to(ROOT)))


def data_files(recipe: Recipe) -> list[Path]:
    """All files that a recipe names."""
    groups = (recipe.data.train, recipe.data.validation, recipe.data.test)
    files = [file for group in groups if isinstance(group, tuple) for file in group]
    return [Path(os.path.normpath(name)) for file in files for name in (file.path, file.source, file.target) if name]


def columns_of(shipped: Path) -> set[str]:
    with gzip.open(shipped, "rt", encoding="utf-8", newline="") as table:
        if ".csv" in shipped.suffixes:
            return {*next(csv.reader(table))}
        return {*next(csv.reader(table, delimiter="\t", quoting=csv.QUOTE_NONE))}


def columns_made(program: Path, name: str) -> set[str]:
    """The columns of a table that a recipe's prepare.py makes; test_prepare.py and test_prepare_series.py show that it makes them."""
    if program == ROOT / "recipes" / "forecasting" / "prepare.py":
        made = r"(m3_monthly|m3_quarterly|tourism_monthly)\.(train|test)\.csv\.gz|vic_elec\.(train|validation|test)\.csv\.gz"
        assert re.fullmatch(made, name), f"prepare.py makes no {name}"
        return {"unique_id", "ds", "y", *(("temperature", "holiday", "summer_time") if name.startswith("vic_elec") else ())}
    if program == ROOT / "recipes" / "speech" / "prepare.py":  # and digits.py, appointments.py beside it; their tests show it
        assert re.fullmatch(r"queen\.(train|dev|test)\.tsv|(train|validation|test)\.tsv", name), f"nothing makes {name}"
        return {"audio", "text", "speaker", *(("written",) if name.startswith("queen") else ())}
    assert program == ROOT / "recipes" / "debian" / "prepare.py", f"nothing makes {name}"
    found = re.fullmatch(r"debian(?:\.en-(\w+)|-synopsis)\.(?:train|dev|test)\.tsv\.gz", name)
    assert found, f"prepare.py makes no {name}"
    return {"source", "package", *(("kind", "en", found[1]) if found[1] else ("description", "synopsis"))}


def test_there_are_recipes() -> None:
    """Else the tests below would pass for want of anything to look at."""
    assert len(RECIPES) >= 4


@each_recipe
def test_it_can_be_read_and_its_parts_exist(path: Path) -> None:
    recipe = read_recipe(path)
    for kind, part in (("tasks", recipe.task), ("models", recipe.model), ("search", recipe.search)):
        assert registry.find(kind, part.name) is not None


@each_recipe
def test_its_metrics_exist(path: Path) -> None:
    recipe = read_recipe(path)
    wanted = {*(recipe.evaluation.metrics or ()), recipe.training.best} - {"loss", None}
    assert wanted <= {*registry.names("metrics")}


@each_recipe
def test_it_says_what_it_is(path: Path) -> None:
    """In a sentence at its top."""
    first, *_ = path.read_text(encoding="utf-8").splitlines()
    assert re.match(r"# \w+ .{20,}\w", first), first


@each_recipe
def test_it_stops(path: Path) -> None:
    """A recipe to start from has a budget, so that it ends by itself."""
    training = read_recipe(path).training
    assert any(getattr(training, name, None) for name in ("max_minutes", "max_steps", "max_epochs"))


@each_recipe
def test_its_data_is_shipped_or_made_by_the_program_beside_it(path: Path) -> None:
    """And has the columns that the task reads."""
    recipe = read_recipe(path)
    columns = {
        name
        for name in (getattr(recipe.task, side, None) for side in ("source", "target", "id", "time", "audio", "text"))
        if name is not None
    }
    columns |= {*getattr(recipe.task, "known", ())}
    files = data_files(recipe)
    assert files
    for file in files:
        made_here = path.parent / "data" in file.parents
        assert columns <= (columns_made(path.parent / "prepare.py", file.name) if made_here else columns_of(file)), file


def test_tables_that_may_not_be_passed_on_are_ignored_by_git() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    made = "recipes/debian/data/debian.en-de.train.tsv.gz"
    assert subprocess.run(["git", "check-ignore", "--quiet", made], cwd=ROOT, check=False).returncode == 0  # noqa: S607 -- as users call it
