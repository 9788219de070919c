"""Pairs of texts: what becomes of both sides, of tags, and of records that cannot be used."""

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.contracts.configuration import validate
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
