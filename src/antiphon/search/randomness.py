"""Random numbers for each source: a function of the seed and of the source's content, independent of the batch.

So a source gets the same draws alone, in any batch and in any order.
"""

import hashlib

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from antiphon.contracts.sequences import Padded


def source_key(seed: int, content: np.ndarray) -> int:
    """A number for this seed and this content that is the same on every machine."""
    kind = "<f4" if np.issubdtype(content.dtype, np.floating) else "<i8"
    digest = hashlib.blake2b(f"{seed}:{content.shape}:".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(content, dtype=kind).tobytes())
    return int.from_bytes(digest.digest(), "little")


def uniforms_of(source: Padded, shape: tuple[int, ...], seed: int, *, part: int = 0) -> Float[Tensor, "B ..."]:
    """Uniform numbers from the open interval (0, 1), an array of this shape for each source, on the source's device.

    `part` tells apart pieces of a stream that is too long to be made at once.
    """
    values, lengths = source.values.cpu().numpy(), source.lengths.tolist()
    table = np.empty((len(lengths), *shape), dtype=np.float32)
    for row, length in enumerate(lengths):
        generator = np.random.Generator(np.random.Philox(key=source_key(seed, values[row, :length]), counter=part << 128))
        generator.random(out=table[row], dtype=np.float32)
    # The generator gives multiples of 2^-24 from 0 on; logarithms and normal quantiles need more than 0.
    table.clip(2.0**-25, None, out=table)
    return torch.from_numpy(table).to(source.values.device)
