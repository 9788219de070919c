#!/usr/bin/env python3
"""Train a small model for each task on the data that ships with the project, and write the reports that the site shows.

    python scripts/gallery.py                train what is missing, in build/gallery; about a quarter of an hour on one core
    python scripts/gallery.py translation    one of them

Each training is a recipe of `recipes/` with a few settings changed, so that it takes minutes. What is trained already stays as it is.
"""

import gzip
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

import antiphon
from antiphon.recipe.recipe import read_recipe
from antiphon.report.page import write_report

ROOT = Path(__file__).resolve().parent.parent
GALLERY = ROOT / "build" / "gallery"
DIGITS = GALLERY / "digits"
PAIRS = GALLERY / "pairs"
WORDS = 8  # of the longest English sentence


def digits() -> None:
    """Recordings of spoken digits, put together from those that ship with the project."""
    size = ("--train", "300", "--validation", "20", "--test", "40", "--single")
    subprocess.run([sys.executable, str(ROOT / "recipes/speech/digits.py"), str(DIGITS), *size], check=True)


def pairs() -> None:
    """The shorter sentences of the translation data, as in the tutorial: few minutes do not suffice for long ones."""
    PAIRS.mkdir(parents=True)
    for part in ("train", "validation", "test"):
        with gzip.open(ROOT / f"examples/data/translation/{part}.tsv.gz", "rt", encoding="utf-8") as file:
            header, *rows = file.read().splitlines()
        kept = [row for row in rows if len(row.split("\t")[1].split()) <= WORDS]
        (PAIRS / f"{part}.tsv").write_text("\n".join([header, *kept]) + "\n", encoding="utf-8")


def parts(folder: Path) -> tuple[str, ...]:
    """Settings that name the three files of a folder."""
    return tuple(f"data.{part}={folder}/{part}.tsv" for part in ("train", "validation", "test"))


@final
@dataclass(frozen=True)
class Exhibit:
    """One training: a recipe, and the settings that differ from it; where the data is made, its folder and what makes it."""

    recipe: str
    settings: tuple[str, ...] = ()
    folder: Path | None = None
    make: Callable[[], None] | None = None


EXHIBITS = {
    "translation": Exhibit(
        "translation.yaml",
        (
            *parts(PAIRS),
            "task.vocabulary.size=1000",
            "model={name: lstm, dim: 128, attention: general, tied_embeddings: all}",
            "training.max_minutes=null",
            "training.max_epochs=10",
            "training.batching.target_tokens=500",
            "training.optimizer.learning_rate=3e-3",
            "training.schedule.warmup_steps=50",
            "training.precision=fp32",
            "training.ema_decay=null",
        ),
        PAIRS,
        pairs,
    ),
    "summarization": Exhibit("summarization.yaml"),
    "speech": Exhibit("speech/digits.yaml", (*parts(DIGITS), "training.max_minutes=3"), DIGITS, digits),
    "forecasting": Exhibit("employment.yaml"),
}


def exhibit(name: str) -> Path:
    """Train, score and report, unless that was done before; the folder of the run."""
    one, folder = EXHIBITS[name], GALLERY / name
    if one.folder is not None and one.make is not None and not one.folder.exists():
        one.make()
    if not (folder / "report.html").exists():
        print(f"gallery: {name}", flush=True)
        antiphon.train(read_recipe(ROOT / "recipes" / one.recipe, one.settings), folder, resume=True)
        antiphon.evaluate(folder)
        write_report(folder)
    return folder


if __name__ == "__main__":
    for wanted in sys.argv[1:] or EXHIBITS:
        exhibit(wanted)
