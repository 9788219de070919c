"""Our speech recognition: updates of a Conformer with CTC, or searches of one with a decoder beside it."""

import argparse
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import speech_sizes as sizes
import torch
from worker import Ready, serve

from antiphon.contracts import registry
from antiphon.contracts.sequences import Batch, Example, pad
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.data.collate import collate
from antiphon.losses.ctc import CTCConfig, build
from antiphon.training.decoder_inputs import TeacherForcingConfig
from antiphon.training.distributed import Ranks
from antiphon.training.optimizers import AdamWConfig, build_optimizer
from antiphon.training.step import Update

SOURCE = ValueSpec(sizes.BINS)
TARGET = TokenSpec(sizes.SYMBOLS, pad=sizes.BLANK, unknown=1, start=sizes.START, end=sizes.END)
SHAPE = {"dim": sizes.DIM, "heads": sizes.HEADS, "feed_forward_dim": sizes.FEED_FORWARD, "convolution_kernel": sizes.KERNEL}
SECONDS, SAID = 6.0, 72  # of the utterances that are decoded, and symbols in each


def batch_of(frames: np.ndarray, lengths: np.ndarray, symbols: np.ndarray, said: np.ndarray) -> Batch:
    """A batch as the loader makes it."""
    examples = [
        Example(frames[row, : lengths[row]], np.concatenate([[sizes.START], symbols[row, : said[row]], [sizes.END]]), row)
        for row in range(len(frames))
    ]
    return collate(examples, SOURCE, TARGET)


def training(settings: argparse.Namespace) -> Ready:
    """Updates of an encoder with CTC."""
    plugin = registry.find("models", "encoder_only")
    encoder = {"name": "conformer", "layers": sizes.LAYERS, "positions": settings.positions, **SHAPE}
    config = plugin.Config(encoder=encoder, subsampling=4, subsampling_width=sizes.MAPS)
    model = plugin.build(config, SOURCE, TARGET)
    update = Update.of(
        model.train(),
        build(CTCConfig(), TARGET),
        build_optimizer(AdamWConfig(learning_rate=3e-4), model),
        Ranks(0, 1, torch.device("cpu")),
        inputs=TeacherForcingConfig(),
        clip_norm=1.0,
        precision="fp32",
        seed=sizes.SEED,
    )
    drawn = [batch_of(*one) for one in sizes.batches(settings.updates, settings.frames)]

    def train(count: int = settings.updates) -> float:
        for step, batch in enumerate(itertools.islice(drawn, count)):
            update([batch], step, 1.0)
        return float(sum(len(batch.records) for batch in drawn[:count]))

    train(1)
    return Ready({"training": train}, sum(parameter.numel() for parameter in model.parameters()))


def decoding(settings: argparse.Namespace) -> Ready:
    """Searches of a Conformer with 2 decoder layers and CTC, in seconds of sound. Texts have a fixed length, since weights are random."""
    plugin = registry.find("models", "conformer")
    model = plugin.build(
        plugin.Config(encoder_layers=sizes.LAYERS, decoder_layers=2, subsampling=4, subsampling_width=sizes.MAPS, ctc=True, **SHAPE),
        SOURCE,
        TARGET,
    ).eval()
    draw = np.random.default_rng(sizes.SEED)
    source = pad([draw.normal(size=(int(SECONDS * 100), sizes.BINS)).astype(np.float32) for _ in range(settings.utterances)])
    limits = {"max_ratio": 0, "max_offset": SAID, "min_length": SAID}

    def task(name: str, **options: Any) -> Callable[[], float]:
        found = registry.find("search", name)
        search = found.build(found.Config(**options))

        def decode() -> float:
            search(model, source)
            return SECONDS * settings.utterances

        return decode

    tasks = {
        f"{label}, beam {size}": task(name, beam_size=size, **options)
        for label, name, options in (
            ("CTC", "ctc", {}),
            ("attention", "beam", {"limits": limits}),
            ("joint", "beam", {"limits": limits, "ctc_weight": 0.3}),
        )
        for size in (1, 10)
    }
    next(iter(tasks.values()))()
    return Ready(tasks, sum(parameter.numel() for parameter in model.parameters()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=("training", "decoding"), required=True)
    parser.add_argument("--positions", default="rotary")
    parser.add_argument("--frames", type=int, default=4000)
    parser.add_argument("--updates", type=int, default=2)
    parser.add_argument("--utterances", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    settings = parser.parse_args()

    def set_up() -> Ready:
        torch.set_num_threads(settings.threads)
        torch.manual_seed(sizes.SEED)
        return training(settings) if settings.kind == "training" else decoding(settings)

    serve(set_up)


if __name__ == "__main__":
    main()
