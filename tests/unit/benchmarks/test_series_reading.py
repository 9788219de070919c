"""The benchmark of reading series: each of its tables holds what it says, for us and for polars."""

import argparse
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _benchmarks_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "peers"))


@pytest.mark.parametrize("kind", ["long", "many", "wide"])
def test_everybody_reads_all_values(tmp_path: Path, kind: str) -> None:
    import own_series
    import series_loading
    from series_reading import write_table

    path = tmp_path / "data.csv"
    values = write_table(kind, 3000, path)
    assert values == 3000
    settings = argparse.Namespace(data=path, kind=kind, values=values)
    tasks = own_series.set_up(settings)
    assert [tasks[name]() for name in ("table", "every series")] == [values, values]
    assert series_loading.with_polars(settings)() == values
