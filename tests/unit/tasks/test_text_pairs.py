"""Pairs of texts: what becomes of both sides, of tags, and of records that cannot be used."""

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.contracts.asking import restored
from antiphon.contracts.configuration import validate
from antiphon.contracts.limits import Limits
from antiphon.data.records import MemoryRecords, open_records
from antiphon.errors import DataError
from antiphon.tasks.denoising import Denoising, DenoisingConfig
from antiphon.tasks.forecasting.config import ForecastingConfig
from antiphon.tasks.forecasting.task import Forecasting
from antiphon.tasks.language_modeling import LanguageModeling, LanguageModelingConfig
from antiphon.tasks.summarization.config import SummarizationConfig
from antiphon.tasks.summarization.task import Summarization
from antiphon.tasks.translation import Translation, TranslationConfig

CHINESE = ["你好，世界！（１０％）", "他说：“不！”", "价格是３０元；请付款。", "温度２５℃，很热！"]


def fitted(records: list[dict[str, Any]], **settings: Any) -> Translation:  # tests may: these are the settings of a recipe
    task = Translation(validate(TranslationConfig, settings))
    task.fit(records)
    return task


def written(task: Translation, record: dict[str, Any]) -> str:
    """What a perfect model says: the target's own symbols as text."""
    target = task.encode(record).target
    assert target is not None
    return task.target_text.decode(target)


@pytest.mark.parametrize(
    "settings",
    [
        {"vocabulary": {"kind": "unigram", "size": 400}},
        {"vocabulary": {"kind": "bpe", "size": 400}},
        {"source_vocabulary": {"kind": "bpe", "size": 400}, "target_vocabulary": {"kind": "unigram", "size": 400}},
        {"vocabulary": {"kind": "character"}},
    ],
)
def test_a_perfect_model_says_the_references(settings: dict[str, Any], tmp_path: Path) -> None:
    """Also where a vocabulary that both sides share writes sources in one way only."""
    records = [{"source": text, "target": text} for text in CHINESE * 10]
    task = fitted(records, **settings)
    task.save(tmp_path)
    loaded = Translation(validate(TranslationConfig, settings))
    loaded.load(tmp_path)
    for record in records[: len(CHINESE)]:
        assert written(task, record) == task.reference(record) == written(loaded, record)
        assert np.array_equal(loaded.encode(record).source, task.encode(record).source)
        unified = {"source": unicodedata.normalize("NFKC", record["source"])}
        assert np.array_equal(task.encode(unified).source, task.encode(record).source) == (
            settings != {"vocabulary": {"kind": "character"}}
        )
    assert loaded.source_spec == task.source_spec
    assert (task.source_spec == task.target_spec) == ("vocabulary" in settings)


@pytest.mark.parametrize(
    ("values", "symbols"),
    [
        (["de", "pt_BR"], ["<de>", "<pt_BR>"]),
        (["s", "b"], ["<%73>", "<b>"]),
        (["s", "%73"], ["<%73>", "<%2573>"]),
        (["New York", "New_York"], ["<New%20York>", "<New_York>"]),
        (["New York", "New  York"], ["<New%20York>", "<New%20%20York>"]),
        (["pad", "0x41"], ["<%70ad>", "<%30x41>"]),
        (["a\u2581b", ""], ["<a%2581b>", "<>"]),
    ],
)
@pytest.mark.parametrize("kind", ["unigram", "word", "byte"])
def test_values_of_tags_that_differ_are_tags_that_differ(kind: str, values: list[str], symbols: list[str], tmp_path: Path) -> None:
    records = [{"source": "the cat", "target": "die Katze", "tag": value} for value in values * 20]
    settings = {"vocabulary": {"kind": kind}, "tags": ["tag"]}
    task = fitted(records, **settings)
    assert task.tag_symbols == dict(zip(values, symbols, strict=True))
    for record, symbol in zip(records, symbols, strict=False):
        assert task.pieces("source", task.encode(record).source).count(symbol) == 1
    task.save(tmp_path)
    loaded = Translation(validate(TranslationConfig, settings))
    loaded.load(tmp_path)
    assert all(np.array_equal(loaded.encode(record).source, task.encode(record).source) for record in records[:2])


def test_values_of_tags_keep_clear_of_classes_of_length() -> None:
    record = {"document": "a b", "summary": "a", "tag": "length_1"}
    task = Summarization(validate(SummarizationConfig, {"tags": ["tag"], "length_classes": 2, "vocabulary": {"kind": "word"}}))
    task.fit([record, {**record, "summary": "a b"}])
    assert task.pieces("source", task.encode(record).source)[:2] == ["<length_1>", "<%6Cength_1>"]


