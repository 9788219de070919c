"""Tags come back into a translation: around the words that they were around, none lost, in an order that is valid."""

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.contracts.reader import MissingError, Said
from antiphon.readers.inline_tags import Inline, inline
from antiphon.readers.tag_placement import is_nested
from antiphon.readers.xml_elements import element
from antiphon.readers.xml_tokens import tokens

FOLDER: list[Path] = []


@pytest.fixture(autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    FOLDER[:] = [tmp_path_factory.mktemp("tags")]


def read(content: str, **settings: bool) -> Inline:
    path = FOLDER[0] / "a.xml"
    path.write_text(f"<seg>{content}</seg>", encoding="utf-8")
    parts = tokens(path)
    return inline(element(next(parts), parts).children, **settings)


def links(pharaoh: str) -> tuple[tuple[int, int], ...]:
    return tuple((int(one.split("-")[0]), int(one.split("-")[1])) for one in pharaoh.split())


def test_what_a_model_is_given() -> None:
    found = read("\n   Click <g id='1'>\n here</g> <x id='2'/> &amp;\n go<ph>code &lt;br></ph>! ")
    assert found.plain == "Click here & go!"
    assert [piece.role for piece in found.pieces] == ["open", "close", "alone", "alone"]
    assert read(" a\n b ", keeps_space=True).text == " a\n b "
    assert read("a<x id='1' ctype='lb'/>b").plain == "a b"
    assert read("a&#10;b<![CDATA[\n<c>]]>").plain == "a\nb\n<c>"


def test_tags_of_a_pair_know_each_other() -> None:
    pair = read("<bpt i='1' x='3'>&lt;b></bpt>bold<ept i='1'>&lt;/b></ept> <bx id='7' rid='2'/>it<ex id='8' rid='2'/><it pos='begin'/>")
    assert [piece.partner for piece in pair.pieces] == [1, 0, 3, 2, None]
    assert is_nested(pair.pieces)
    assert not is_nested(read("<bpt i='1'/>a<g>b<ept i='1'/></g>").pieces)
    assert [piece.partner for piece in read("<sc id='1'/>a<ec startRef='1'/><ec id='9' isolated='yes'/>").pieces] == [1, 0, None]


@pytest.mark.parametrize(
    ("source", "said", "linked", "expected"),
    [
        ("Click <g>here</g> now.", "Jetzt hier klicken.", "0-2 1-1 2-0", "Jetzt <g>hier</g> klicken."),
        ("the <g>red</g> car", "la voiture rouge", "0-0 1-2 2-1", "la voiture <g>rouge</g>"),
        ("<g>the <pc>red</pc></g> car", "la voiture rouge", "0-0 1-2 2-1", "<g>la voiture <pc>rouge</pc></g>"),
        ("Press <g>OK</g>, then go", "Erst OK, dann los", "1-1 2-2 3-3", "Erst <g>OK</g>, dann los"),
        ("see (<g>this</g>) one", "siehe (dies) hier", "0-0 1-1 2-2", "siehe (<g>dies</g>) hier"),
        ("a <x/> b c", "B A C", "0-1 1-0 2-2", "<x/> B A C"),
        ("a <x/> b", "A B", "0-0 1-1", "A <x/> B"),
        ("<x/> a b <g> c </g> <ph/>  ", "X Y Z", "0-0 1-1 2-2", "<x/> X Y <g>Z </g> <ph/>  "),
        ("a <g>b</g> <x/> c d", "X Y", "0-0 1-1 2-1 3-1", "X <g>Y</g> <x/>"),
        ("end of line.<x/>", "Ende der Zeile.", "0-0 1-1 2-2", "Ende der Zeile.<x/>"),
        ("<x/>one two", "eins zwei", "0-0 1-1", "<x/>eins zwei"),
        ("one <x/>two", "zwei eins", "0-1 1-0", "<x/>zwei eins"),
        ("a <g></g> b", "A B", "0-0 1-1", "A <g></g>B"),
        ("a <x/> b", "漢字", "", "漢<x/>字"),
        ("a <g>b</g> c", "X Y Z", "", "X <g>Y</g> Z"),
        ("one <g>two</g>", "eins und zwei drei", "9-9", "eins und <g>zwei drei</g>"),
        ("say <g>hello</g> to all people", "alle Leute freundlich grüßen", "1-3 1-2 3-0 4-1", "alle Leute <g>freundlich grüßen</g>"),
        ("<g>one</g> <pc>two</pc>", "zwei eins", "0-1 1-0", "<pc>zwei</pc> <g>eins</g>"),
        ("<g>a b</g> & <x/>", "c < d", "0-0 1-1 2-2", "<g>c &lt;</g> d <x/>"),
        ("click <g>here</g> now please", "请点击这里好吗", "", None),
        ("only <g>two</g>", "eins", "0-0 1-0", "<g>eins</g>"),
    ],
)
def test_where_tags_go(source: str, said: str, linked: str, expected: str | None) -> None:
    found = read(source.replace(" & ", " &amp; ")).written(Said(said, links(linked) or None))
    if expected is None:
        assert re.fullmatch(r"请.*<g>.+</g>.*", found)
    else:
        assert found == expected


def test_the_same_words_come_back_as_they_were() -> None:
    raw = "  a <g> b<x/></g>  <!-- c -->d. "
    assert read(raw).written(Said("a b d.")) == raw


def test_what_must_stay() -> None:
    source = read("Use <mrk mtype='protected'>my server</mrk> and <mrk translate='no'>it</mrk> now")
    with pytest.raises(MissingError, match="lacks `my server`, `it`, which must stay") as error:
        source.written(Said("Nimm"))
    assert error.value.phrases == ("my server", "it")
    assert source.written(Said("Nimm jetzt it und my server", ((0, 0), (1, 3)))) == (
        "Nimm jetzt <mrk translate='no'>it</mrk> und <mrk mtype='protected'>my server</mrk>"
    )


_TAGS = re.compile(r"<[^<>]*>")


@st.composite
def marked(draw: st.DrawFn, depth: int = 0) -> str:
    parts = []
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(("word", "word", "blank", "g", "x", "ph", "bpt", "ept", "mrk")))
        number = draw(st.integers(0, 3))
        if kind == "word":
            parts.append(draw(st.sampled_from(("one", "two,", "(three)", "&amp;", "&lt;b", "ä."))))
        elif kind == "blank":
            parts.append(" ")
        elif kind in ("g", "mrk"):
            parts.append(f"<{kind} id='{number}'>{draw(marked(depth + 1)) if depth < 3 else 'x'}</{kind}>")
        else:
            parts.append(f"<{kind} i='{number}'/>")
    return "".join(parts)


