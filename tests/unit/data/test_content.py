"""Equal contents are told alike, and others are not."""

import numpy as np
import torch

from antiphon.data.content import content
from antiphon.data.records import MemoryRecords


def test_sounds_are_told_by_a_hash():
    sound = np.random.default_rng(1).standard_normal(16000 * 60).astype(np.float32)
    told = content({"audio": sound})
    assert len(told) < 300
    assert told == content({"audio": sound.copy()}) == content({"audio": torch.from_numpy(sound)})
    other = sound.copy()
    other[500_000] += 1
    different = [other, sound[:-1], sound.reshape(2, -1), sound.astype(np.float64), sound.tobytes(), "sound"]
    assert len({content({"audio": value}) for value in (sound, *different)}) == 7
    assert content(b"a") == content(bytearray(b"a")) != content(b"b")


def test_a_signature_changes_with_a_sample():
    def signature(last):
        sound = np.zeros(1000)
        sound[500] = last
        return MemoryRecords(lambda: [{"audio": sound, "text": "a"}]).signature()

    assert signature(0.5) == signature(0.5) != signature(0.25)


def test_columns_may_stand_in_any_order():
    assert content({"a": 1, "b": [None, True]}) == content({"b": [None, True], "a": 1})
