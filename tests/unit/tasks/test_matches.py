"""What was translated before of a similar source is read behind a source, and never the record's own translation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.contracts.abilities import ReadsMatches
from antiphon.contracts.configuration import validate
from antiphon.data.records import MemoryRecords
from antiphon.errors import ConfigError, DataError
from antiphon.tasks.translation import Translation, TranslationConfig, build

PAIRS = [
    ("open the old file", "öffne die alte Datei"),
    ("open the new file", "öffne die neue Datei"),
    ("open the new file", "öffne die neue Datei bitte"),
    ("close a window", "schließe ein Fenster"),
]
LEARNED = [{"source": source, "target": target} for source, target in PAIRS]


def task(**matches: Any) -> Translation:
    made = build(validate(TranslationConfig, {"vocabulary": {"kind": "word"}, "matches": matches}))
    assert isinstance(made, Translation)
    made.fit(LEARNED)
    return made


def records(rows: Sequence[dict[str, Any]]) -> MemoryRecords:
    return MemoryRecords(lambda: rows)


def matched(made: Translation, name: str, held: Sequence[dict[str, Any]] = ()) -> list[Any]:
    parts = {"train": [records(LEARNED[:2]), records(LEARNED[2:])], "validation": [records(held)]}
    return [record for part in made.matched(parts)[name] for record in part]


def test_a_record_that_is_learned_from_is_never_its_own_match() -> None:
    found = [record["match"] for record in matched(task(), "train")]
    assert found == ["öffne die neue Datei", "öffne die alte Datei", "öffne die alte Datei", ""], "nor is one with the same source"


def test_what_is_held_out_is_no_match_of_anything() -> None:
    held = [{"source": "open the old window", "target": "secret"}, {"source": "open the old door", "target": "secret too"}]
    for name in ("train", "validation"):
        assert not any("secret" in record["match"] for record in matched(task(), name, held))
    assert [record["match"] for record in matched(task(), "validation", held)] == ["öffne die alte Datei"] * 2


def test_the_match_stands_behind_the_source() -> None:
    made = task()
    record = {"source": "open the red file", "target": "öffne die rote Datei", "match": "öffne die alte Datei"}
    plain, whole = made.encode({**record, "match": None}), made.encode(record)
    assert made.pieces("source", whole.source) == ["open", "the", "<unk>", "file", "<match>", "öffne", "die", "alte", "Datei", "</s>"]
    assert plain.target is not None
    assert whole.target is not None
    np.testing.assert_array_equal(plain.target, whole.target)
    for other in ({**record, "match": " "}, {"source": record["source"], "target": record["target"]}):
        np.testing.assert_array_equal(plain.source, made.encode(other).source)
    for one, two in zip(made.encode_many([(0, record), (1, LEARNED[0])]), (whole, made.encode(LEARNED[0])), strict=True):
        np.testing.assert_array_equal(one.source, two.source)
    read, said = made.word_places(record)
    assert (read.tolist(), said.tolist()) == ([0, 1, 2, 3, -1, -1, -1, -1, -1, -1], [0, 1, 2, 3])


def test_matches_are_found_in_what_is_remembered(tmp_path: Path) -> None:
    made = task()
    assert isinstance(made, ReadsMatches)
    assert made.lacks_memory
    assert list(made.in_order(["open the file"])) == ["open the file"]
    made.remember(LEARNED)
    own = {"source": "open the file", "match": "mine"}
    assert list(made.in_order(["open the old file", own, {"source": "nothing here"}, {"source": 7}])) == [
        {"source": "open the old file", "match": "öffne die alte Datei"},
        own,
        {"source": "nothing here", "match": ""},
        {"source": 7},
    ]
    assert made.remarks([own, {"source": "x", "match": ""}]) == ("1 of 2 records were read with a match.",)


def test_each_line_of_a_text_has_a_match_of_its_own() -> None:
    made = task()
    made.remember(LEARNED)
    (record,) = made.in_order(["nothing here\n\nclose the window\n"])
    assert [part.get("match") for part in made.parts(record)] == ["", "schließe ein Fenster"]
    with pytest.raises(DataError, match="a line for each of the 2 lines of its source, but has 3"):
        made.parts({"source": "a\nb", "match": "c\nd\ne"})


def test_pairs_are_stored_where_that_is_asked_for(tmp_path: Path) -> None:
    for name, stored in (("without", False), ("with", True)):
        (tmp_path / name).mkdir()
        made = task(stored=stored)
        made.save(tmp_path / name)
        again = build(made.settings)  # type: ignore[arg-type]
        assert isinstance(again, Translation)
        again.load(tmp_path / name)
        assert again.lacks_memory is not stored
        assert [record != "open the file" for record in again.in_order(["open the file"])] == [stored]


def test_other_pairs_to_learn_from_are_other_data() -> None:
    made = task()
    parts = {"train": [records(LEARNED)], "test": [records(LEARNED[:1])]}
    fewer = {"train": [records(LEARNED[1:])], "test": [records(LEARNED[:1])]}
    assert made.matched(parts)["test"][0].signature() != made.matched(fewer)["test"][0].signature()
    assert made.matched(parts)["test"][0].signature() == made.matched(parts)["test"][0].signature()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"context": {}}, "`context` must be left out with `matches`"),
        ({"open_words": 3}, "`open_words` must be left out with `matches`"),
        ({"source_vocabulary": {"kind": "word"}, "target_vocabulary": {"kind": "word"}}, "one learned `vocabulary` for both sides"),
        ({"matches": {"least": 0}}, "least"),
    ],
)
def test_settings_that_contradict(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        validate(TranslationConfig, {"matches": {}, **settings})


def test_what_no_match_may_be() -> None:
    made = task()
    for record, problem in (
        ({"source": "open", "match": 7}, "`match` must be a text, the match of a record, but is 7"),
        ({"source": "open", "match": "a <match> b"}, "`match` must not hold '<match>'"),
        ({"source": "a <match> b"}, "`source` must not hold '<match>'"),
    ):
        with pytest.raises(DataError, match=problem):
            made.encode(record)
