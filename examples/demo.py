"""The first look at Antiphon: train on real data, score on held-out data, show what came out. Run by `make demo`.

pronunciation   from spelling to phonemes (CMUdict), without and with attention, about five minutes on two CPU cores
translation     from English to German (LibreOffice help), half an hour
summarization   from what stands under a heading (LibreOffice help) to the heading, a few minutes
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # before torch is loaded, as `antiphon train` does: docs/training.md, "Threads"
import antiphon
from antiphon.contracts.sequences import Prediction
from antiphon.recipe.recipe import read_recipe
from antiphon.report.page import write_report
from antiphon.runs.evaluation import Evaluation

ROOT = Path(__file__).resolve().parent.parent
RUNS = ROOT / "runs" / "demo"
SHADES = " ░▒▓█"

console = Console()


def run(name: str, recipe: str, *overrides: str) -> tuple[Path, Evaluation]:
    """Train from scratch and score on the test set."""
    folder = RUNS / name
    shutil.rmtree(folder, ignore_errors=True)
    console.rule(f"[bold]{name}")
    antiphon.train(read_recipe(ROOT / "recipes" / recipe, overrides), folder)
    return folder, antiphon.evaluate(folder)


def attention_picture(prediction: Prediction) -> str:
    """Where the decoder looked (columns: the source) when it said each symbol (rows)."""
    alignment, sources = prediction.hypothesis.alignment, prediction.details["source_pieces"]
    assert alignment is not None, "asked for with alignment=True"
    lines = ["        " + " ".join(f"{piece[:3]:<3}" for piece in sources)]
    for piece, row in zip([*prediction.details["target_pieces"], "end"], alignment, strict=False):
        cells = (SHADES[min(int(weight * len(SHADES)), len(SHADES) - 1)] * 3 for weight in np.asarray(row))
        lines.append(f"{piece[:7]:>7} " + " ".join(cells))
    return "\n".join(lines)


def examples(evaluation: Evaluation, title: str, count: int = 12) -> Table:
    """Held-out records, evenly spread over the test set: not picked by how well they came out."""
    table = Table(title=title, title_justify="left")
    for column in ("input", "prediction", "right answer", ""):
        table.add_column(column, overflow="fold")
    step = len(evaluation.items) // count
    for item in evaluation.items[step // 2 :: step][:count]:
        right = item.prediction in item.references
        table.add_row(item.source, item.prediction, " | ".join(item.references), "[green]right" if right else "")
    return table


def show_scores(evaluations: dict[str, Evaluation]) -> None:
    """One row per run, with intervals."""
    table = Table(title="Scores on the held-out test set, with 95 % intervals", title_justify="left")
    names = [score.name for score in next(iter(evaluations.values())).scores if score.low is not None]
    for column in ("model", *names):
        table.add_column(column)
    for name, evaluation in evaluations.items():
        scores = {score.name: score for score in evaluation.scores}
        table.add_row(name, *(f"{scores[metric].value:.1f}  ({scores[metric].low:.1f} to {scores[metric].high:.1f})" for metric in names))
    console.print(table)


def pronunciation() -> Path:
    """The ladder's first two rungs on 6,243 words that training never saw."""
    console.print(
        "Learning to pronounce English: from spelling to phonemes, on 114,000 words of the CMU dictionary.\n"
        "First an LSTM that squeezes each word into one state, then the same with attention.",
        highlight=False,
    )
    _, without = run("lstm-without-attention", "pronunciation.yaml", "model.attention=none", "training.max_minutes=1")
    folder, attending = run("lstm-with-attention", "pronunciation.yaml", "training.max_minutes=3")
    console.rule("[bold]result")
    console.print(examples(attending, "Words that training never saw (with attention)"))
    show_scores({"without attention, 1 minute": without, "with attention, 3 minutes": attending})
    console.print("token_error_rate: phonemes wrong, in percent; exact_match: words entirely right, in percent.", highlight=False)
    model = antiphon.load(folder).with_search({"alignment": True})
    for word in ("antiphon", "knowledge"):
        console.print(f"\n{word} -> {model.predict(word).text}, and where the model looked:", highlight=False)
        console.print(attention_picture(model.predict(word)), highlight=False, markup=False)
    return folder


def translation() -> Path:
    """A small translator for software help."""
    folder, evaluation = run("translation", "translation.yaml")
    console.rule("[bold]result")
    console.print(examples(evaluation, "Sentences from help pages that training never saw"))
    show_scores({"transformer": evaluation})
    return folder


def summarization() -> Path:
    """Headings for paragraphs, some words of which no vocabulary has."""
    console.print(
        "Learning to write headings, from 5,995 sections of LibreOffice's help pages: few, so expect headings that\n"
        "are near rather than right. Names that the vocabulary lacks are copied from the text.",
        highlight=False,
    )
    folder, evaluation = run("summarization", "summarization.yaml")
    console.rule("[bold]result")
    console.print(marked(folder, evaluation))
    show_scores({"pointer-generator": evaluation})
    for name, scores in evaluation.baselines.items():
        found = ", ".join(f"{score.name} {score.value:.1f}" for score in scores if score.name.startswith("rouge"))
        console.print(f"{name.replace('_', ' ')}, without training: {found}", highlight=False)
    return folder


def marked(folder: Path, evaluation: Evaluation, count: int = 12) -> Table:
    """Held-out documents, evenly spread over the test set; bold is what was copied rather than generated."""
    table = Table(title="Sections of pages that training never saw; copied words are bold", title_justify="left")
    for column in ("document (its beginning)", "prediction", "heading"):
        table.add_column(column, overflow="fold")
    step = len(evaluation.items) // count
    items = evaluation.items[step // 2 :: step][:count]
    for item, prediction in zip(items, antiphon.load(folder).predict([item.source for item in items]), strict=True):
        said = zip(prediction.details["target_pieces"], prediction.details["copied"], strict=True)
        shown = " ".join(f"[bold]{escape(piece)}[/bold]" if copied["probability"] > 0.5 else escape(piece) for piece, copied in said)
        table.add_row(escape(item.source[:160]), shown, escape(item.references[0]))
    return table


def main() -> None:
    """Run one of the demos and write its report."""
    tasks = {"pronunciation": pronunciation, "translation": translation, "summarization": summarization}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=tasks, default="pronunciation")
    folder = tasks[parser.parse_args().task]()
    page = write_report(folder)
    console.print(f"\nThe whole story, with curves, examples and attention: {page.relative_to(ROOT)}", highlight=False)
    name = folder.relative_to(ROOT)
    console.print(f'Try it yourself: echo "your input" | .venv/bin/antiphon predict "{name}"', highlight=False)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
