"""Terms are found as whole words, the longest first, and become wishes of the record."""

import pytest

from antiphon.errors import DataError
from antiphon.prediction.glossary import Glossary

TERMS = [
    ("file", "Datei"),
    ("file", "Akte"),
    ("file system", "Dateisystem"),
    ("IT", "EDV"),
    ("to-do", "Aufgabe"),
    ("東京", "Tokio"),
    ("x", " "),
]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Open the File.", [["Datei", "Akte"]]),
        ("The file system has a file", [["Dateisystem"], ["Datei", "Akte"]]),
        ("files profile", []),
        ("it is IT, x", [["EDV"]]),
        ("a to-do list", [["Aufgabe"]]),
        ("私は東京に行く", [["Tokio"]]),
        ("", []),
    ],
)
def test_terms_are_found(text: str, found: list[list[str]]) -> None:
    assert Glossary(TERMS).found_in(text) == found


def test_terms_become_wishes() -> None:
    soft, exact = Glossary(TERMS), Glossary(TERMS, "exact")
    assert len(soft) == 5
    assert soft.added_to("a file", "en") == {"en": "a file", "hot_words": ["Datei", "Akte"]}
    assert exact.added_to({"en": "a file", "id": 7, "required": "Datei"}, "en") == {"en": "a file", "id": 7, "required": ["Datei"]}
    assert exact.added_to({"en": "IT file", "required": ["x"]}, "en")["required"] == ["x", "EDV", "Datei"]
    for item in ("nothing", {"en": "nothing"}, {"en": None}, 7):
        assert soft.added_to(item, "en") is item
    assert soft.said("IT file", "eine AKTE") == (2, 1)


def test_a_glossary_has_terms() -> None:
    with pytest.raises(DataError, match="at least one term"):
        Glossary([("...", ""), (" ", "x")])
