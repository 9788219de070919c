"""ROUGE against rouge-score on English, on other scripts, and by hand."""

import logging
import random
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.contracts import registry
from antiphon.errors import MissingPackageError
from antiphon.metrics import stemming
from antiphon.metrics.scoring import evaluate
from antiphon.metrics.significance import compare, score

KINDS = {"rouge1": "rouge1", "rouge2": "rouge2", "rouge_l": "rougeL", "rouge_lsum": "rougeLsum"}

# Sentences as people write them: punctuation, numbers, hyphens, apostrophes, abbreviations, odd blanks.
ENGLISH = """This package contains the development files, including headers and static libraries.
It provides an easy-to-use interface for reading, writing and editing PDF files (version 1.7).
The library's functions are documented in the manual; see also http://www.example.org/manual.html.
GNU Octave is a high-level interpreted language, primarily intended for numerical computations.
A daemon that monitors the server's hard disks and sends an e-mail when one of them is failing!
Why would anybody want that? Because 64-bit kernels don't run 16-bit programs.
Tools for filtering, sorting and merging alignments of DNA sequences -- fast, but memory-hungry.
  Leading blanks, trailing blanks and	tabs are found in real texts, too.
The quick brown fox jumps over the lazy dog's back 1,234 times.
Users who are upgrading should read the notes_for_upgrading file before they are doing anything else.
dying skies, lying news, flies, happily generalizations oscillators relational conditional
She said: "I've never seen such a thing, not once in 25 years." He'd agreed.
The files were opened, the opener opening openings openly.""".splitlines()


def rouge_score(kind: str, prediction: str, references: list[str], *, stem: bool) -> float:
    """The F1 score of the package rouge-score, in percent."""
    logging.getLogger("absl").setLevel(logging.ERROR)
    from rouge_score.rouge_scorer import RougeScorer

    return 100 * float(RougeScorer([kind], use_stemmer=stem).score_multi(references, prediction)[kind].fmeasure)


def value(name: str, prediction: str, *references: str) -> float:
    return evaluate([name], [prediction], [list(references)], resamples=0)[0].value


def english(generator: random.Random, about: list[str]) -> str:
    """Stretches of some of these sentences, or of any, some of them shuffled, as sentences on lines of their own."""
    lines = []
    for _ in range(generator.randint(1, 4)):
        words = generator.choice(about if generator.random() < 0.8 else ENGLISH).split(" ")
        first = generator.randrange(len(words))
        stretch = words[first : first + generator.randint(1, 12)]
        if generator.random() < 0.3:
            generator.shuffle(stretch)
        lines.append(" ".join(stretch))
    return "\n".join(lines)


@pytest.mark.parametrize("stem", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_equal_to_rouge_score_on_english(name: str, stem: bool, seed: int) -> None:
    generator = random.Random(seed)
    topics = [generator.sample(ENGLISH, 2) for _ in range(200)]
    predictions = [english(generator, about) for about in topics]
    references = [[english(generator, about) for _ in range(generator.choice([1, 1, 2]))] for about in topics]
    predictions[:4], references[:4] = ["", "...", "the", "a b"], [["the file"], ["the file"], ["the"], ["", "a b a b"]]
    metric = registry.find("metrics", name + "_stem" * stem)
    ours = 100 * metric.statistics(predictions, references)[:, 0]
    theirs = [rouge_score(KINDS[name], said, known, stem=stem) for said, known in zip(predictions, references, strict=True)]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)
    assert 5 < np.mean(ours) < 95
    assert score(metric, predictions, references, resamples=0).value == pytest.approx(np.mean(theirs), abs=1e-9)


@pytest.mark.parametrize("name", KINDS)
@given(st.text("ab \n", max_size=40), st.text("ab \n", max_size=40))
def test_equal_to_rouge_score_on_whatever_is_repeated(name: str, prediction: str, reference: str) -> None:
    """Two words only: many longest common subsequences are equally long, and rouge_lsum depends on which one is taken."""
    assert value(name, prediction, reference) == pytest.approx(rouge_score(KINDS[name], prediction, [reference], stem=False), abs=1e-9)


@pytest.mark.parametrize("name", [*KINDS, *(f"{name}_stem" for name in KINDS)])
@pytest.mark.parametrize(
    ("text", "near", "other"),
    [
        ("机器翻译很难。", "机器翻译不难。", "今天下雨了"),
        ("これは日本語のテキストです。", "これは日本語の本です。", "まったく違う"),
        ("ภาษาไทยไม่มีช่องว่าง", "ภาษาไทยไม่มีวรรค", "ดฟฟฟ"),
        ("Файл не может быть открыт.", "Файл не может быть закрыт.", "совсем другой текст"),
        ("Die Größe der Datei wurde geändert", "Die Größe der Datei wurde gelöscht", "ganz andere Wörter"),
        ("फ़ाइल नहीं खुल सकी", "फ़ाइल नहीं मिल सकी", "कुछ और"),
        ("파일을 열 수 없습니다", "파일을 열 수 있습니다", "전혀 다른"),
    ],
)
def test_any_script(name: str, text: str, near: str, other: str) -> None:
    assert value(name, text, text) == 100
    assert 20 < value(name, near, text) < 100
    assert value(name, other, text) == 0


