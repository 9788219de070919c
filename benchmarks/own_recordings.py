"""Our recognition of recordings with an exported folder, a slice of them at each turn, as `antiphon predict` does it."""

import argparse
from pathlib import Path

import torch
from recordings import Slices
from worker import Ready, serve

import antiphon


def set_up(folder: Path, slices: Slices) -> Ready:
    """The folder opened, with its recipe's search, after one recording."""
    torch.set_num_threads(1)
    predictor = antiphon.load(folder, device="cpu").without_copies()
    column = predictor.task.source_columns[0]

    def texts(paths: list[str]) -> list[str]:
        return [one.text for one in predictor.predict([{column: path} for path in paths])]

    texts(slices.paths[:1])
    return Ready({"recordings": slices.task(texts)})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    Slices.add_to(parser)
    chosen = parser.parse_args()
    serve(lambda: set_up(chosen.folder, Slices.of(chosen)))
