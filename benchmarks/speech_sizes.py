"""The model and the batches that speech benchmarks share: sizes, and frames drawn from a seed, since speed does not depend on what is said.

Needs numpy only, so that a peer in an environment of its own can import it.
"""

from collections.abc import Iterator

import numpy as np

DIM, LAYERS, HEADS, FEED_FORWARD, KERNEL, MAPS = 144, 8, 4, 576, 15, 64
BINS, SYMBOLS, BLANK, START, END = 80, 32, 0, 2, 3
SEED = 20


def batches(count: int, frames: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """(frames (B, S, BINS), their lengths, symbols (B, T) without start and end, their lengths): utterances of 2 to 8 seconds, some 12
    symbols a second, as many as have about `frames` frames with padding.
    """
    draw = np.random.default_rng(SEED)
    for _ in range(count):
        longest = int(draw.integers(300, 800))
        rows = max(1, frames // longest)
        lengths = np.sort(draw.integers(int(longest * 0.85), longest + 1, size=rows))[::-1].copy()
        lengths[0] = longest
        said = np.maximum(1, (lengths * 0.12).astype(np.int64))
        symbols = draw.integers(END + 1, SYMBOLS, size=(rows, int(said.max())))
        yield draw.normal(size=(rows, longest, BINS)).astype(np.float32), lengths, symbols, said
