"""How fast are batches prepared whose subwords are sampled anew, by a thread and by worker processes?

    python benchmarks/loading_speed.py

The translation data that ships with the project, a unigram vocabulary, batches of 4,096 target tokens; nothing is trained. The thread and
the workers take turns: A, B, A, B; medians over rounds remain, and of the ratios within each round. Before each turn what was prepared
ahead is used up. Where other programs use the machine, look at the second table: tokens per second of computing time of that process which
computes the longest, which is the rate on a machine that has a core for each.
"""

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from encoding import SEED, SHIPPED
from turns import machine

from antiphon.contracts.limits import Limits
from antiphon.contracts.sequences import Batch
from antiphon.data.batching import BatchingConfig, Sampler
from antiphon.data.collate import collate
from antiphon.data.loader import Loader
from antiphon.data.mapped import MappedCorpus
from antiphon.data.records import open_records
from antiphon.features.text_config import TextConfig
from antiphon.tasks.translation import Translation, TranslationConfig


def prepare(folder: Path, sampling: float, size: int) -> tuple[Translation, MappedCorpus]:
    """The task with its vocabulary, and the encoded corpus."""
    task = Translation(TranslationConfig(source="en", target="de", vocabulary=TextConfig(kind="unigram", size=size, sampling=sampling)))
    records = open_records(SHIPPED, required=task.columns)
    task.fit([record for _, record in records()])
    corpus = task.build_corpus(records, folder, limits=Limits(), keep_records=True)
    return task, corpus


def endless(loader: Loader) -> Iterator[Batch]:
    """Its batches, epoch after epoch."""
    return (batch for epoch in itertools.count() for batch in loader.batches(epoch) if batch is not None)


def computed() -> dict[str, float]:
    """Seconds of computing time of this process and of those that it has started."""
    seconds = {"self": time.process_time()}
    for children in Path("/proc/self/task").glob("*/children"):
        for child in children.read_text().split():
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            seconds[child] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # in user mode, in the kernel
    return seconds


def turn(batches: Iterator[Batch], count: int) -> tuple[float, float]:
    """Target tokens per second of wall clock, and per second of the busiest process."""
    for _ in itertools.islice(batches, 20):  # what was prepared while others had their turn
        pass
    began, before, tokens = time.perf_counter(), computed(), 0
    for batch in itertools.islice(batches, count):
        assert batch.target is not None, "the corpus has targets"
        tokens += int(batch.target.lengths.sum())
    passed, after = time.perf_counter() - began, computed()
    return tokens / passed, tokens / max(after[name] - before.get(name, 0.0) for name in after)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[2])
    parser.add_argument("--sampling", type=float, default=0.1)
    parser.add_argument("--vocabulary", type=int, default=8000)
    parser.add_argument("--batches", type=int, default=100, help="batches in a turn")
    parser.add_argument("--rounds", type=int, default=5)
    settings = parser.parse_args()
    torch.set_num_threads(1)
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        task, corpus = prepare(Path(folder) / "corpus", settings.sampling, settings.vocabulary)
        together = partial(collate, source=task.source_spec, target=task.target_spec)
        systems: dict[str, Iterator[Batch]] = {}
        for workers in (0, *settings.workers):
            loader = Loader(
                corpus, Sampler(corpus, BatchingConfig(), SEED), together, seed=SEED, sample=task.samples_encodings, workers=workers
            )
            loader.wait_for_workers()
            systems[f"{workers} workers" if workers else "thread"] = endless(loader)
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in systems}
        for number in range(settings.rounds + 1):
            for name, batches in systems.items():
                rates = turn(batches, settings.batches)
                if number:  # the first round fills caches
                    found[name].append(rates)
    for column, clock in enumerate(("wall clock", "computing time of the busiest process")):
        print(f"\n| target tokens per second, {clock} | median | ratio (range) |\n|---|---|---|")
        for name, rates in found.items():
            ratios = [rate[column] / other[column] for rate, other in zip(rates, found["thread"], strict=True)]
            median = statistics.median(rate[column] for rate in rates)
            print(f"| {name} | {median:,.0f} | {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |")


if __name__ == "__main__":
    main()
