"""HTML from values: data never becomes markup, and everything shows."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.report.markup import Markup, clipped, display_width, element, facts, join, table, text, visible, warning

HOSTILE = "<script>alert(1)</script><img src=x onerror=y> \"' & </td> <!-- ]]> &lt;"


class Reader(HTMLParser):
    """What a browser would find: tags, attributes, text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.said = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.said += data


def read(markup: str) -> Reader:
    reader = Reader()
    reader.feed(markup)
    reader.close()
    return reader


def test_text_stays_text() -> None:
    found = read(element("p", {"title": HOSTILE}, HOSTILE))
    assert (found.tags, found.attributes, found.said) == (["p"], [("title", HOSTILE)], HOSTILE)


@given(st.text())
def test_any_text_comes_back(value: str) -> None:
    """As text and as an attribute; what cannot be shown comes back as what stands for it."""
    found = read(element("p", {"title": value}, value, element("b", None, value)))
    expected = visible(value)
    assert found.tags == ["p", "b"]
    assert found.attributes == [("title", expected)]
    assert found.said == 2 * expected
    element("p", None, value).encode("utf-8")


def test_markup_is_not_escaped_twice_but_what_is_made_of_it_is() -> None:
    bold = element("b", None, "1 < 2")
    assert join(["a & ", bold, None]) == "a &amp; <b>1 &lt; 2</b>"
    assert text(f"{bold}") == "&lt;b&gt;1 &amp;lt; 2&lt;/b&gt;", "a format string makes plain text"
    assert join(["a", "b"], "<hr>") == "a&lt;hr&gt;b"


def test_attributes_that_are_not_there() -> None:
    assert element("td", {"class": None, "hidden": True, "id": False, "x": 0}) == '<td hidden x="0"></td>'
    assert element("meta", {"charset": "utf-8"}) == '<meta charset="utf-8">'


@pytest.mark.parametrize("name", ["style", "onclick", 'a"b', "a b"])
def test_attributes_that_must_not_be(name: str) -> None:
    with pytest.raises(AssertionError):
        element("p", {name: "x"})


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a\x00b\x1b", "a␀b␛"),
        ("\u202eevil\u2066", "\\u202eevil\\u2066"),
        ("\ud800", "\\ud800"),
        ("tab\tline\n", "tab\tline\n"),
        ("\x7f\x85", "␡\\x85"),
        ("ä日🎈", "ä日🎈"),
    ],
)
def test_what_hides_is_made_visible(value: str, shown: str) -> None:
    assert visible(value) == shown


def test_tables_escape_their_cells_and_align_numbers() -> None:
    found = read(table(("<a>", "n"), [("<b>", 1)], numeric=(1,), caption="<c>"))
    assert found.tags == ["div", "table", "caption", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]
    assert found.said == "<c><a>n<b>1"
    assert [value for name, value in found.attributes if name == "class"] == ["scroll", "number", "number"]


def test_facts_and_warnings_escape() -> None:
    assert read(facts([("<i>", "<u>")])).said == "<i><u>"
    assert read(warning("<u>")).tags == ["p", "strong"]


def test_clipping_says_so() -> None:
    assert clipped("abc", 3) == ("abc", "")
    assert clipped("abcdef", 3) == ("abc", " ... (3 more characters)")


def test_display_width() -> None:
    assert display_width("ab") == 2
    assert display_width("日本") == 4
    assert display_width("e\u0301") == 1


def test_markup_is_a_string() -> None:
    assert isinstance(element("p"), Markup)
    assert element("p") == "<p></p>"


def test_a_column_without_anything_is_left_out() -> None:
    shown = str(table(("name", "low", "high"), [("a", "", 1), ("b", None, "")], numeric=(1, 2)))
    assert "low" not in shown
    assert '<td class="number">1</td>' in shown
    assert shown.count("<th ") == 2
    assert "low" in str(table(("name", "low"), [("a", ""), ("b", 0)])), "one cell is enough"
    assert "low" in str(table(("name", "low"), [])), "without rows the heading says what there would be"