@pytest.mark.parametrize(
    ("settings", "blank"),
    [
        ({"tags": ["tag"]}, "  "),
        ({"source_prefix": "translate: ", "target_prefix": "answer: "}, "  "),
        ({"tags": ["tag"], "target_prefix": "> ", "vocabulary": {"kind": "word"}, "open_words": 3}, "  "),
        ({"tags": ["tag"], "target_prefix": "> ", "vocabulary": {"kind": "character"}}, ""),
    ],
)
def test_empty_sides_behind_a_tag_or_a_prefix_are_seen(settings: dict[str, Any], blank: str, tmp_path: Path) -> None:
    records = [{"source": "the cat", "target": "die Katze", "tag": "a"} for _ in range(20)]
    task = fitted(records, **settings)
    odd = [{**records[0], "source": blank}, {**records[0], "target": blank}]
    corpus = task.build_corpus(MemoryRecords(lambda: [records[0], *odd]), tmp_path / "corpus", limits=Limits(), keep_records=False)
    assert corpus.tally["dropped"] == {"empty source": 1, "empty target": 1}
    for many in (task.encode_many(list(enumerate(odd))), [task.encode(record) for record in odd]):
        assert many[0].source.tolist() == [task.source_spec.end]
        assert many[1].target is not None
        assert many[1].target.tolist() == [task.target_spec.start, task.target_spec.end]
    assert len(task.encode(records[0]).source) > 3


def test_marks_alone_say_something() -> None:
    record = {"source": "?!", "target": "...", "tag": "a"}
    task = fitted([record] * 10, tags=["tag"])
    assert len(task.encode(record).source) > 2
    assert written(task, record) == "..."


NULL = r"pairs.jsonl:2: `target` must be a text, but is null"


def files(folder: Path) -> list[Path]:
    """Two files; the second line of the second has no target."""
    (folder / "first.jsonl").write_text('{"source": "a", "target": "b", "text": "c"}\n' * 3)
    (folder / "pairs.jsonl").write_text('{"source": "a", "target": "b", "text": "c"}\n{"source": "a", "target": null, "text": null}\n')
    return [folder / "first.jsonl", folder / "pairs.jsonl"]


@pytest.mark.parametrize(
    "settings",
    [
        {"vocabulary": {"kind": "word"}},
        {"vocabulary": {"kind": "byte"}},
        {"source_vocabulary": {"kind": "byte"}, "target_vocabulary": {"kind": "word"}},
        {"vocabulary": {"kind": "word"}, "open_words": 3},
    ],
)
def test_a_null_target_names_file_and_row(settings: dict[str, Any], tmp_path: Path) -> None:
    first, pairs = files(tmp_path)
    whole = open_records([first, pairs], required=("source", "target"))
    task = Translation(validate(TranslationConfig, settings))
    if settings["vocabulary" if "vocabulary" in settings else "target_vocabulary"]["kind"] == "word":
        with pytest.raises(DataError, match=NULL):
            task.fit(whole)
    task.fit(open_records(first))
    with pytest.raises(DataError, match=NULL):
        task.build_corpus(whole, tmp_path / "corpus", limits=Limits(), keep_records=False)
    task.build_corpus(open_records(first), tmp_path / "corpus", limits=Limits(), keep_records=False)
    assert task.encode({"source": "a"}).target is None


def test_a_null_text_names_file_and_row(tmp_path: Path) -> None:
    first, pairs = files(tmp_path)
    for task in (
        LanguageModeling(validate(LanguageModelingConfig, {"vocabulary": {"kind": "word"}})),
        Denoising(validate(DenoisingConfig, {"vocabulary": {"kind": "word"}})),
    ):
        with pytest.raises(DataError, match=r"pairs.jsonl:2: `text` must be a text, but is null"):
            task.fit(open_records([first, pairs]))
        task.fit(open_records(first))
        with pytest.raises(DataError, match=r"pairs.jsonl:2: `text` must be a text, but is null"):
            task.build_corpus(open_records([first, pairs]), tmp_path / task.name, limits=Limits(), keep_records=False)


def test_classes_of_length_name_file_and_row_of_a_null_summary(tmp_path: Path) -> None:
    settings = {"source": "source", "target": "target", "length_classes": 2}
    with pytest.raises(DataError, match=NULL):
        Summarization(validate(SummarizationConfig, settings)).fit(open_records(files(tmp_path)[1]))


def test_what_a_perfect_model_says_of_a_target() -> None:
    """Words that can be copied come back; others that the vocabulary lacks do not, nor what comes before a target."""
    records = [{"source": "see zork", "target": "the zork"}, {"source": "see", "target": "the blip"}]
    vocabulary = {"vocabulary": {"kind": "word", "size": 6}}  # the, see
    task = fitted([*records, {"source": "see", "target": "the"}], **vocabulary, open_words=5, target_prefix="the ")
    assert [restored(task, record) for record in records] == ["the zork", "the ⁇"]
    assert [restored(fitted(records * 3, **vocabulary), record) for record in records] == ["the ⁇", "the ⁇"]
    language = LanguageModeling(validate(LanguageModelingConfig, {"vocabulary": {"kind": "word"}}))
    language.fit([{"text": "a b"}])
    assert restored(language, {"text": "a  b c"}) == "a b ⁇"
    assert restored(Forecasting(ForecastingConfig(horizon=2)), {}) is None
