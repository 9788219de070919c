"""A student beside its teacher: sentences per second, in turns, and the scores of both on the same records.

    python benchmarks/student_speed.py runs/en-it runs/en-it-student

Both runs decode the same test records, greedily and with a beam of 5, as `antiphon predict` would: A, B, A, B. Then both are scored on the
test data, each with both searches, and each is compared with the teacher's beam, significance included.
"""

import argparse
import sys
from pathlib import Path

from own_predictions import SEARCHES, sources
from turns import System, machine, table, take_turns, versions

from antiphon.prediction.loading import load
from antiphon.recipe.assembly import metric_names
from antiphon.runs.evaluate import evaluate
from antiphon.runs.evaluation import Evaluation, compare_evaluations

TEACHER, STUDENT = "teacher", "student"


def systems(settings: argparse.Namespace) -> list[System]:
    """Who takes part."""
    data = () if settings.data is None else (f"--data={settings.data}",)
    given = (*data, f"--count={settings.count}", f"--batch={settings.batch}", f"--threads={settings.threads}")
    return [
        System(name, "own_predictions.py", (f"--run={run.absolute()}", *given), threads=settings.threads)
        for name, run in ((TEACHER, settings.teacher), (STUDENT, settings.student))
    ]


def scores(settings: argparse.Namespace) -> str:
    """A Markdown table: the scores of both with both searches, and how they differ from the teacher's beam."""
    found: dict[str, Evaluation] = {}
    for name, run in ((TEACHER, settings.teacher), (STUDENT, settings.student)):
        predictor = load(run, overrides=["evaluation.batch_size=64"])
        metrics = metric_names(predictor.recipe)
        records = sources(predictor, settings.data, settings.scored)
        for search, values in SEARCHES.items():
            print(f"scoring {name}, {search}", file=sys.stderr)
            found[f"{name}, {search}"] = evaluate(predictor.with_search(values), records)
    reference = found[f"{TEACHER}, beam 5"]
    lines = [f"| {reference.records:,} records | {' | '.join(metrics)} |", "|---" * (1 + len(metrics)) + "|"]
    for name, one in found.items():
        comparisons = {item.name: item for item in compare_evaluations(reference, one, metrics)}
        cells = []
        for score in one.scores:
            if score.name in comparisons:
                other = comparisons[score.name]
                told = "" if one is reference else f"; {other.difference:+.2f}, p = {other.randomization_p:.3f}"
                low, high = (f"{bound:.1f}" if bound is not None else "?" for bound in (score.low, score.high))
                cells.append(f"{score.value:.2f} ({low} to {high}{told})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", type=Path, help="run or checkpoint of the teacher")
    parser.add_argument("student", type=Path, help="run or checkpoint of the student")
    parser.add_argument("--data", type=Path, default=None, help="records to decode and to score; none is the recipe's test data")
    parser.add_argument("--count", type=int, default=64, help="records decoded in each turn")
    parser.add_argument("--batch", type=int, default=32, help="records decoded together")
    parser.add_argument("--scored", type=int, default=10**9, help="at most so many records are scored; 0 leaves scores out")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each")
    parser.add_argument("--threads", type=int, default=1, help="threads of each")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu counts computing time, for a machine that is shared")
    settings = parser.parse_args()
    place = machine()
    found = take_turns(systems(settings), settings.rounds, settings.clock)
    print(f"{place}; {versions(sys.executable, ['torch'])}")
    print(f"{settings.threads} threads, {settings.rounds} rounds of {settings.count} records")
    print()
    print(table(found, f"sentences per {settings.clock} second (ratio)", TEACHER))
    if settings.scored:
        print()
        print(scores(settings))


if __name__ == "__main__":
    main()
