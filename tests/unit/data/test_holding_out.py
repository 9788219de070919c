"""What is held out has no key in common with what is learned from."""

from collections import Counter

import numpy as np
import pytest

from antiphon.data.holding_out import split
from antiphon.data.records import JoinedRecords, MemoryRecords
from antiphon.errors import DataError


def records(*rows):
    return MemoryRecords(lambda: rows)


def pairs(count, different):
    return [{"source": f"sentence {number % different}", "target": str(number)} for number in range(count)]


def divided(parts, columns, wanted, seed, **more):
    """The records of both sides."""
    found = split(parts, columns, wanted, seed, **more)
    sides = [[record for part in side if part is not None for record in part] for side in (found.training, found.validation)]
    assert sum(map(len, sides)) == sum(part.count() for part in parts)
    assert not {tuple(record[column] for column in columns) for record in sides[0]} & {
        tuple(record[column] for column in columns) for record in sides[1]
    }
    return *sides, found.note


def test_records_that_all_differ_are_drawn_by_the_seed(seed):
    rows = pairs(50, 50)
    kept, held, note = divided([records(*rows[:30]), records(*rows[30:])], ["source"], 12, seed)
    assert [int(row["target"]) for row in held] == sorted(np.random.default_rng(seed).choice(50, 12, replace=False, shuffle=False))
    assert len(kept) == 38
    assert note == "12 of 50 training records are held out for validation."


@pytest.mark.parametrize("different", [40, 10, 3, 2])
def test_repeated_sources_stand_on_one_side_whatever_file_they_are_in(different, seed):
    rows = pairs(120, different)
    _, held, note = divided([records(*rows[:35]), records(*rows[35:36]), records(*rows[36:])], ["source"], 30, seed)
    size = 120 // different
    assert len(held) == max(30 // size * size, size)
    assert f"{120 - different} records repeat the `source` of an earlier one, and stand on its side" in note


def test_as_many_are_held_out_as_were_asked_for_beside_a_few_repetitions(seed):
    rows = pairs(1000, 990)
    _, held, _ = divided([records(*rows)], ["source"], 100, seed)
    assert 99 <= len(held) <= 100


def test_speakers_are_counted_over_all_files_and_named(seed):
    def spoken(*counts):
        return [{"speaker": name, "audio": f"{name}{number}"} for name, count in counts for number in range(count)]

    parts = [records(*spoken(("ann", 20), ("bob", 20))), records(*spoken(("ann", 8), ("cat", 20), ("dan", 20), ("eve", 32)))]
    kept, held, note = divided(parts, ["speaker"], 40, seed, named=True)
    speakers = Counter(row["speaker"] for row in held)
    assert 28 <= len(held) <= 40
    assert note == (
        f"{len(held)} of 120 training records are held out for validation: those of {len(speakers)} of 5 different `speaker`,"
        f" {', '.join(sorted(speakers))}."
    )
    assert {row["speaker"] for row in kept} == {"ann", "bob", "cat", "dan", "eve"} - speakers.keys()


def test_a_group_is_held_out_even_when_all_are_larger_than_wanted(seed):
    rows = [{"speaker": name} for name in "aaaabbbbbcccccc"]
    _, held, _ = divided([records(*rows)], ["speaker"], 2, seed)
    assert {row["speaker"] for row in held} == {"a"}


def test_what_cannot_be_split_is_an_error():
    with pytest.raises(DataError, match=r"must be less than the number of training records \(3\), but is 3"):
        split([records(*pairs(3, 3))], ["source"], 3, 1)
    with pytest.raises(DataError, match="`source` must differ between at least two training records"):
        split([records(*pairs(3, 1)), records(*pairs(2, 1))], ["source"], 1, 1)


def test_sounds_in_memory_are_told_apart_by_their_content():
    sounds = [np.full(16000, number // 2, dtype=np.float32) for number in range(8)]
    rows = [{"audio": sound, "text": str(number)} for number, sound in enumerate(sounds)]
    found = split([records(*rows)], ["audio"], 2, 3)
    assert [part.count() for part in found.validation if part] == [2]
    assert "4 records repeat the `audio`" in found.note


def test_a_part_that_is_held_out_whole_is_no_part_to_learn_from(seed):
    rows = pairs(40, 40)
    found = split([records(row) for row in rows], ["source"], 15, seed)
    assert sum(part is not None for part in found.training) == 25
    assert [part.count() for part in found.validation if part] == [1] * 15


def test_what_is_left_of_several_parts_is_named_by_its_place(seed):
    parts = [records(*pairs(30, 30)), records(*pairs(20, 20))]
    found = split(parts, ["target"], 18, seed)
    joined = JoinedRecords([part for part in found.training if part])
    for number, record in joined():
        assert joined.place(number) == f"record {record['target']}"
    fresh = JoinedRecords(joined.parts)
    assert [fresh.place(number) for number, _ in joined()] == [f"record {record['target']}" for record in joined]


def test_what_is_held_out_twice_is_all_there() -> None:
    """A test, then records to validate on: the numbers of what is left have gaps."""
    rows = [{"source": str(number), "target": "x"} for number in range(100)]
    first = split([MemoryRecords(lambda: rows)], ("source",), 20, 1, name="test")
    second = split(list(filter(None, first.training)), ("source",), 20, 1)
    assert "20 of 80 training records are held out for validation" in second.note
    found = [
        {record["source"] for part in parts if part for record in part} for parts in (first.validation, second.training, second.validation)
    ]
    assert [len(one) for one in found] == [20, 60, 20]
    assert len(set.union(*found)) == 100
