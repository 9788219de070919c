#!/usr/bin/env python3
"""Train a small model for each task on the data that ships with the project, and write the reports that the site shows.

    python scripts/gallery.py                train what is missing, in build/gallery; about a quarter of an hour on one core
    python scripts/gallery.py translation    one of them

Each training is a recipe of `recipes/` with a few settings changed, so that it takes minutes. What is trained already stays as it is.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import final

import antiphon
from antiphon.recipe.recipe import read_recipe
from antiphon.report.page import write_report

ROOT = Path(__file__).resolve().parent.parent
GALLERY = ROOT / "build" / "gallery"
DIGITS = GALLERY / "digits"


@final
@dataclass(frozen=True)
class Exhibit:
    """One training: a recipe, and the settings that differ from it."""

    recipe: str
    settings: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    """A program that makes the data, with its arguments; empty where the data ships with the project."""


EXHIBITS = {
    "translation": Exhibit(
        "translation.yaml",
        (
            "task.vocabulary.size=2000",
            "data.limits={max_source_length: 14, max_target_length: 16}",
            "model={name: lstm, dim: 128, attention: general, tied_embeddings: all, dropout: 0.2}",
            "training.max_minutes=null",
            "training.max_epochs=10",
            "training.batching.target_tokens=500",
            "training.optimizer.learning_rate=3e-3",
            "training.schedule.warmup_steps=50",
            "training.precision=fp32",
            "training.ema_decay=null",
            "training.validation_records=null",
        ),
    ),
    "summarization": Exhibit("summarization.yaml"),
    "speech": Exhibit(
        "speech/digits.yaml",
        (
            *(f"data.{part}={DIGITS}/{part}.tsv" for part in ("train", "validation", "test")),
            "training.max_minutes=3",
        ),
        data=("recipes/speech/digits.py", str(DIGITS), "--train", "300", "--validation", "20", "--test", "40", "--single"),
    ),
    "forecasting": Exhibit("employment.yaml"),
}


def exhibit(name: str) -> Path:
    """Train, score and report, unless that was done before; the folder of the run."""
    one, folder = EXHIBITS[name], GALLERY / name
    if one.data and not DIGITS.exists():
        program, *arguments = one.data
        subprocess.run([sys.executable, str(ROOT / program), *arguments], check=True)
    if not (folder / "report.html").exists():
        print(f"gallery: {name}", flush=True)
        antiphon.train(read_recipe(ROOT / "recipes" / one.recipe, one.settings), folder, resume=True)
        antiphon.evaluate(folder)
        write_report(folder)
    return folder


if __name__ == "__main__":
    for wanted in sys.argv[1:] or EXHIBITS:
        exhibit(wanted)
