"""What sequence packing gains: real tokens per second of training, several pairs in a row beside one pair in a row.

    python benchmarks/packing.py

Lengths are those of the shipped summaries (long sources, short targets) and translations in words, and of both mixed with short messages;
symbols are random. Rows come sorted by length, as they do by default (pools of 65,536), and in pools too small for that, as in a stream
whose lengths are not known ahead. One process on one thread takes both ways through the same number of updates in turns and counts the
seconds of computing of each. A real token is an element of a source or of a target.
"""

import argparse
import gzip
import statistics
import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from turns import machine

from antiphon.contracts.sequences import Batch, Example
from antiphon.contracts.specs import TokenSpec
from antiphon.data.batching import BatchingConfig, Sampler
from antiphon.data.collate import collate
from antiphon.data.corpus import MemoryCorpus
from antiphon.layers.transformer_config import TransformerConfig
from antiphon.losses.cross_entropy import CrossEntropy
from antiphon.models import transformer
from antiphon.training.decoder_inputs import TeacherForcingConfig
from antiphon.training.distributed import Ranks
from antiphon.training.optimizers import AdamWConfig, build_optimizer
from antiphon.training.step import Update

DATA = Path(__file__).resolve().parents[1] / "examples" / "data"
SPEC = TokenSpec(size=4000, pad=0, unknown=1, start=2, end=3)
ROWS, LONGEST = 4000, 400


def lengths_of(name: str) -> np.ndarray:
    """Words of source and target (rows, 2), with an end each."""
    with gzip.open(DATA / name / "train.tsv.gz", "rt", encoding="utf-8") as file:
        pairs = [line.rstrip("\n").split("\t")[:2] for line in islice(file, 1, ROWS + 1)]
    return np.array([[min(len(text.split()) + 1, LONGEST) for text in pair] for pair in pairs])


def kinds() -> dict[str, np.ndarray]:
    """Lengths by what they are of."""
    generator = np.random.default_rng(1)
    summaries, translations = lengths_of("summarization"), lengths_of("translation")
    messages = 2 + generator.geometric(0.1, (ROWS, 2))
    return {"summaries": summaries, "translations": translations, "messages": messages, "mixed": np.concatenate([summaries, messages])}


def corpus_of(lengths: np.ndarray) -> MemoryCorpus:
    """Random symbols of these lengths."""
    generator = np.random.default_rng(2)
    return MemoryCorpus(
        [Example(generator.integers(4, 4000, s), generator.integers(4, 4000, t + 1), i) for i, (s, t) in enumerate(lengths)]
    )


def batches(corpus: MemoryCorpus, settings: BatchingConfig) -> Iterator[Batch]:
    """Batches of epoch after epoch."""
    together = partial(collate, source=SPEC, target=SPEC, pack=settings.pack)
    for epoch in range(1000):
        for rows in Sampler(corpus, settings, 1).batches(epoch):
            yield together([corpus.example(int(row)) for row in rows])


def update_of(dim: int) -> Update:
    """Of a Transformer with two layers on each side."""
    torch.manual_seed(1)
    settings = TransformerConfig(dim=dim, encoder_layers=2, decoder_layers=2, feed_forward_dim=4 * dim, heads=4)
    model = transformer.build(settings, SPEC, SPEC).train()
    optimizer, ranks = build_optimizer(AdamWConfig(), model), Ranks(0, 1, torch.device("cpu"))
    return Update.of(model, CrossEntropy(0.1), optimizer, ranks, inputs=TeacherForcingConfig(), clip_norm=1.0, precision="fp32", seed=1)


def real(batch: Batch) -> tuple[int, int]:
    """Elements, and the places that they are computed in."""
    assert batch.target is not None
    inputs = batch.inputs
    sides = (batch.source, inputs) if batch.packing is None else (batch.packing.source, batch.packing.inputs)
    places = sum(side.values.numel() for side in (batch.source, inputs)) if batch.packing is None else sum(s.places.numel() for s in sides)
    return int(batch.source.lengths.sum() + inputs.lengths.sum()), places


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", default=["summaries", "translations", "messages", "mixed"], help="whose lengths")
    parser.add_argument("--pools", type=int, nargs="+", default=[65536, 100], help="rows that are sorted together")
    parser.add_argument("--dim", type=int, default=256, help="width of the model")
    parser.add_argument("--target-tokens", type=int, default=1000, help="budget of a batch")
    parser.add_argument("--updates", type=int, default=4, help="updates of a turn")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each way")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"{machine()}; one thread, width {chosen.dim}, {chosen.rounds} rounds of {chosen.updates} updates on {chosen.target_tokens} tokens"
    )
    print("| lengths of | pool | padding | packed: padding | real tokens/s | packed: real tokens/s | ratio (least to most) |")
    print("|---|---|---|---|---|---|---|")
    every, update = kinds(), update_of(chosen.dim)
    for kind in chosen.kinds:
        corpus = corpus_of(every[kind])
        for pool in chosen.pools:
            streams = [
                batches(corpus, BatchingConfig(target_tokens=chosen.target_tokens, pool_size=pool, pack=pack)) for pack in (False, True)
            ]
            rates, places = ([], []), np.zeros((2, 2))
            for step in range(chosen.rounds):
                for way, stream in enumerate(streams):
                    group = list(islice(stream, chosen.updates))
                    began = time.process_time()
                    for batch in group:
                        update([batch], step, 1.0)
                    seconds = time.process_time() - began
                    counted = np.array([real(batch) for batch in group]).sum(0)
                    rates[way].append(counted[0] / seconds)
                    places[way] += counted
            ratios = [after / before for before, after in zip(*rates, strict=True)]
            padding = 1 - places[:, 0] / places[:, 1]
            print(
                f"| {kind} | {pool:,} | {padding[0]:.0%} | {padding[1]:.0%} | {statistics.median(rates[0]):,.0f} |"
                f" {statistics.median(rates[1]):,.0f} | {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |",
                flush=True,
            )


if __name__ == "__main__":
    main()
