"""What encoding a corpus by two processes gains over one, by the clock, on a machine with two idle cores.

    python benchmarks/parallel_encoding.py --records 300000 --rounds 3

The translations that ship with the project, over and over, with a vocabulary of 2,000 subwords that is learned before. Ways take turns; the
corpora that they write are compared, byte for byte.
"""

import argparse
import gzip
import statistics
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

from antiphon.contracts.limits import Limits
from antiphon.data.parallel_encoding import Work, encode_together
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
        seconds: dict[int, list[float]] = {1: [], 2: []}
        for number in range(settings.rounds):
            for count, took in seconds.items():
                records = open_records(table, required=task.columns)
                work = Work(task, records, Path(folder) / f"{number}-{count}", Limits(), keep_records=False)
                began = time.perf_counter()
                if count > 1:
                    encode_together(work, count)
                else:
                    task.build_corpus(records, work.folder, limits=Limits(), keep_records=False)
                took.append(time.perf_counter() - began)
            one, two = (sorted((Path(folder) / f"{number}-{count}").iterdir()) for count in seconds)
            assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two], "they must not differ"
            ratio = seconds[1][-1] / seconds[2][-1]
            print(
                f"round {number + 1}: one process {seconds[1][-1]:.1f} s, two {seconds[2][-1]:.1f} s, {ratio:.2f} times as fast", flush=True
            )
        ratios = [one / two for one, two in zip(seconds[1], seconds[2], strict=True)]
        print(f"median {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
