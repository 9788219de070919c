"""Sentences end where readers of a language would say so."""

import pytest

from antiphon.readers.sentences import boundaries, spans

# The English ones are among the "Golden Rules" of Pragmatic Segmenter (Dias 2014), which pysbd ships as tests.
CASES = [
    ("en", "Hello World.|My name is Jonas."),
    ("en", "What is your name?|My name is Jonas."),
    ("en", "My name is Jonas E. Smith."),
    ("en", "Please turn to p. 55."),
    ("en", "Were Jane and co. at the party?"),
    ("en", "They closed the deal with Pitt, Briggs & Co. at noon."),
    ("en", "They closed the deal with Pitt, Briggs & Co.|It closed yesterday."),
    ("en", "St. Michael's Church is on 5th st. near the light."),
    ("en", "I live in the U.S.|How about you?"),
    ("en", "I work for the U.S. Government in Virginia."),
    ("en", "She has $100.00.|It is in her bag."),
    ("en", "He teaches science (He previously worked for 5 years as an engineer.) at the local University."),
    ("en", "Her email is Jane.Doe@example.com.|I sent her an email."),
    ("en", 'She turned to him, "This is great." she said.'),
    ("en", 'She turned to him, "This is great."|She held the book out to show him.'),
    ("en", "Hello!!|Long time no see."),
    ("en", "1. The first item.|2. The second item."),
    ("en", "She works at Yahoo! in the accounting department."),
    ("en", "I never meant that....|She left the store."),
    ("en", "end with a period . . . .|Next sentence."),
    ("de", "Das geschah am 3. Oktober 1990.|Dann kam z.B. Herr Dr. Maier usw.|Es war gut."),
    ("en", "That was in 1990.|October came."),
    ("fr", "« Bonjour ! » dit M. Dupont.|Il part."),
    ("ru", "И т.д. и т.п.|Это в 1990 г. было.|Всё."),
    ("ja", "来ました。|元気ですか？|彼は「はい。」と言った。|そうです。"),
    ("hi", "यह है।|वह था।"),
    ("ar", "هل أنت هنا؟|نعم."),
    ("", "Version 1.2.3 is out. see below"),  # in doubt a sentence goes on
]


@pytest.mark.parametrize(("language", "marked"), CASES)
def test_sentences_end_where_they_do(language: str, marked: str) -> None:
    wanted = marked.split("|")
    text = ("" if language == "ja" else " ").join(wanted)
    assert [text[start:end] for start, end in spans(text, boundaries(text, language))] == wanted


def test_a_region_has_the_rules_of_its_language() -> None:
    assert boundaries("Am 3. Oktober.", "de-AT") == []
    assert boundaries("Am 3. Oktober.", "en") == [6]
