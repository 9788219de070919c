"""What `antiphon inspect` says of series, and the sentences that meet the usual mistakes of their tables."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command, Result

RECIPE = """\
task: {name: forecasting, horizon: 6, context_length: 12}
data: {train: train.csv, validation: 6}
model: {name: lstm, dim: 4}
training: {max_steps: 2, device: cpu}
"""
Row = tuple[str, str, object]


def months(name: str, count: int, first: int = 0) -> list[Row]:
    """One row a month from January 2010 (and `first` months) on; the value is the number of the month."""
    return [(name, f"{2010 + month // 12}-{month % 12 + 1:02d}", month) for month in range(first, first + count)]


def write(path: Path, rows: list[Row], head: str = "unique_id,ds,y") -> None:
    path.write_text("\n".join([head, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recipe with a sound table."""
    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    write(tmp_path / "train.csv", [*months("a", 40), *months("b", 40)])
    return tmp_path


def says(result: Result, *sentences: str) -> None:
    """The command failed, in one line with these parts."""
    assert result.status == 1
    assert result.err.startswith("antiphon: ")
    assert len(result.err.splitlines()) == 1
    for sentence in sentences:
        assert sentence in result.err


def part(out: str, name: str) -> str:
    """What is said of one split."""
    return next(block for block in out.split("\n\n") if block.strip().startswith(f"{name}:"))


def test_series_are_told_by_their_spans_and_values(antiphon: Command, folder: Path) -> None:
    write(folder / "test.csv", [*months("a", 20, 30), *months("b", 18, 40)])
    result = antiphon("inspect", "recipe.yaml", "--set", "data.test=test.csv")
    assert result.status == 0
    train, validation, test = (part(result.out, name) for name in ("train", "validation", "test"))
    assert "2 of 2 series are used: 34 windows, of 12 steps and the 6 that follow" in train
    assert "steps of a series   all 34" in train
    assert "2010-01 to 2012-10, forecasts 2011-01 to 2012-10" in train
    assert "0 to 33, mean 16.5; 0 missing" in train
    assert "series a up to 2010-12, scaled: ▁▁▂▂▃▃▃▄▄▅▅▆|▆▆▇▇██  -1.59 -1.3 ... 1.3 1.59 -> 1.88 2.17 2.46 2.75 3.04 3.33" in train
    assert "2 windows to score" in validation
    assert "forecasts 2012-11 to 2013-04" in validation
    assert "measure memory" not in result.out
    assert "2 windows to score" in test
    assert result.out.index("train:") < result.out.index("validation:") < result.out.index("test:")
    assert "reads 1 channel and forecasts 1" in result.out
    plain = json.loads(antiphon("inspect", "recipe.yaml", "--json").out)
    assert plain["series"]["train"]["windows"] == 34
    assert plain["audit"]["overlaps"] == [], "nobody has compared windows, so nobody may say that they differ"
    assert plain["audit"]["splits"]["train"]["tally"]["unit"] == "series"


def test_what_is_scored_must_not_have_been_learned_from(antiphon: Command, folder: Path) -> None:
    """One step is enough: what is known of `a` ends in the midst of what is forecast, what is known of `b` before it."""
    write(folder / "test.csv", [*months("a", 45), *months("b", 46)])
    result = antiphon("inspect", "recipe.yaml", "--set", "data.test=test.csv")
    assert "1 of 2 windows forecast times that the training or validation data have (first in series a)" in part(result.out, "test")


def test_short_series_are_named(antiphon: Command, folder: Path) -> None:
    write(folder / "train.csv", [*months("a", 40), *months("tiny", 10)])
    result = antiphon("inspect", "recipe.yaml")
    assert result.status == 0
    assert "1 of 2 series are used" in part(result.out, "validation")
    assert "1 dropped: series too short for one window (tiny)" in part(result.out, "validation")


def test_what_was_mended_is_said(antiphon: Command, folder: Path) -> None:
    write(folder / "train.csv", [*reversed(months("a", 40)), ("a", "2013-05", ""), ("a", "2013-06", "")])
    result = antiphon("inspect", "recipe.yaml")
    assert "1 series had rows that were not in the order of time (first in series `a`)." in part(result.out, "train")
    assert "2 trailing rows without a value were left out (first in series `a`)." in part(result.out, "validation")


