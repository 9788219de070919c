"""How well models write words that they never saw: of the words in references that no training text has, the share that is in the output.

    python benchmarks/rare_words.py recipes/debian/data/debian-synopsis.train.tsv.gz RUN [RUN ...]

The runs must have been evaluated on the same records (`antiphon evaluate RUN`). Words are those of the metrics for summaries, in lower
case.
A word that the source does not have either cannot be copied, so recall is given for all unseen words and for those in the source. Intervals
are from 1,000 resamples of the records; with two runs or more, the last column is the share of resamples in which a run is not better than
the first.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from antiphon.data.records import open_records
from antiphon.metrics.words import words

RESAMPLES, SEED = 1000, 12345


def newest(run: Path) -> dict[str, object]:
    """The newest evaluation of a run."""
    files = sorted((run / "evaluations").glob("*.json"), key=lambda path: path.stat().st_mtime)
    if not files:
        raise SystemExit(f"{run} has no evaluation. Make one: antiphon evaluate {run}")
    found: dict[str, object] = json.loads(files[-1].read_text(encoding="utf-8"))
    return found


def counts(items: list[dict[str, object]], seen: set[str]) -> np.ndarray:
    """For each item: unseen words of the reference, those of them in the output, those in the source, those in source and output."""
    rows = []
    for item in items:
        said, source = set(words(str(item["prediction"]))), set(words(str(item["source"])))
        unseen = {word for reference in item["references"] for word in words(str(reference))} - seen  # type: ignore[attr-defined]
        rows.append([len(unseen), len(unseen & said), len(unseen & source), len(unseen & source & said)])
    return np.array(rows, dtype=float)


def main() -> None:
    """Print a row for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("training", type=Path, help="the training data")
    parser.add_argument("runs", type=Path, nargs="+", help="runs that were evaluated on the same records")
    arguments = parser.parse_args()
    seen = {word for _, record in open_records(arguments.training)() for text in record.values() for word in words(str(text))}
    tables = [counts(newest(run)["items"], seen) for run in arguments.runs]  # type: ignore[arg-type]
    if len({len(table) for table in tables}) > 1:
        raise SystemExit("The runs must have been evaluated on the same records, but the numbers of records differ.")
    draws = np.random.default_rng(SEED).integers(0, len(tables[0]), (RESAMPLES, len(tables[0])))
    first = None
    print("run                            unseen  recall            in the source  recall            not better than the first")
    for run, table in zip(arguments.runs, tables, strict=True):
        total, sums = table.sum(axis=0), table[draws].sum(axis=1)
        recall, of_source = 100 * sums[:, 1] / sums[:, 0], 100 * sums[:, 3] / np.maximum(sums[:, 2], 1)
        shown = [
            f"{100 * total[hit] / max(total[all_], 1):5.1f} ({np.quantile(drawn, 0.025):.1f} to {np.quantile(drawn, 0.975):.1f})"
            for hit, all_, drawn in ((1, 0, recall), (3, 2, of_source))
        ]
        beaten = "" if first is None else f"{(recall <= first).mean():.3f}"
        print(f"{run!s:<30} {total[0]:6.0f}  {shown[0]:<17} {total[2]:13.0f}  {shown[1]:<17} {beaten}")
        first = recall if first is None else first


if __name__ == "__main__":
    main()
