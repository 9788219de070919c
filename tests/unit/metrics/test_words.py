"""Words of any script, the beginnings of texts, and longest common subsequences."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.metrics.subsequence import common_length, common_places
from antiphon.metrics.words import leading, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't PANIC: 1,234 (e-mails)_x", ["don", "t", "panic", "1", "234", "e", "mails", "x"]),
        ("", []),
        ("... -- !?", []),
        ("Größe, naïve Café", ["größe", "naïve", "café"]),
        ("Привет, Мир", ["привет", "мир"]),
        ("日本語、Python3で。", ["日", "本", "語", "python3", "で"]),
        ("一Ａ二", ["一", "ａ", "二"]),
        ("น้ำ ไป", ["น้", "ำ", "ไ", "ป"]),
        ("हिन्दी भाषा।", ["हिन्दी", "भाषा"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("co\u00adoperate می\u200cخواهم", ["cooperate", "میخواهم"]),
        ("❤️ ok 👍🏽", ["ok"]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected
    assert words(unicodedata.normalize("NFD", text)) == expected


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_words_are_those_of_rouge_score(text: str) -> None:
    assert words(text) == [word for word in re.split(r"\s+", re.sub("[^a-z0-9]+", " ", text.lower())) if word]
    assert words(text + " é") == [*words(text), "é"], "a letter of another script changes nothing before it"


@given(st.text("aB é\u0301-日ก้।.\n"), st.integers(0, 6))
def test_a_lead_has_so_many_words(text: str, count: int) -> None:
    lead = leading(text, count)
    assert words(lead) == words(text)[:count]
    assert lead in text


def test_a_lead_is_written_as_the_text() -> None:
    assert leading("  The File, which (as said) was open.", 3) == "The File, which"
    assert leading("「日本語」のテキスト", 4) == "「日本語」の"
    assert leading("one", 5) == "one"


def table(first: list[str], second: list[str]) -> int:
    lengths = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, one in enumerate(first):
        for j, two in enumerate(second):
            lengths[i + 1][j + 1] = lengths[i][j] + 1 if one == two else max(lengths[i][j + 1], lengths[i + 1][j])
    return lengths[-1][-1]


@given(st.lists(st.sampled_from("abcd"), max_size=100), st.lists(st.sampled_from("abcd"), max_size=100))
def test_the_longest_common_subsequence(first: list[str], second: list[str]) -> None:
    expected = table(first, second)
    assert common_length(first, second) == common_length(second, first) == expected
    places = common_places(first, second)
    assert places == sorted(set(places), reverse=True)
    assert len(places) == expected
    others = iter(second)
    assert all(first[place] in others for place in reversed(places)), "a subsequence of the second list, too"
