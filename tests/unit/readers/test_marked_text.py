"""Marks within a text come back in what is said of it: none is lost, pairs stay pairs, and code stays code."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.contracts.reader import MissingError
from antiphon.errors import DataError
from antiphon.readers.marked_text import Atom, MarkedText, Part

TAG = re.compile(r"<(?P<close>/)?[a-z](?P<alone>/)?>|`[^`]*`")


def marked(raw: str) -> MarkedText:
    return MarkedText(raw, atoms(raw))


def atoms(raw: str) -> Iterator[Atom]:
    at = 0
    for tag in TAG.finditer(raw):
        yield Atom(at, tag.start(), "text", raw[at : tag.start()])
        if tag[0].startswith("`"):
            yield Atom(tag.start(), tag.end(), "verbatim", tag[0][1:-1])
        else:
            yield Atom(tag.start(), tag.end(), "alone" if tag["alone"] else "close" if tag["close"] else "open")
        at = tag.end()
    yield Atom(at, len(raw), "text", raw[at:])


def whole(raw: str) -> Part:
    text = marked(raw)
    return text.part(0, len(text.text))


def put(raw: str, said: str, links: str | None = None) -> str:
    pairs = None if links is None else tuple((int(one), int(other)) for one, other in (link.split("-") for link in links.split()))
    return "".join(segment.raw for segment in whole(raw).written(said, pairs, str))


@pytest.mark.parametrize(
    ("raw", "said", "links", "written"),
    [
        ("a <b>red</b> house", "une maison rouge", "0-0 1-2 2-1", "une maison <b>rouge</b>"),
        ("the <b>last</b>, word", "das <b2 x", None, "das <b><b2</b> x"),
        ("say <b>yes</b>, now", "jetzt ja, sag", "0-2 1-1 2-0", "jetzt <b>ja</b>, sag"),
        ("say (<b>yes</b>) now", "jetzt (ja) sag", "0-2 1-1 2-0", "jetzt (<b>ja</b>) sag"),
        ("go <a>to <b>the</b> park</a> now", "jetzt in den Park gehen", "0-4 1-1 2-2 3-3 4-0", "jetzt <a>in <b>den</b> Park</a> gehen"),
        ("<a>one</a> <b>two</b> x", "zwei eins x", "0-1 1-0 2-2", "<b>zwei</b> <a>eins</a> x"),
        ("use <b>Foo</b> here now", "hier und jetzt Foo nutzen", None, "hier und jetzt <b>Foo</b> nutzen"),
        ("one <x/>two three", "eins zwei drei", None, "eins <x/>zwei drei"),
        ("one <x/>two three", "drei zwei eins", "0-2 1-1 2-0", "drei <x/>zwei eins"),
        ("one <x/>two <y/>three", "drei zwei eins", "0-2 1-1 2-0", "<x/>drei <y/>zwei eins"),
        ("run `make it` and `rm`", "rm und make it starten", None, "`rm` und `make it` starten"),
        ("see <a>the `x` page</a> now", "jetzt Seite x sehen", "1-1 3-1 0-3 4-0", "jetzt <a>Seite `x`</a> sehen"),
        ("a <b>b</b> c", "", None, "<b></b>"),
    ],
)
def test_marks_go_where_their_words_went(raw: str, said: str, links: str | None, written: str) -> None:
    assert put(raw, said, links) == written


def test_code_that_is_lost_is_missed() -> None:
    with pytest.raises(MissingError, match="lacks `make`, which must stay as it is") as caught:
        put("run `make` now", "jetzt laufen")
    assert caught.value.phrases == ("make",)
    with pytest.raises(MissingError):
        put("run `rm` now", "Formel")  # within a word
    assert put("run `rm` now", "rmを実行") == "`rm`を実行"


def test_marks_around_a_part_are_outside() -> None:
    text = marked("<b><i>One</i> two.</b> Three <x/>four.")
    assert text.text == "One two. Three four."
    first, second = text.part(0, 8), text.part(9, 20)
    assert (first.raw, first.text) == ("<i>One</i> two.", "One two.")
    assert (second.raw, second.text) == ("Three <x/>four.", "Three four.")
    assert not text.part(4, 8).has_marks


def test_a_pair_is_not_parted() -> None:
    text = marked("He said <b>one. Two</b> three.")
    assert not text.allows(13, {0, 13}, {12, 24})
    text = marked("<b>One. Two.</b> Three.")
    assert text.allows(5, {0, 5, 10}, {4, 9, 16})


WORDS = st.lists(st.sampled_from(["one", "two,", "(three)", "vier", "五六。", "x"]), max_size=8)
PIECES = st.lists(st.sampled_from(["one ", "two, ", " ", "<a>", "</a>", "<b>", "</b>", "<x/>", "`code`", " (x) "]), max_size=12)
LINKS = st.none() | st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12).map(tuple)


@given(PIECES, WORDS, LINKS)
@settings(deadline=None, max_examples=200)
def test_no_mark_is_lost(pieces: list[str], words: list[str], links: tuple[tuple[int, int], ...] | None) -> None:
    raw = "w" + "".join(pieces) + "w"
    said = " ".join([*words, *["code"] * pieces.count("`code`")])
    try:
        written = "".join(segment.raw for segment in whole(raw).written(said, links, str))
    except DataError:  # what is not written is named
        if "`code`" not in pieces:
            raise
        return
    assert sorted(TAG.findall(written)) == sorted(TAG.findall(raw))
    bare = TAG.sub(lambda tag: tag[0].strip("`") if tag[0][0] == "`" else "", written)
    assert bare.split() == said.split()
    assert [mark for mark in re.findall("<.>|</.>|<./>", written) if mark == "<x/>"] == ["<x/>"] * pieces.count("<x/>")
