"""Our predictions: a run, texts in, texts out, as `antiphon predict` does it."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from worker import Ready, serve

from antiphon.prediction.loading import load
from antiphon.prediction.predictor import Predictor
from antiphon.recipe.assembly import read_given

SEARCHES: dict[str, Mapping[str, Any]] = {"greedy": {"name": "greedy"}, "beam 5": {"name": "beam", "beam_size": 5}}


def spread(records: list[Any], count: int) -> list[Any]:
    """So many records, evenly taken from the whole."""
    return records if len(records) <= count else [records[place * len(records) // count] for place in range(count)]


def sources(predictor: Predictor, data: Path | None, count: int) -> list[Any]:
    """Records of a file, or of the recipe's test data."""
    return spread(list(read_given(data or predictor.recipe.data.test, predictor.task, with_targets=True)), count)


def set_up(run: Path, data: Path | None, count: int, batch: int, threads: int) -> Ready:
    """The run's model with both searches, after one warm-up of each."""
    torch.set_num_threads(threads)
    predictor = load(run, overrides=[f"evaluation.batch_size={batch}"], device="cpu")
    records = sources(predictor, data, count)

    def task(search: Mapping[str, Any]) -> Any:
        searching = predictor.with_search(search)

        def decode() -> float:
            return float(len(searching.predict(records)))

        searching.predict(records[:batch])
        return decode

    tasks = {f"{name}, batch {batch}": task(search) for name, search in SEARCHES.items()}
    return Ready(tasks, sum(parameter.numel() for parameter in predictor.model.parameters()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    serve(lambda: set_up(chosen.run, chosen.data, chosen.count, chosen.batch, chosen.threads))
