"""Hashes of whole prefixes, so that a beam finds equal ones without comparing symbols, however long they are."""

from jaxtyping import Int
from torch import Tensor


def named(parents: Int[Tensor, "B W"], symbols: Int[Tensor, "B W"]) -> Int[Tensor, "B W"]:
    """The 64-bit hashes of prefixes after one more symbol, mixed as in splitmix64 (Steele et al. 2014).

    The same prefix has the same number however it was reached. Of prefixes of equal length, two that differ share one once in 2 ** 64.
    """
    mixed = (parents ^ (symbols + 1)) * -0x61C8864680B583EB  # numbers wrap around
    mixed = (mixed ^ (mixed >> 30 & 2**34 - 1)) * -0x40A7B892E31B1A47  # the shift fills up with the sign, which must not count
    mixed = (mixed ^ (mixed >> 27 & 2**37 - 1)) * -0x6B2FB644ECCEEE15
    return mixed ^ (mixed >> 31 & 2**33 - 1)
