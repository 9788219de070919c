"""Derives seeds from other seeds."""

import hashlib


def seed_from(*numbers: int) -> int:
    """One seed from several numbers, such that seeds of neighbouring numbers are unrelated."""
    text = ",".join(str(number) for number in numbers)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big")
