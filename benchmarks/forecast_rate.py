"""How many series a second are forecast, from a table to a table: 10,000 monthly series, 12 steps each.

    python benchmarks/forecast_rate.py
    python benchmarks/forecast_rate.py --format onnx --precision int8

The model is that of `recipes/employment.yaml` (an LSTM of 64 or a Transformer, all steps at once, quantiles) with random weights, which
cost what trained ones do. Counted are reading the table's rows, windows, the model, and forecasts with their intervals; by the clock and by
the processor's time, one thread.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from encoding import SEED

import antiphon
from antiphon.contracts.trust import OWN
from antiphon.prediction.predictor import Predictor
from antiphon.recipe.assembly import build_model, build_task, fit_task, header_of, open_splits
from antiphon.recipe.recipe import recipe_from
from antiphon.store import checkpoint

MONTHS = 60


def write_table(path: Path, count: int) -> Path:
    """So many series of months as csv, with a trend and a season each."""
    draw, months = np.random.default_rng(SEED), np.arange(MONTHS)
    stamps = np.datetime_as_string(np.datetime64("2020-01", "M") + months)
    with path.open("w", encoding="utf-8") as file:
        file.write("unique_id,ds,y\n")
        for number in range(count):
            level, trend, season = draw.uniform(50, 500), draw.normal(0, 0.01), draw.normal(0, 0.1, 12)
            values = level * np.exp(trend * months + season[months % 12] + draw.normal(0, 0.02, MONTHS))
            file.writelines(f"s{number},{stamp},{value:.2f}\n" for stamp, value in zip(stamps, values, strict=True))
    return path


def write_run(folder: Path, name: str, train: Path) -> Path:
    """A forecaster with random weights."""
    recipe = recipe_from(
        {
            "task": {
                "name": "forecasting",
                "horizon": 12,
                "context_length": 48,
                "transform": "log",
                "scaling": {"name": "last", "season": 12},
                "decoding": "direct",
            },
            "data": {"train": str(train)},
            "model": {"name": name, "dim": 64, "head": {"name": "quantile"}},
            "training": {"max_steps": 1},
            "evaluation": {"batch_size": 256},
        },
        trust=OWN,
    )
    task = build_task(recipe)
    fit_task(task, open_splits(recipe, task)["train"])
    torch.manual_seed(SEED)
    model = build_model(recipe, task)

    def write_features(place: Path) -> None:
        (place / checkpoint.FEATURES).mkdir()
        task.save(place / checkpoint.FEATURES)

    checkpoint.write(folder, {**header_of(recipe, task), "step": 0, "scores": {}}, model.state_dict(), write_features)
    return folder


def seconds(predictor: Predictor, table: Path, count: int) -> tuple[float, float]:
    """By the clock, and of computing, for all forecasts of a table."""
    began, began_computing = time.perf_counter(), time.process_time()
    import polars

    found = predictor.predict(polars.read_csv(table))
    assert len(found) == count, f"{len(found)} forecasts of {count} series"
    return time.perf_counter() - began, time.process_time() - began_computing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="lstm", help="its architecture")
    parser.add_argument("--series", type=int, default=10_000, help="so many")
    parser.add_argument("--format", default=None, help="an engine to export for; none is the run itself")
    parser.add_argument("--precision", default="fp32", help="that of the exported model")
    parser.add_argument("--rounds", type=int, default=3, help="times that all are forecast")
    settings = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        table = write_table(folder / "series.csv", settings.series)
        run = write_run(folder / "run", settings.model, write_table(folder / "few.csv", 20))
        if settings.format:
            out = folder / "exported"
            run = antiphon.export(run, format=settings.format, precision=settings.precision, out=out, check=0)
        predictor = antiphon.load(run)
        taken = [seconds(predictor, table, settings.series) for _ in range(settings.rounds)]
    wall, cpu = (statistics.median(column) for column in zip(*taken, strict=True))
    rates = f"{settings.series / wall:,.0f} series a second by the clock, {settings.series / cpu:,.0f} of computing"
    print(f"{settings.model} {settings.format or ''} {settings.precision}: {rates} (medians of {settings.rounds})")


if __name__ == "__main__":
    main()