SOURCES = marked().filter(lambda content: bool(_TAGS.sub("", content).strip()))


def _check(content: str, said: str, linked: list[tuple[int, int]]) -> None:
    source = read(content)
    found = source.written(Said(said, tuple(linked) or None))
    again = read(found)
    assert Counter(_TAGS.findall(found)) == Counter(_TAGS.findall(content))
    assert " ".join(again.plain.split()) == " ".join(said.split())
    for number, piece in enumerate(again.pieces):
        assert piece.partner is None or (piece.role == "open") == (piece.partner > number)
    wanted = [(one.raw, source.pieces[one.partner].raw) for one in source.pieces if one.partner is not None]
    there = Counter((one.raw, again.pieces[one.partner].raw) for one in again.pieces if one.partner is not None)
    assert not Counter(wanted) - there


WORDS = st.lists(st.sampled_from(("uno", "due,", "<tre>", "漢字", "(q)")), min_size=1, max_size=6).map(" ".join)
LINKS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=8)


@settings(max_examples=40, deadline=None)
@given(SOURCES, WORDS, LINKS)
def test_no_tag_is_lost(content: str, said: str, linked: list[tuple[int, int]]) -> None:
    _check(content, said, linked)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(SOURCES, WORDS, LINKS)
def test_no_tag_is_lost_of_many(content: str, said: str, linked: list[tuple[int, int]]) -> None:
    _check(content, said, linked)