def test_by_hand() -> None:
    assert value("rouge1", "the cat sat", "the cat on the mat") == pytest.approx(100 * 2 * 2 / 8)
    assert value("rouge2", "the cat sat", "the cat on the mat") == pytest.approx(100 * 2 * 1 / 6)
    assert value("rouge_l", "mat the cat sat", "the cat on the mat") == pytest.approx(100 * 2 * 2 / 9)
    # Lin (2004), section 3.2: the union of w1 w2 and w1 w3 w5 is four words of the reference's five.
    assert value("rouge_lsum", "w1 w3 w8 w9 w5\nw1 w2 w6 w7 w8", "w1 w2 w3 w4 w5") == pytest.approx(100 * 2 * 4 / 15)
    assert value("rouge_l", "w1 w3 w8 w9 w5\nw1 w2 w6 w7 w8", "w1 w2 w3 w4 w5") == pytest.approx(100 * 2 * 3 / 15)


def test_a_set_has_the_mean_of_its_items_and_the_best_reference_counts() -> None:
    assert evaluate(["rouge1"], ["a b", "c"], [["a b"], ["d", "c e"]], resamples=0)[0].value == pytest.approx((100 + 200 / 3) / 2)


def test_stemming_strips_english_endings_only() -> None:
    assert value("rouge1", "filing files", "filed file") == 0
    assert value("rouge1_stem", "filing files", "filed file") == 100
    assert value("rouge1_stem", "größen", "größens") == 0, "rules for English are not for German"
    assert value("rouge1_stem", "used", "use") == 100
    assert value("rouge1_stem", "ads", "ad") == 0, "short words stay as they are, as in rouge-score"


def test_without_the_extra_stemming(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nltk.stem.porter", None)
    stemming._porter.cache_clear()
    try:
        assert registry.find("metrics", "rouge_l_stem").summary, "it can be listed"
        with pytest.raises(MissingPackageError, match=r"'\.\[stemming\]'"):
            evaluate(["rouge_l_stem"], ["a"], [["a"]])
        assert value("rouge_l", "a", "a") == 100
    finally:
        stemming._porter.cache_clear()


def test_signatures_say_how() -> None:
    plain, stemmed = (registry.find("metrics", name).signature for name in ("rouge_l", "rouge_l_stem"))
    assert plain.startswith("score:f1|avg:items|case:lc|tok:words-any-script.1|stem:none|ref:best|version:")
    assert stemmed == plain.replace("stem:none", "stem:porter-nltk")


def systems(seed: int, quality_a: float, quality_b: float) -> tuple[list[str], list[str], list[list[str]]]:
    """Two systems that get words right with these probabilities."""
    generator = random.Random(seed)
    words = sorted({word for line in ENGLISH for word in line.split()})
    references = [generator.sample(words, 8) for _ in range(60)]

    def say(quality: float) -> list[str]:
        return [" ".join(word if generator.random() < quality else generator.choice(words) for word in known) for known in references]

    return say(quality_a), say(quality_b), [[" ".join(known)] for known in references]


def test_intervals_and_paired_tests(seed: int) -> None:
    good, bad, references = systems(seed, 0.9, 0.5)
    metric = registry.find("metrics", "rouge_l")
    found = compare(metric, bad, good, references, resamples=300, trials=300)
    assert found.better() == "b"
    assert found.low > 0
    assert found.difference == pytest.approx(found.b.value - found.a.value)
    assert found.b.low is not None
    assert found.b.high is not None
    assert found.b.low < found.b.value < found.b.high
    # The bootstrap of a mean is known: 1.96 standard errors on either side.
    items = 100 * metric.statistics(good, references)[:, 0]
    assert (found.b.high - found.b.low) / 2 == pytest.approx(1.96 * items.std() / len(items) ** 0.5, rel=0.35)


def test_long_texts_are_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts of thousands of words: what is counted is the splits, of which each text needs one, however many pairs it is in."""
    generator = random.Random(7)
    texts = [" ".join(generator.choice("abcdefgh") * generator.randint(1, 3) for _ in range(2000)) for _ in range(6)]
    metric = registry.find("metrics", "rouge_l")
    calls: list[str] = []

    def split(text: str) -> Any:
        calls.append(text)
        return text.split()

    monkeypatch.setattr(metric, "_split", split)
    pairs = [(one, [two]) for one in texts for two in texts]
    found = metric.statistics([one for one, _ in pairs], [two for _, two in pairs])
    assert len(calls) == len(texts)
    assert (found[:: len(texts) + 1, 0] == 1).all()
