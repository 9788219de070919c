"""Show that a corpus larger than memory can be built and trained on: do both under a limit that the corpus does not fit into.

    python benchmarks/flat_memory.py --megabytes 2000 --headroom 256

After the imports, RLIMIT_DATA is set to what the process uses plus the headroom (in MB). The limit counts private writable memory: heap,
arrays, thread stacks. It does not count the read-only maps of the corpus, whose pages the system may take back at any time; that is the
claim. As a control, reading one file of the corpus into an array must fail.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from antiphon.contracts.limits import Limits
from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Example
from antiphon.contracts.specs import TokenSpec
from antiphon.data.batching import BatchingConfig, Sampler
from antiphon.data.collate import collate
from antiphon.data.corpus import build_corpus
from antiphon.data.encoding import Encoding
from antiphon.data.loader import Loader
from antiphon.data.mapped import MappedCorpus
from antiphon.data.records import open_records

SPEC = TokenSpec(size=32_000, pad=0, unknown=1, start=2, end=3)
MEAN_LENGTH = 200
MEGABYTE = 1_000_000


def memory(field: str) -> int:
    """A field of /proc/self/status in bytes: VmData is what RLIMIT_DATA limits, RssAnon what is resident of it."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field + ":"))
    return int(line.split()[1]) * 1024


def encode(record: Record, index: int = -1, *, seed: int | None = None) -> Example:
    """Symbols that depend on the record's number only, so that reading can check them."""
    number = int(record["number"])
    source = 4 + np.arange(number, number + MEAN_LENGTH // 2 + number * 7919 % MEAN_LENGTH) % (SPEC.size - 4)
    target = np.concatenate([[SPEC.start], source[::-1], [SPEC.end]])
    return Example(source, target, index)


def build(folder: Path, megabytes: int) -> MappedCorpus:
    """A corpus of about so many megabytes on disk."""
    rows = megabytes * MEGABYTE // (2 * MEAN_LENGTH * 2 + 30)

    def numbers() -> Iterator[Record]:
        return ({"number": number} for number in range(rows))

    return build_corpus(open_records(numbers), Encoding(encode, SPEC, SPEC, Limits(), "numbers"), folder)


def read(corpus: MappedCorpus, most: int) -> tuple[int, int, int]:
    """Iterate batches in shuffled order, checking rows: (batches, rows, peak VmData)."""
    loader = Loader(corpus, Sampler(corpus, BatchingConfig(target_tokens=8192), 1), partial(collate, source=SPEC, target=SPEC), seed=1)
    batches = rows = peak = 0
    for batch in loader.batches(0):
        assert batch is not None, "a single rank has a share of every batch"
        row = batches % len(batch.records)
        length = int(batch.source.lengths[row])
        expected = encode({"number": batch.records[row]}).source
        assert batch.source.values[row, :length].tolist() == expected.tolist(), f"record {batch.records[row]} was read wrongly"
        batches, rows = batches + 1, rows + len(batch.records)
        if batches % 20 == 1:
            peak = max(peak, memory("VmData"))
        if batches == most:
            break
    return batches, rows, peak


def control(corpus: MappedCorpus) -> str:
    """What happens to a program that reads the corpus into memory under this limit."""
    try:
        values = [np.fromfile(corpus.folder / name, dtype=np.uint16) for name in ("source.bin", "target.bin")]
    except MemoryError:
        return "fails with MemoryError, as it must"
    return f"went well ({sum(array.nbytes for array in values) / MEGABYTE:.0f} MB): the corpus is too small to show anything"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=2000, help="size of the corpus on disk")
    parser.add_argument("--headroom", type=int, default=256, help="memory allowed beyond what the imports take, in MB")
    parser.add_argument("--batches", type=int, default=0, help="stop after so many batches; 0 reads the whole epoch")
    parser.add_argument("--folder", type=Path, default=None, help="where the corpus is written; by default a temporary folder")
    settings = parser.parse_args()
    torch.set_num_threads(1)
    start = memory("VmData")
    limit = start + settings.headroom * MEGABYTE
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    with tempfile.TemporaryDirectory(dir=settings.folder) as folder:
        clock = time.perf_counter()
        corpus = build(Path(folder) / "corpus", settings.megabytes)
        built = time.perf_counter() - clock
        size = sum(file.stat().st_size for file in corpus.folder.iterdir())
        print(f"corpus    {size / MEGABYTE:.0f} MB, {len(corpus)} rows, built in {built:.1f} s")
        print(f"limit     {limit / MEGABYTE:.0f} MB, of which {start / MEGABYTE:.0f} MB are taken by imports")
        clock = time.perf_counter()
        batches, rows, peak = read(corpus, settings.batches)
        seconds = time.perf_counter() - clock
        print(f"read      {batches} batches, {rows} rows in {seconds:.1f} s ({rows / seconds:.0f} rows/s)")
        print(f"peak      {peak / MEGABYTE:.0f} MB, so {(peak - start) / MEGABYTE:.0f} MB beyond the imports")
        print(f"control   reading the corpus into an array {control(corpus)}")


if __name__ == "__main__":
    main()
