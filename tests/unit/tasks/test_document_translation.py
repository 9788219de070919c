"""Sentences that are read with those before them: which these are, what is encoded, and what is left of an output."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Hypothesis
from antiphon.errors import ConfigError, DataError
from antiphon.prediction.documents import Part, Said
from antiphon.recipe.assembly import build_model, open_splits
from antiphon.recipe.recipe import recipe_from
from antiphon.tasks.document_context import CONTEXT
from antiphon.tasks.document_translation import DocumentTranslation, by_document
from antiphon.tasks.translation import TranslationConfig, build

ROWS = [
    {"source": "the dog", "target": "der hund", "doc": "one"},
    {"source": "it runs", "target": "er rennt", "doc": "one"},
    {"source": "it sits", "target": "er sitzt", "doc": "one"},
    {"source": "the cat", "target": "die katze", "doc": "two"},
    {"source": "it runs", "target": "sie rennt", "doc": "two"},
]


def fitted(**context: Any) -> DocumentTranslation:
    vocabulary = context.pop("vocabulary", {"vocabulary": {"kind": "word"}})
    task = build(validate(TranslationConfig, {**vocabulary, "context": {"document": "doc", **context}}))
    assert isinstance(task, DocumentTranslation)
    task.fit(ROWS)
    return task


def texts(task: DocumentTranslation, record: Any) -> tuple[list[str], list[str]]:
    example = task.encode(record)
    assert example.target is not None
    return task.pieces("source", example.source), task.pieces("target", example.target)


SEPARATE = {"source_vocabulary": {"kind": "word"}, "target_vocabulary": {"kind": "word"}}


@pytest.mark.parametrize("vocabulary", [{"vocabulary": {"kind": "word"}}, SEPARATE])
def test_a_sentence_is_read_with_those_before_it_in_its_document(vocabulary: dict[str, Any], tmp_path: Path) -> None:
    task = fitted(sentences=2, of="both", vocabulary=vocabulary)
    found = [texts(task, record) for record in task.in_order(ROWS)]
    assert found[0] == (["the", "dog", "</s>"], ["<s>", "der", "hund", "</s>"])
    assert found[2][0] == ["the", "dog", "<sep>", "it", "runs", "<sep>", "it", "sits", "</s>"]
    assert found[2][1] == ["<s>", "der", "hund", "<sep>", "er", "rennt", "<sep>", "er", "sitzt", "</s>"]
    assert found[3] == (["the", "cat", "</s>"], ["<s>", "die", "katze", "</s>"])
    many = task.encode_many(list(enumerate(task.in_order(ROWS))))
    assert [example.source.tolist() for example in many] == [task.encode(record).source.tolist() for record in task.in_order(ROWS)]
    only = fitted(sentences=1, vocabulary=vocabulary)
    assert texts(only, list(only.in_order(ROWS))[2]) == (["it", "runs", "<sep>", "it", "sits", "</s>"], ["<s>", "er", "sitzt", "</s>"])
    task.save(tmp_path)
    again = build(validate(TranslationConfig, {**vocabulary, "context": {"document": "doc", "sentences": 2, "of": "both"}}))
    again.load(tmp_path)
    assert np.array_equal(again.encode(list(again.in_order(ROWS))[2]).source, many[2].source)


@pytest.mark.parametrize("kind", ["unigram", "bpe", "character", "byte"])
def test_a_sentence_is_cut_alike_with_and_without_context(kind: str) -> None:
    size = {"size": 290} if kind in ("unigram", "bpe") else {}
    task = fitted(vocabulary={"vocabulary": {"kind": kind, **size}})
    alone, second = task.encode(ROWS[1]).source, task.encode(list(task.in_order(ROWS))[1]).source
    assert second[-len(alone) :].tolist() == alone.tolist()
    assert len(second) > len(alone)


def test_blank_lines_end_documents_and_texts_need_no_column() -> None:
    task = fitted(sentences=3)
    lines = ["the dog", "it runs", "", "the cat", " ", "it sits"]
    found = list(task.in_order(lines))
    assert [item[CONTEXT]["source"] if isinstance(item, dict) else item for item in found] == [[], ["the dog"], "", [], " ", []]
    assert [task.place(item) for item in found if isinstance(item, dict)] == [(0, 0), (0, 1), (1, 0), (2, 0)]
    assert list(task.in_order(found)) == found, "what is in order stays as it is"
    files = [{"source": "the dog", "file": "a.txt"}, {"source": "it runs", "file": "b.txt"}]
    assert [record[CONTEXT]["source"] for record in task.in_order(files)] == [[], []]


def test_the_lines_of_a_text_are_sentences() -> None:
    task = fitted(sentences=2)
    first, second = task.in_order([{"source": "the dog\nit runs\n\nit sits\n"}, {"source": "the cat"}])
    parts = task.parts(first)
    assert [part[CONTEXT]["source"] for part in parts] == [[], ["the dog"], ["the dog", "it runs"]]
    assert [task.place(part) for part in (*parts, second)] == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert second[CONTEXT]["source"] == ["it runs", "it sits"]
    with pytest.raises(DataError, match="`required` must be left out of a text of several lines"):
        task.parts({**first, "required": "x"})


def test_what_stands_before_makes_nothing_of_an_empty_sentence() -> None:
    task = fitted(of="both")
    example = task.encode({"source": "it runs", "target": "", CONTEXT: {"source": ["the dog"], "target": ["der hund"]}})
    assert example.target is not None
    assert len(example.target) == 2
    with pytest.raises(DataError, match="`context` must hold a list of texts as its `source`"):
        task.encode({"source": "it runs", CONTEXT: {"source": "the dog"}})


def test_an_output_begins_with_earlier_ones_and_is_what_follows_the_last_separator() -> None:
    task = fitted(sentences=2, of="both")
    third = list(task.in_order(ROWS))[2]
    request = task.request(task.continued(third, {0: "der hund", 1: "sie gnu"}))
    assert task.pieces("target", np.array(request.prefix)) == ["der", "hund", "<sep>", "sie", "<sep>"], "an unknown word cannot be said"
    assert request.given == len(request.prefix) == 5
    assert task.request({**third, "prefix": "er"}).prefix[-1] == task.target_text.phrase("er")[0]
    example = task.encode(third)
    assert example.target is not None
    said = example.target[1:-1]
    found = task.decode([Hypothesis(said, -3.0, -9.0, tuple(-1.0 * n for n in range(len(said) + 1)), np.eye(len(said)))], example)
    assert found.text == "er sitzt"
    assert found.hypothesis.step_scores == (-6.0, -7.0, -8.0)
    assert found.hypothesis.log_prob == -21.0
    assert found.hypothesis.score == -3.0, "a beam counts no symbol that was given"
    greedy = task.decode([Hypothesis(said, -36.0, -36.0, tuple(-1.0 * n for n in range(len(said) + 1)))], example)
    assert greedy.hypothesis.score == greedy.hypothesis.log_prob == -21.0
    assert found.hypothesis.alignment is not None
    assert found.hypothesis.alignment.shape == (2, 8)
    assert len(found.details["target_pieces"]) == 2
    assert task.restored(third) == "er sitzt"


def test_documents_are_predicted_side_by_side_and_their_sentences_one_after_another() -> None:
    """What is said of the first of two windows stands before the outputs of the second."""
    task, rounds, said = fitted(sentences=2, of="both"), [], Said(fitted(sentences=2, of="both"))

    def decode(parts: Any) -> Any:
        rounds.append([task.pieces("target", np.array(part.request.prefix, dtype=np.int64)) for part in parts])
        return [
            task.decode([Hypothesis(task.encode({**part.record, CONTEXT: None}).target[1:-1], 0.0, 0.0)], part.example) for part in parts
        ]

    records = list(task.in_order([*ROWS, {**ROWS[1], "doc": "two"}]))
    wrong = [{**record, CONTEXT: {**record[CONTEXT], "target": ["gnu"] * len(record[CONTEXT]["source"])}} for record in records]
    parts = [Part(record, task.encode(record), task.request(record)) for record in wrong]
    found = [*said.decoded(parts[:4], decode), *said.decoded(parts[4:], decode)]
    assert [one.text for one in found] == ["der hund", "er rennt", "er sitzt", "die katze", "sie rennt", "er rennt"]
    assert rounds == [
        [[], []],
        [["der", "hund", "<sep>"]],
        [["der", "hund", "<sep>", "er", "rennt", "<sep>"]],
        [["die", "katze", "<sep>"]],
        [["die", "katze", "<sep>", "sie", "rennt", "<sep>"]],
    ]


@pytest.mark.parametrize("named", [True, False])
def test_documents_are_held_out_as_wholes_with_their_contexts(named: bool) -> None:
    rows: list[dict[str, Any]] = []
    for number in range(8):
        rows += [{"source": f"a{number}", "target": f"b{n}", **({"doc": f"d{number}"} if named else {})} for n in range(3)]
        rows += [] if named else [{"source": "", "target": ""}]
    recipe = recipe_from(
        {
            "task": {"name": "translation", "context": {"sentences": 2, "document": "doc" if named else None}},
            "data": {"validation": 6},
            "model": {"name": "lstm"},
            "training": {"max_steps": 1},
        }
    )
    task = build(recipe.task)
    splits = open_splits(recipe, task, {"train": rows})
    own = {name: [record for record in split if record["source"]] for name, split in splits.items()}
    sources = {name: {record["source"] for record in records} for name, records in own.items()}
    assert not sources["train"] & sources["validation"]
    assert len(own["validation"]) == 6
    assert len(own["train"]) == 18
    for records in own.values():
        assert [len(record[CONTEXT]["source"]) for record in records] == [0, 1, 2] * (len(records) // 3)
        assert all(before == record["source"] for record in records for before in record[CONTEXT]["source"])


def test_settings_that_do_not_go_together() -> None:
    with pytest.raises(ConfigError, match="`open_words` must be 0 with `context`"):
        validate(TranslationConfig, {"open_words": 3, "vocabulary": {"kind": "word"}, "context": {}})
    told = {
        r"`data.limits.too_long` must be `drop` or `error` with `task.context`": {"data": {"limits": {"too_long": "truncate"}}},
        r"`model.wait_k` must be left out with `task.context`": {"model": {"name": "transformer", "dim": 8, "wait_k": 2}},
    }
    for message, sections in told.items():
        task = {"name": "translation", "vocabulary": {"kind": "word"}, "context": {"document": "doc"}}
        chosen = recipe_from({"task": task, "model": {"name": "lstm", "dim": 8}, "training": {"max_steps": 1}, **sections})
        with pytest.raises(ConfigError, match=message):
            build_model(chosen, fitted())


@pytest.mark.parametrize("column", ["source", "target"])
def test_a_text_that_holds_the_separator_is_refused(column: str) -> None:
    """What stands before the last separator of an output is no part of the prediction."""
    task, record = fitted(of="both"), {**ROWS[0], column: "one<sep>two"}
    for encoded in (task.encode, lambda row: task.encode_many([(0, row)])):
        with pytest.raises(DataError, match=rf"`{column}` must not hold '<sep>', which stands between sentences"):
            encoded(record)


def test_scores_by_document() -> None:
    found = by_document(["b", "b", "a"], ["one two three four", "x", "five"], [["one two three four"], ["y"], ["five"]])
    assert [(row["document"], row["sentences"]) for row in found] == [("b", 2), ("a", 1)]
    assert found[1]["chrf"] == pytest.approx(100)
    assert 0 < found[0]["chrf"] < 100
