"""Alignments of words become links of symbols, in whatever pieces the texts are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.contracts.configuration import validate
from antiphon.contracts.limits import Limits
from antiphon.data.collate import collate
from antiphon.data.records import open_records
from antiphon.errors import DataError
from antiphon.tasks.text_links import symbol_links, word_links
from antiphon.tasks.translation import TranslationConfig, plugin

ROWS = [
    {"source": "the small house", "target": "das kleine Haus", "links": "0-0 1-1 2-2", "kind": "x"},
    {"source": "a house", "target": "Haus", "links": "1-0", "kind": "y"},
    {"source": "the", "target": "das Haus", "links": "", "kind": "x"},
] * 20


def fitted(**settings: Any) -> Any:
    task = plugin.build(validate(TranslationConfig, {"alignment": "links", **settings}))
    task.fit(open_records(ROWS))
    return task


def words_linked(task: Any, example: Any, record: dict[str, Any]) -> set[tuple[str, str]]:
    """The pieces that are linked."""
    source, target = task.pieces("source", example.source), task.pieces("target", example.target[1:])
    return {(source[one], target[other]) for one, other in example.links.tolist()}


@pytest.mark.parametrize(
    "settings",
    [
        {"vocabulary": {"kind": "word"}},
        {"vocabulary": {"kind": "word"}, "tags": ["kind"], "source_prefix": "now: "},
        {"vocabulary": {"kind": "word", "min_frequency": 30}, "open_words": 3},
        {"vocabulary": {"kind": "word", "min_frequency": 60}},
    ],
)
def test_words_link_as_the_column_says(settings: dict[str, Any]) -> None:
    task = fitted(**settings)
    example = task.encode(ROWS[0])
    shift = len(example.source) - 4
    assert example.links.tolist() == [[shift, 0], [shift + 1, 1], [shift + 2, 2]]
    assert task.encode_many([(0, ROWS[0])])[0].links.tolist() == example.links.tolist()
    assert task.encode(ROWS[2]).links.shape == (0, 2), "aligned with nothing"
    assert task.encode({"source": "the house", "kind": "x"}).links is None, "to be predicted"


@pytest.mark.parametrize("kind", ["character", "unigram", "bpe"])
def test_all_symbols_of_linked_words_are_linked(kind: str) -> None:
    task = fitted(vocabulary={"kind": kind, **({} if kind == "character" else {"size": 300, "sampling": 0.3})})
    drawn = [task.encode(ROWS[1], seed=seed) for seed in range(5)]
    for example in (task.encode(ROWS[1]), *drawn):
        source, target = task.pieces("source", example.source), task.pieces("target", example.target[1:])
        linked = {place for place, _ in example.links.tolist()}
        assert "".join(piece for place, piece in enumerate(source) if place in linked).strip("\u2581 ") == "house"
        assert {step for _, step in example.links.tolist()} == set(range(len(target) - 1)), "all but the end"
        assert len(example.links) == len(linked) * (len(target) - 1)
    if kind != "character":
        assert len({tuple(example.source.tolist()) for example in drawn}) > 1, "other pieces were drawn"


@pytest.mark.parametrize(
    ("links", "reason"),
    [
        ("0-0 1:1", "has '1:1'"),
        (None, "is missing"),
        (3, "is 3"),
        ("0-0 5-1", "names word 5 of the source, which has 3, counted from 0"),
        ("0-3", "names word 3 of the target, which has 3, counted from 0"),
    ],
)
def test_what_is_no_alignment_is_named(links: Any, reason: str, tmp_path: Path) -> None:
    task = fitted(vocabulary={"kind": "word"})
    rows = [ROWS[0], {**ROWS[0], "links": links}]
    with pytest.raises(DataError, match=f"record 1: `links` must .*{reason}"):
        task.build_corpus(open_records(rows), tmp_path / "corpus", limits=Limits(), keep_records=False)


def test_links_are_stored_cut_and_batched(tmp_path: Path) -> None:
    task = fitted(vocabulary={"kind": "word"})
    limits = Limits(max_source_length=3, max_target_length=3, too_long="truncate")
    corpus = task.build_corpus(open_records(ROWS[:3]), tmp_path / "corpus", limits=limits, keep_records=False)
    found = [corpus.example(row) for row in range(3)]
    assert [example.links.tolist() for example in found] == [[[0, 0], [1, 1]], [[1, 0]], []]
    batch = collate(found, task.source_spec, task.target_spec)
    assert batch.links is not None
    assert batch.links.lengths.tolist() == [2, 1, 0]


def test_context_moves_links() -> None:
    task = fitted(vocabulary={"kind": "word"}, context={"of": "both"})
    first, second = list(task.in_order([ROWS[1], ROWS[0]]))
    plain = task.encode(first)
    moved = task.encode(second)
    assert plain.links.tolist() == [[1, 0]]
    assert words_linked(task, moved, second) == {("the", "das"), ("small", "kleine"), ("house", "Haus")}
    assert moved.links.min(axis=0).tolist() == [3, 2], "behind two words, one word, and the separators"


def test_links_by_hand() -> None:
    links = word_links("0-0 1-2 1-1", "links", "a b", "c d e")
    assert links.tolist() == [[0, 0], [1, 2], [1, 1]]
    found = symbol_links(links, np.array([0, 0, 1, -1]), np.array([0, 1, 2]))
    assert found.tolist() == [[0, 0], [1, 0], [2, 1], [2, 2]]
    assert symbol_links(links[:0], np.array([-1]), np.array([], dtype=np.int64)).shape == (0, 2)
