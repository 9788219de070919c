"""8-bit weights whose products with unsigned 8-bit activations are the same on every CPU.

Processors without VNNI (x86 before 2019, AMD before Zen 4) multiply 8 bits by `vpmaddubsw`, which adds the products of two neighbours
into 16 bits and saturates there: with weights up to 127 and activations up to 255 the sum is wrong whenever both are large. Scaling each
column so that the weights of no two neighbours (rows 2i and 2i+1) add up to more than 128 makes every sum fit: 255 * 128 < 2^15. That costs
far less than the customary seventh bit, since the largest sum of two neighbours is seldom twice the largest weight.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antiphon.errors import ExportError

LARGEST = 127
"""The largest absolute weight, and the largest sum of two neighbours before rounding; rounding adds at most 1 to a sum."""
FEWEST, NARROWEST = 1024, 16
"""Smaller matrices are not rounded: there is nothing to gain, and few inputs or outputs are mostly values rather than features."""
DEEPEST = 2**16
"""The number of rows up to which every sum fits into 32 bits: 255 * 127 * 2^16 < 2^31."""


@dataclass(frozen=True)
class Int8Weights:
    """Rounded weights: `values` times `scales` approximates the weights."""

    values: NDArray[np.int8]
    scales: NDArray[np.float32]


def worth(weights: NDArray[np.float32]) -> bool:
    """Whether a matrix (K, N) is large enough to be stored in 8 bits."""
    return (
        weights.dtype == np.float32
        and weights.ndim == 2
        and weights.size >= FEWEST
        and min(weights.shape) >= NARROWEST
        and weights.shape[0] < DEEPEST
    )


def by_column(weights: NDArray[np.float32]) -> Int8Weights:
    """Round a matrix (K, N) that inputs are multiplied with, one scale for each column; exact on every CPU."""
    _check(weights)
    even = np.pad(weights, ((0, len(weights) % 2), (0, 0))).reshape(-1, 2, weights.shape[1])
    most = np.maximum(np.maximum(even, 0).sum(1).max(0), np.maximum(-even, 0).sum(1).max(0))  # never below the largest weight
    scales = _positive(most / LARGEST)
    return Int8Weights(np.rint(weights / scales).astype(np.int8), scales)


def by_output(weights: NDArray[np.float32], outputs: int = 1) -> Int8Weights:
    """Round weights of any shape, one scale for each entry of the first `outputs` axes, such as each row of a table; the scales' other axes
    are 1."""
    _check(weights)
    scales = _positive(np.abs(weights).max(tuple(range(outputs, weights.ndim)), keepdims=True) / LARGEST)
    return Int8Weights(np.rint(weights / scales).astype(np.int8), scales)


def _check(weights: NDArray[np.float32]) -> None:
    if not np.isfinite(weights).all():
        raise ExportError("Some weights of this model are NaN or infinite, which 8 bits cannot hold: train it with a lower learning rate.")


def _positive(scales: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(scales > 0, scales, 1).astype(np.float32)
