"""Fifty inputs that are wrong in the same way are a sentence and a count."""

from pathlib import Path

from antiphon.cli.refusals import Refusals
from tests.cli.conftest import Command


def told(reasons: list[str]) -> list[str]:
    said: list[str] = []
    refusals = Refusals(said.append)
    for number, reason in enumerate(reasons, 1):
        refusals.add(number, f"input {number}", reason)
    refusals.tell_others()
    refusals.tell_others()
    return said


def test_few_are_named_one_by_one() -> None:
    assert told(["empty", "empty", "empty", "odd"]) == [
        "antiphon: input 1: empty",
        "antiphon: input 2: empty",
        "antiphon: input 3: empty",
        "antiphon: input 4: odd",
    ]


def test_many_are_counted_by_kind_in_the_end() -> None:
    assert told(["empty"] * 4 + ["odd"] + ["empty"] * 45)[3:] == ["antiphon: input 5: odd", "antiphon: 46 more inputs (4, 6-50): empty"]


def test_lengths_and_names_do_not_make_kinds() -> None:
    said = told([f"`{name}` has 5,{number:03} elements" for number, name in enumerate("abcdef")])
    assert said[3:] == ["antiphon: 3 more inputs (4-6): such as `d` has 5,003 elements"]


def test_scattered_numbers_are_listed_up_to_twenty_ranges() -> None:
    (others,) = told(["empty", "odd"] * 50)[6:8][:1]
    assert others.startswith("antiphon: 47 more inputs (7, 9, 11, ")
    assert others.endswith(", 45, ...): empty")


def test_predict_and_score_tell_fifty_in_four_sentences(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "words.tsv").write_text("en\tno\n" + "\ta\n" * 50 + "abc1\tb\n", encoding="utf-8")
    result = antiphon("predict", trained, "--input", "words.tsv", "--output", "out.txt")
    assert result.err.splitlines() == [
        *(f"antiphon: input {number} (words.tsv:{number + 1}): the source is empty." for number in (1, 2, 3)),
        "antiphon: 47 more inputs (4-50): the source is empty.",
        "antiphon: 50 inputs could not be used; their predictions are empty.",
    ]
    assert len((tmp_path / "out.txt").read_text(encoding="utf-8").splitlines()) == 51
    result = antiphon("predict", trained, "--input", "words.tsv", "--output", "blocks/", "--block-records", "10", "--quiet")
    assert len(result.err.splitlines()) == 5, "alike in all blocks"
    assert "antiphon: 47 more inputs (4-50): the source is empty." in result.err
    result = antiphon("score", trained, "--data", "words.tsv", "--output", "scores.tsv")
    assert result.err.splitlines()[3:] == [
        "antiphon: 47 more items (4-50): the source is empty.",
        "antiphon: 50 records could not be used, and have no score.",
    ]
