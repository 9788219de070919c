"""What a summary must beat, and the best that sentences of the source can do."""

import random
from collections import Counter
from itertools import combinations

import pytest

from antiphon.features.sentences import sentences
from antiphon.metrics.rouge1 import plugin as rouge1
from antiphon.metrics.rouge2 import plugin as rouge2
from antiphon.metrics.scoring import evaluate
from antiphon.metrics.words import words
from antiphon.tasks.summarization.baselines import extractive_oracle, first_sentence, lead_words, median_length, summary_baselines

SOURCE = "Reads files. Written by Dr. Smith in C. It draws maps of the world. It prints maps, too!"


def test_lead_and_first_sentence() -> None:
    assert lead_words(SOURCE, 4) == "Reads files. Written by"
    assert lead_words("机器翻译，很难。", 5) == "机器翻译，很"
    assert lead_words("short", 8) == "short"
    assert first_sentence(SOURCE) == "Reads files."
    assert first_sentence("--- !\n* * *\nThe title") == "The title"
    assert first_sentence("机器翻译很难。真的。") == "机器翻译很难。"
    assert (first_sentence(""), lead_words("", 8), extractive_oracle("", ["a"])) == ("", "", "")


def test_the_oracle_takes_what_the_reference_says_in_the_order_of_the_source() -> None:
    assert extractive_oracle(SOURCE, ["prints maps and draws maps of the world"]) == "It draws maps of the world. It prints maps, too!"
    assert extractive_oracle(SOURCE, ["Reads files"]) == "Reads files."
    assert extractive_oracle(SOURCE, ["something else entirely"]) == ""
    assert extractive_oracle(SOURCE, ["something else entirely", "it prints maps too"]) == "It prints maps, too!"
    assert extractive_oracle("一二三。四五六。七八九。", ["四五六"]) == "四五六。"


def rouge(prediction: str, reference: str) -> float:
    return sum(float(metric.statistics([prediction], [[reference]])[0, 0]) for metric in (rouge1, rouge2))


def test_the_oracle_is_hardly_worse_than_the_best_choice_of_all(seed: int) -> None:
    """Greedy choice is no proof of the best, but it comes near the best of all subsets, and beats the best single sentence on average."""
    generator = random.Random(seed)
    said = [first + second for first in "bdgk" for second in ("ara", "eme", "ulo")]
    greedy, single, best = 0.0, 0.0, 0.0
    for _ in range(15):
        table = [" ".join(generator.choices(said, k=generator.randint(2, 6))).capitalize() + "." for _ in range(4)]
        reference = " ".join(generator.choices(said, k=8))
        values = {size: [rouge(" ".join(some), reference) for some in combinations(table, size)] for size in range(1, 5)}
        greedy += rouge(extractive_oracle(" ".join(table), [reference]), reference)
        single += max(values[1])
        best += max(map(max, values.values()))
    # Pairs of words across sentences count in the metric, and not in the choice: hence a little room.
    assert 0.85 * best < greedy <= best
    assert greedy > single


def grams(text: str, order: int) -> Counter[tuple[str, ...]]:
    found = words(text)
    return Counter(zip(*(found[first:] for first in range(order)), strict=False))


def greedy(source: str, references: list[str]) -> str:
    """The oracle as it is defined: all counts anew for every sentence and every step."""
    found, chosen, best = sentences(source), list[int](), 0.0

    def score(numbers: list[int]) -> float:
        values = []
        for reference in references:
            values.append(0.0)
            for order in (1, 2):
                known = grams(reference, order)
                said = sum((grams(found[number], order) for number in numbers), Counter[tuple[str, ...]]())
                shared = (said & known).total()
                values[-1] += 2 * shared / (said.total() + known.total()) if shared else 0.0
        return max(values)

    while left := [number for number in range(len(found)) if number not in chosen]:
        scores = [score([*chosen, number]) for number in left]
        if max(scores) <= best:
            break
        best = max(scores)
        chosen.append(left[scores.index(best)])
    return " ".join(found[number] for number in sorted(chosen))


def test_the_oracle_is_the_greedy_choice(seed: int) -> None:
    generator = random.Random(seed)
    for _ in range(30):
        vocabulary = [f"w{number}" for number in range(generator.randint(2, 20))]
        table = [
            " ".join(generator.choices(vocabulary, k=generator.randint(1, 7))).capitalize() + "." for _ in range(generator.randint(0, 7))
        ]
        references = [" ".join(generator.choices([*vocabulary, "new"], k=generator.randint(0, 12))) for _ in range(generator.randint(1, 3))]
        assert extractive_oracle(" ".join(table), references) == greedy(" ".join(table), references)


@pytest.mark.timeout(60)
def test_the_oracle_of_a_book_takes_seconds() -> None:
    """Copying the counts for every sentence and step took more than three minutes."""
    generator = random.Random(3)
    vocabulary, weights = [f"w{number}" for number in range(3000)], [1 / (number + 1) for number in range(3000)]
    book = [" ".join(generator.choices(vocabulary, weights, k=generator.randint(4, 25))).capitalize() + "." for _ in range(2000)]
    assert extractive_oracle(" ".join(book), [" ".join(generator.choices(" ".join(book).split(), k=600))])


def test_those_that_are_asked_for_are_there() -> None:
    assert summary_baselines([SOURCE], [["maps"]], ()) == {}
    assert list(summary_baselines([SOURCE], [["maps"]], ("first_sentence", "lead"))) == ["first_sentence", "lead_1_word"]


def test_all_of_them_by_name() -> None:
    sources, references = [SOURCE, "One. Two three."], [["draws maps of the world", "draws maps"], ["two three"]]
    found = summary_baselines(sources, references)
    assert {name: len(said) for name, said in found.items()} == {"lead_2_words": 2, "first_sentence": 2, "extractive_oracle": 2}
    assert found["extractive_oracle"] == ["It draws maps of the world.", "Two three."]
    assert next(iter(summary_baselines(sources, references, lead=8))) == "lead_8_words"
    assert found["lead_2_words"] == ["Reads files", "One. Two"]


def test_the_median_counts_every_reference() -> None:
    assert median_length([["a b c"], ["a", "a b c d"]]) == 3
    assert median_length([["机器翻译"], ["一二三四"]]) == 4
    assert (median_length([]), median_length([[""]])) == (1, 1)


@pytest.mark.parametrize("name", ["rouge1", "rouge2", "rouge_l"])
def test_the_oracle_is_above_the_baselines(name: str) -> None:
    """On texts whose references were made from their sentences."""
    generator = random.Random(11)
    said = [first + second for first in "bdfgklmnprst" for second in ("a", "en", "ior", "u")]
    sources, references = [], []
    for _ in range(40):
        table = [[generator.choice(said) for _ in range(generator.randint(4, 9))] for _ in range(6)]
        sources.append(" ".join(" ".join(sentence).capitalize() + "." for sentence in table))
        references.append([" ".join(word for word in generator.choice(table) if generator.random() < 0.8) or "ba"])
    found = summary_baselines(sources, references)
    values = {baseline: evaluate([name], said, references, resamples=0)[0].value for baseline, said in found.items()}
    assert values["extractive_oracle"] > 1.5 * max(value for baseline, value in values.items() if baseline != "extractive_oracle")
