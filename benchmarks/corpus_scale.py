"""Show that nothing of a corpus costs more when it is larger: the memory and time with which training on it begins, and the cost of a row.

    python benchmarks/corpus_scale.py --elements 1e5 1e7 1e9 --folder /large/disk

Each corpus of synthetic sentences (`flat_memory.py`) is built first. Then a process of its own opens it, hashes what tells it from others,
plans an epoch in the middle of which it begins, and reads shuffled batches: seconds to the first batch, rows a second of processor time,
and private memory beyond the imports at its peak.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import torch

from antiphon.contracts.limits import Limits
from antiphon.data.batching import BatchingConfig, Sampler
from antiphon.data.collate import collate
from antiphon.data.corpus import build_corpus
from antiphon.data.encoding import Encoding
from antiphon.data.identity import identity_of
from antiphon.data.loader import Loader
from antiphon.data.mapped import MappedCorpus
from antiphon.data.records import open_records
from benchmarks.flat_memory import MEAN_LENGTH, MEGABYTE, SPEC, encode, memory


def read(folder: Path, batches: int) -> dict[str, float]:
    """Begin in the middle of an epoch, and read some batches."""
    start = memory("RssAnon")
    began = time.perf_counter()
    corpus = MappedCorpus(folder, encode)
    identity_of([corpus])
    sampler = Sampler(corpus, BatchingConfig(target_tokens=8192), 1)
    middle = sampler.estimate_batches() // 2
    loader = Loader(corpus, sampler, partial(collate, source=SPEC, target=SPEC), seed=1)
    shown = loader.batches(0, middle)
    first = next(shown)
    opened = time.perf_counter() - began
    assert first is not None, "a single rank has a share of every batch"
    rows, peak, clock = 0, memory("RssAnon"), time.process_time()
    for batch in itertools.islice(itertools.chain(shown, itertools.chain.from_iterable(map(loader.batches, itertools.count(1)))), batches):
        rows += len(batch.records) if batch else 0
        peak = max(peak, memory("RssAnon"))
    return {"opened": opened, "rows": rows / (time.process_time() - clock), "memory": (peak - start) / MEGABYTE}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--elements", nargs="+", type=float, default=[1e5, 1e7, 1e9], help="symbols of all sources and targets together")
    parser.add_argument("--batches", type=int, default=300, help="batches that are read and timed")
    parser.add_argument("--folder", type=Path, default=None, help="where the corpora are written; by default a temporary folder")
    parser.add_argument("--read", type=Path, default=None, help=argparse.SUPPRESS)
    settings = parser.parse_args()
    torch.set_num_threads(1)
    if settings.read is not None:
        print(json.dumps(read(settings.read, settings.batches), allow_nan=False))
        return
    with tempfile.TemporaryDirectory(dir=settings.folder) as folder:
        for elements in settings.elements:
            rows, place = max(1, int(elements / (2 * MEAN_LENGTH + 2))), Path(folder) / f"{elements:.0f}"
            clock = time.perf_counter()
            records = open_records(lambda rows=rows: ({"number": number} for number in range(rows)))
            build_corpus(records, Encoding(encode, SPEC, SPEC, Limits(), "numbers"), place)
            built = time.perf_counter() - clock
            command = [sys.executable, "-m", "benchmarks.corpus_scale", "--read", str(place), "--batches", str(settings.batches)]
            found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
            print(
                f"{elements:>8.0e} elements, {rows:>9,} rows, built in {built:6.1f} s:  first batch after {found['opened']:5.2f} s,"
                f" {found['rows']:8,.0f} rows/s of processor time, {found['memory']:5.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
