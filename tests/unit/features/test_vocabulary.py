"""Word, character and byte vocabularies."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import CheckpointError, DataError
from antiphon.features.counting import learn_words
from antiphon.features.vocabulary import END, PAD, START, UNKNOWN, CharacterVocabulary, WordVocabulary

# Unicode without surrogates, which no UTF-8 file can hold.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXTS)
def test_bytes_restore_every_text(text: str) -> None:
    vocabulary = CharacterVocabulary()
    symbols = vocabulary.encode(text)
    assert symbols.dtype == np.int64
    assert vocabulary.decode(symbols) == text
    assert symbols.tolist() == [4 + byte for byte in text.encode()]  # four special pieces, then the bytes


@given(TEXTS)
def test_characters_with_byte_fallback_restore_every_text(text: str) -> None:
    vocabulary = CharacterVocabulary("abc é", tags=["<2de>"], byte_fallback=True)
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert UNKNOWN not in vocabulary.encode(text)


@given(st.text("abcdé "))
def test_characters_have_one_symbol_each(text: str) -> None:
    vocabulary = CharacterVocabulary("abcdé ", byte_fallback=False)
    symbols = vocabulary.encode(text)
    assert len(symbols) == len(text)
    assert vocabulary.labels(symbols) == list(text)
    assert vocabulary.decode(symbols) == text


def test_an_unknown_character_shows() -> None:
    vocabulary = CharacterVocabulary("ab", byte_fallback=False)
    assert vocabulary.encode("axb").tolist() == [4, UNKNOWN, 5]
    assert vocabulary.decode(vocabulary.encode("axb")) == "a⁇b"


def test_broken_bytes_become_replacement_characters() -> None:
    vocabulary = CharacterVocabulary()
    assert vocabulary.decode(np.array([4 + 0xE2, 4 + 0x41])) == "\ufffdA"


def test_special_symbols_say_nothing() -> None:
    for vocabulary in (CharacterVocabulary("a"), WordVocabulary(["a"])):
        a = vocabulary.encode("a").tolist()
        assert vocabulary.decode(np.array([START, *a, END, PAD, PAD])) == "a"
        assert vocabulary.pieces[:4] == ("<pad>", "<unk>", "<s>", "</s>")
        assert (PAD, UNKNOWN, START, END) == (0, 1, 2, 3)


def test_words_are_looked_up() -> None:
    vocabulary = WordVocabulary(["AE1", "B", "D"])
    assert vocabulary.encode("B  AE1\tD X").tolist() == [5, 4, 6, UNKNOWN]
    assert vocabulary.decode(np.array([5, 4, 6, UNKNOWN])) == "B AE1 D ⁇"


@given(st.lists(st.sampled_from(["a", "b", "", "two words"]), min_size=1).filter(lambda words: words != [""]))
def test_a_separator_separates_exactly(words: list[str]) -> None:
    vocabulary = WordVocabulary(["a", "b", "", "two words"], separator="|")
    text = "|".join(words)
    assert vocabulary.labels(vocabulary.encode(text)) == words
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_the_text_of_a_special_piece_is_no_special_symbol() -> None:
    assert WordVocabulary(["a"]).encode("<s> </s> <pad>").tolist() == [UNKNOWN] * 3
    assert WordVocabulary(["<s>"]).encode("<s>").tolist() == [4]
    assert START not in CharacterVocabulary("<s>").encode("<s>")


def test_tags_stay_whole() -> None:
    characters = CharacterVocabulary("a<2de>", tags=["<2de>", "<2d"])
    assert characters.labels(characters.encode("<2de>a<2d")) == ["<2de>", "a", "<2d"]
    assert characters.decode(characters.encode("<2de>a<2d")) == "<2de>a<2d"
    words = WordVocabulary(["a", "b"], tags=["<2de>"], separator="|")
    assert words.labels(words.encode("<2de>a|b")) == ["<2de>", "a", "b"]
    assert words.decode(words.encode("<2de>|a|b")) == "<2de>|a|b"


def test_the_empty_text_has_no_symbols() -> None:
    for vocabulary in (CharacterVocabulary("a"), CharacterVocabulary(), WordVocabulary(["a"]), WordVocabulary(["a"], separator="|")):
        assert vocabulary.encode("").shape == (0,)
        assert vocabulary.encode("").dtype == np.int64
        assert vocabulary.decode(vocabulary.encode("")) == ""


@pytest.mark.parametrize("symbols", [[5], [-1], [[1, 2]], [0.5]])
def test_symbols_outside_are_refused(symbols: list[int]) -> None:
    with pytest.raises(DataError, match="must be"):
        WordVocabulary(["a"]).decode(np.array(symbols))


def test_the_fingerprint_tells_pieces_apart() -> None:
    assert WordVocabulary(["a", "b"]).fingerprint == WordVocabulary(["a", "b"], separator="|").fingerprint
    assert WordVocabulary(["a", "b"]).fingerprint != WordVocabulary(["b", "a"]).fingerprint
    assert WordVocabulary(["ab"]).fingerprint != WordVocabulary(["a", "b"]).fingerprint


def test_saved_vocabularies_load(tmp_path: Path) -> None:
    words = WordVocabulary(["é", '"', "\x00"], tags=["<t>"], separator="|")
    words.save(tmp_path)
    loaded = WordVocabulary.load(tmp_path)
    assert (loaded.pieces, loaded.separator, loaded.tags) == (words.pieces, "|", ("<t>",))
    characters = CharacterVocabulary("é\n😀", byte_fallback=False)
    characters.save(tmp_path)
    assert CharacterVocabulary.load(tmp_path).pieces == characters.pieces
    with pytest.raises(CheckpointError, match="words"):
        WordVocabulary.load(tmp_path)
    (tmp_path / "vocabulary.json").write_text("{")
    with pytest.raises(CheckpointError, match="must be JSON"):
        CharacterVocabulary.load(tmp_path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        CharacterVocabulary.load(tmp_path / "missing")


MARKED = {
    "हिन्दी में, क्या?": ["हिन्दी", "में", "￭,", "क्या", "￭?"],
    "தமிழ் (மொழி)": ["தமிழ்", "(￭", "மொழி", "￭)"],
    "كَتَبَ، «مُحَمَّد».": ["كَتَبَ", "￭،", "«￭", "مُحَمَّد", "￭»", "￭."],
    "نمی\u200cخواهم.": ["نمی\u200cخواهم", "￭."],
    "e\u0301te\u0301-la!": ["e\u0301te\u0301-la", "￭!"],
    "❤\ufe0f, it's": ["❤\ufe0f", "￭,", "it's"],
}


@pytest.mark.parametrize(("text", "parts"), MARKED.items())
def test_punctuation_is_split_from_words_with_their_combining_marks(text: str, parts: list[str], tmp_path: Path) -> None:
    vocabulary, _ = learn_words([text], size=None, punctuation=True)
    assert vocabulary.labels(vocabulary.encode(text)) == parts
    assert vocabulary.decode(vocabulary.encode(text)) == text
    vocabulary.save(tmp_path)
    assert WordVocabulary.load(tmp_path).encode(text).tolist() == vocabulary.encode(text).tolist()


def test_vocabularies_of_earlier_versions_split_marks_off_as_they_did(tmp_path: Path) -> None:
    words = ["ह", "￭ि￭", "न"]
    (tmp_path / "vocabulary.json").write_text(json.dumps({"words": words, "tags": [], "separator": None, "punctuation": True}))
    loaded = WordVocabulary.load(tmp_path)
    loaded.save(tmp_path)
    for vocabulary in (loaded, WordVocabulary.load(tmp_path)):
        assert vocabulary.labels(vocabulary.encode("हिन")) == words