def test_text_among_the_values(antiphon: Command, folder: Path) -> None:
    write(folder / "train.csv", [*months("a", 40), ("a", "2013-05", "n/k")])
    says(antiphon("inspect", "recipe.yaml"), "train.csv:42, series `a`: `y` must be a number, but is 'n/k'.", "leave a cell empty")


def test_a_month_without_a_row(antiphon: Command, folder: Path) -> None:
    rows = months("a", 40)
    write(folder / "train.csv", [*rows[:20], *rows[21:]])
    says(antiphon("inspect", "recipe.yaml"), "Series `a` must have a number in `y` at 2011-09, but has no row for it.", "`task.missing`")
    write(folder / "train.csv", [*rows[:20], *rows[22:]])
    says(antiphon("inspect", "recipe.yaml"), "but has no row for it; 1 more is missing.")


def test_a_month_without_a_value(antiphon: Command, folder: Path) -> None:
    rows = months("a", 40)
    write(folder / "train.csv", [*rows[:20], ("a", "2011-09", ""), *rows[21:]])
    says(antiphon("inspect", "recipe.yaml"), "Series `a` must have a number in `y` at 2011-09, but is empty there.")


@pytest.mark.parametrize(
    ("form", "remedy"), [("{year}{month:02d}", "write 201001 as 2010-01."), ("{year}{month:02d}01", "20100101 as 2010-01-01.")]
)
def test_dates_without_hyphens(antiphon: Command, folder: Path, form: str, remedy: str) -> None:
    rows: list[Row] = [("a", form.format(year=2010 + month // 12, month=month % 12 + 1), month) for month in range(40)]
    write(folder / "train.csv", rows)
    says(antiphon("inspect", "recipe.yaml"), "If the times are dates", remedy)


def test_whole_numbers_with_a_gap_are_no_dates(antiphon: Command, folder: Path) -> None:
    rows: list[Row] = [("a", str(1960 + year), year) for year in range(40) if year != 20]
    write(folder / "train.csv", rows)
    result = antiphon("inspect", "recipe.yaml")
    says(result, "at 1980, but has no row for it")
    assert "dates" not in result.err


def test_another_name_of_a_column(antiphon: Command, folder: Path) -> None:
    write(folder / "train.csv", months("a", 40), head="unique_id,date,y")
    says(antiphon("inspect", "recipe.yaml"), "has no column `ds`, which `task.time` asks for; it has: unique_id, date, y.")


def test_covariates_are_told_with_their_roles(antiphon: Command, folder: Path) -> None:
    rows = [(*row, 10 + index % 40 % 3, index % 2, 5, "north" if row[0] == "a" else "south") for index, row in enumerate(read_rows(folder))]
    write(folder / "train.csv", rows, head="unique_id,ds,y,price,promotion,visitors,region")  # type: ignore[arg-type]
    roles = ("task.known=[price]", "task.past=[visitors]", "task.static=[region]", "task.calendar=[month]")
    result = antiphon("inspect", "recipe.yaml", *(part for one in roles for part in ("--set", one)))
    train = part(result.out, "train")
    assert "  visitors            5 to 5, mean 5; known for the past alone\n" in train
    assert "  price               10 to 12, mean 10.9706; known in advance\n" in train, "(11 * 33 + 10) / 34, both series alike"
    assert "  month               as sine and cosine; read off the time, known in advance\n" in train
    assert "  region              2 categories: north, south; the same for a whole series\n" in train
    assert "note: Nothing reads the column `promotion`. `task.known` names what is known in advance" in result.out
    bare = antiphon("inspect", "recipe.yaml").out
    assert "known in advance\n" not in bare
    assert "`price`, `promotion`, `visitors`, `region`" in bare


def read_rows(folder: Path) -> list[Row]:
    lines = (folder / "train.csv").read_text(encoding="utf-8").splitlines()[1:]
    return [(name, time, value) for name, time, value in (line.split(",") for line in lines)]
