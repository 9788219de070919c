"""What every forecasting peer is told, and the series that it reads."""

import argparse
import csv
import gzip
from pathlib import Path
from typing import Any

import numpy as np

DIM, HEADS, HIDDEN, LAYERS = 128, 4, 512, 2  # of Transformers; an LSTM has one layer of DIM
LEARNING_RATE, CLIP_NORM = 1e-3, 1.0
NEVER = 10**9


def options(*models: str) -> Any:
    """The arguments; `models` are those that the peer has."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True, help="CSV with unique_id, ds and y, packed or not")
    parser.add_argument("--model", choices=models, required=True)
    for name in ("--context", "--horizon", "--rows", "--updates", "--threads"):
        parser.add_argument(name, type=int, required=True)
    return parser.parse_args()


def read_series(path: Path) -> list[np.ndarray]:
    """The values of every series, in the order of the rows."""
    series: dict[str, list[float]] = {}
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        for row in csv.DictReader(file):
            series.setdefault(row["unique_id"], []).append(float(row["y"]))
    return [np.array(values, dtype=np.float32) for values in series.values()]
