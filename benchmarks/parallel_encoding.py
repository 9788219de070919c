"""What encoding a corpus by two processes gains over one, by the clock, and by the processor time of the busier one of the two, which other
programs on the machine change less.

    python benchmarks/parallel_encoding.py --records 300000 --rounds 3

The translations that ship with the project, over and over, with a vocabulary of 2,000 subwords that is learned before. Ways take turns; the
corpora that they write are compared, byte for byte. Starting the other process, and writing what both have encoded, is part of it.
"""

import argparse
import gzip
import resource
import statistics
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

from antiphon.contracts.corpus import WHOLE
from antiphon.contracts.limits import Limits
from antiphon.data.records import open_records
from antiphon.features.text_config import TextConfig
from antiphon.tasks.translation import Translation, TranslationConfig

SHIPPED = Path(__file__).resolve().parents[1] / "examples" / "data" / "translation" / "train.tsv.gz"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    settings = parser.parse_args()
    with gzip.open(SHIPPED, "rt", encoding="utf-8") as packed:
        header, *lines = packed.readlines()
    names = header.rstrip("\n").split("\t")
    task = Translation(TranslationConfig(source=names[0], target=names[1], vocabulary=TextConfig(kind="unigram", size=2000)))
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "pairs.tsv"
        table.write_text(header + "".join(islice(cycle(lines), settings.records)), encoding="utf-8")
        task.fit(open_records(SHIPPED, required=task.columns))
        gains: list[list[float]] = []
        for number in range(settings.rounds):
            places = [Path(folder) / f"{number}-{count}" for count in (1, 2)]
            one, two = (_seconds(task, table, place, count) for count, place in enumerate(places, 1))
            _check_equal(*places)
            gains.append([alone / together for alone, together in zip(one, two, strict=True)])
            print(
                f"round {number + 1}: by the clock {one[0]:.1f} and {two[0]:.1f} s, {gains[-1][0]:.2f} times as fast;"
                f" processor time {one[1]:.1f} and {two[1]:.1f} s, {gains[-1][1]:.2f}",
                flush=True,
            )
        clock, computing = map(statistics.median, zip(*gains, strict=True))
        print(f"median: {clock:.2f} by the clock, {computing:.2f} by processor time")


def _seconds(task: Translation, table: Path, place: Path, count: int) -> tuple[float, float]:
    """What so many processes need: by the clock, and of processor time the one that needs most."""
    records = open_records(table, required=task.columns)
    began, ours, theirs = time.perf_counter(), time.process_time(), _others()
    task.build_part(records, place, WHOLE, limits=Limits(), keep_records=False, workers=count)
    return time.perf_counter() - began, max(time.process_time() - ours, _others() - theirs)


def _others() -> float:
    """Processor time in seconds of the processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _check_equal(one: Path, two: Path) -> None:
    files = [{path.name: path.read_bytes() for path in place.iterdir()} for place in (one, two)]
    assert files[0] == files[1], "they must not differ"


if __name__ == "__main__":
    main()
