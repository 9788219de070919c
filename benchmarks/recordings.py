"""Recordings that systems recognize in turns, each turn the next slice of them; what was said is written down. Standard library only."""

import argparse
import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Slices:
    """`paths` in as many slices as there are rounds, and the seconds of sound in each; texts go to `out`, one JSON string a line."""

    paths: list[str]
    seconds: list[float]
    rounds: int
    out: Path

    @staticmethod
    def add_to(parser: argparse.ArgumentParser) -> None:
        """The arguments that `of` reads."""
        parser.add_argument("--table", type=Path, required=True, help="a table with columns audio and seconds")
        parser.add_argument("--rounds", type=int, required=True)
        parser.add_argument("--out", type=Path, required=True)

    @classmethod
    def of(cls, settings: argparse.Namespace) -> "Slices":
        """The recordings of a table."""
        with open(settings.table, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        return cls([row["audio"] for row in rows], [float(row["seconds"]) for row in rows], settings.rounds, settings.out)

    def task(self, texts: Callable[[list[str]], list[str]]) -> Callable[[], float]:
        """Recognizes the next slice; returns how many seconds of sound it was."""
        self.out.unlink(missing_ok=True)
        turn = 0

        def recognize() -> float:
            nonlocal turn
            chosen = slice(turn, None, self.rounds)  # every so-many-th, so that slices are alike
            turn += 1
            with open(self.out, "a", encoding="utf-8") as file:
                for path, text in zip(self.paths[chosen], texts(self.paths[chosen]), strict=True):
                    file.write(json.dumps([path, text]) + "\n")
            return sum(self.seconds[chosen])

        return recognize
