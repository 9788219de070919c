"""Shuffles range(N) by a function: it gives the row at any position p without storing the N rows.

The shuffle is a block cipher on numbers of just enough bits to write N (a Feistel network), walked along until it falls below N (cycle
walking; Black and Rogaway, "Ciphers with arbitrary finite domains", 2002). So it takes memory for the positions asked for and no more,
and any position costs the same: a sampler resumes in the middle of an epoch of a billion rows at once.

Unusual here: no `numpy.random`. Its streams may change from one version to the next, while a resumed run must go on with the same order.
"""

import numpy as np

_ALL = 0xFFFFFFFFFFFFFFFF
_GOLDEN = 0x9E3779B97F4A7C15
_ROUNDS = 8
_SMALL = 4096  # below, a network of so few bits hardly shuffles, while sorting random numbers is quick and exact


def hash_seed(*numbers: int) -> int:
    """Mix integers to 64 bits; the same on every machine, and different for different sequences."""
    state = _GOLDEN
    for number in numbers:
        state = (_mix(state ^ (number & _ALL)) + _GOLDEN) & _ALL
    return _mix(state)


def _mix(value: int) -> int:
    """`mix64` for one Python integer, which is faster than numpy's scalars."""
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _ALL
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _ALL
    return value ^ (value >> 31)


def mix64(values: np.ndarray) -> np.ndarray:
    """The finalizer of SplitMix64 (Steele, Lea and Flood, 2014) on uint64: every input bit reaches every output bit."""
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        values ^= values >> np.uint64(31)
    return values


def permute(positions: np.ndarray, size: int, key: int) -> np.ndarray:
    """The image of each position in the shuffle of range(size) that `key` determines.

    `positions` is (N,) within range(size); returns int64 (N,). Positions 0 to size - 1 give each row once.
    """
    if size <= _SMALL:
        with np.errstate(over="ignore"):
            counter = np.arange(size, dtype=np.uint64) * np.uint64(_GOLDEN) + np.uint64(hash_seed(key))
        order = np.argsort(mix64(counter), kind="stable")
        return np.asarray(order[positions])
    values = positions.astype(np.uint64)
    bits = (size - 1).bit_length()
    keys = [np.uint64(hash_seed(key, number)) for number in range(_ROUNDS)]
    values = _encipher(values, bits, keys)
    outside = np.flatnonzero(values >= size)
    while outside.size:
        values[outside] = _encipher(values[outside], bits, keys)
        outside = outside[values[outside] >= size]
    return values.astype(np.int64)


def _encipher(values: np.ndarray, bits: int, keys: list[np.uint64]) -> np.ndarray:
    """A Feistel network whose halves may differ by a bit: each round mixes one half into the other, so each can be undone."""
    low_bits = np.uint64(bits // 2)
    low_mask = np.uint64((1 << (bits // 2)) - 1)
    high_mask = np.uint64((1 << (bits - bits // 2)) - 1)
    low, high = values & low_mask, values >> low_bits
    for number, key in enumerate(keys):
        if number % 2:
            low = low ^ (mix64(high ^ key) & low_mask)
        else:
            high = high ^ (mix64(low ^ key) & high_mask)
    return (high << low_bits) | low
