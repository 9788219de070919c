"""An XML file is cut into tags and texts with their places; what could read other files or grow without bounds is refused."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import DataError
from antiphon.readers.xml_elements import Change, changed, element
from antiphon.readers.xml_tokens import escaped, escaped_value, root_of, tokens, unescaped, whole, with_attribute

ODD = """<?xml version="1.0"?>\r
<!DOCTYPE a SYSTEM "b.dtd" [<!ELEMENT a ANY> <!-- ]> --> <?x ]>?> <!ATTLIST a b CDATA "]>">]>
<!-- <b> --><x:a xmlns:x = 'u"rn' b="1 > 0"\r
  c='&lt;&#x41;'><![CDATA[<b>&amp;]]> &amp; \r\n<b/><b /></x:a >
<?end here?>
"""


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_nothing_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xml", ODD)
    found = list(tokens(path))
    assert "".join(token.raw for token in found) == ODD
    assert all(ODD[token.begin : token.end] == token.raw for token in found)
    assert [token.line for token in found if token.name == "b"] == [5, 5]
    assert "".join(token.text for token in found).strip() == "<b>&amp; &"
    start = next(token for token in found if token.kind == "start")
    assert (start.name, start.prefix) == ("a", "x:")
    assert start.attributes() == {"xmlns:x": 'u"rn', "b": "1 > 0", "c": "<A"}


def test_an_element_is_a_tree(tmp_path: Path) -> None:
    parts = tokens(write(tmp_path / "a.xml", "<a> <b>x<c>y</c><c/></b> z</a>"))
    tree = element(next(parts), parts)
    assert tree.raw == "<a> <b>x<c>y</c><c/></b> z</a>"
    assert tree.text == " xy z"
    assert [one.name for one in tree.descendants("c")] == ["c", "c"]
    inner = tree.first("b")
    assert inner is not None
    assert tree.before(inner) == " "
    assert (inner.inside, inner.stop) == ((7, 20), 24)


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16"),
        ("latin-1", "ISO-8859-1"),
        ("cp1251", "windows-1251"),
    ],
)
def test_encodings_are_believed_and_kept(tmp_path: Path, encoding: str, declared: str) -> None:
    letters = "д" if declared == "windows-1251" else "ä"
    text = f'<?xml version="1.0"{f" encoding={chr(39)}{declared}{chr(39)}" if declared else ""}?>\r\n<a>{letters}</a>'
    path = write(tmp_path / "a.xml", text.encode(encoding))
    assert next(token.text for token in tokens(path) if token.text.strip()) == letters
    file = whole(path)
    assert file.encoded(file.text) == path.read_bytes()
    place = file.text.index(letters)
    new = changed(file, [Change(place, place + 1, "€")])
    assert new.decode(encoding) == text.replace(letters, "€" if "utf" in encoding or declared == "windows-1251" else "&#8364;")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<a>\n<b></a>", r":2 must be XML, but is not: mismatched tag"),
        ("<a>\n\n<b>", r":3 must be XML, but is not: no element found"),
        ("<!DOCTYPE a [\n<!ENTITY lol 'lol'>]><a>&lol;</a>", r":2 declares the entity `lol`"),
        ("<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>", r":1 declares the entity `x`"),
        ("<!DOCTYPE a [<!ENTITY % x SYSTEM 'http://localhost/'>%x;]><a/>", r":1 declares the entity `x`"),
        (b"<a>\n\xff</a>", r":1 is not utf-8"),
        ("<?xml version='1.0' encoding='klingon'?><a/>", r"klingon, which Python does not know"),
        ("<a>\n&nbsp;</a>", r":2 must be XML, but is not: undefined entity"),
    ],
)
def test_what_is_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(tokens(write(tmp_path / "a.xml", content)))


def test_a_file_is_read_in_blocks(tmp_path: Path) -> None:
    many = "<b c='x > y'>text &amp; <!-- < > --></b>" * 9000
    text = f"<a>{many}</a>"
    path = tmp_path / "a.xml.gz"
    path.write_bytes(gzip.compress(text.encode()))
    assert "".join(token.raw for token in tokens(path)) == text
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DataError, match="is cut off"):
        list(tokens(path))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters=[chr(n) for n in range(32)] + ["\ufffe", "\uffff"])))
def test_escaped_and_back(text: str) -> None:
    assert unescaped(escaped(text)) == text
    assert unescaped(escaped_value(text)) == text


def test_what_no_xml_can_hold() -> None:
    with pytest.raises(DataError, match=r"U\+000B, which XML cannot hold"):
        escaped("a\x0bb")
    with pytest.raises(DataError, match="`&eacute;` stands for nothing"):
        unescaped("&eacute;")


@pytest.mark.parametrize(
    ("tag", "new"),
    [
        ("<a>", '<a b="x">'),
        ("<a />", '<a b="x" />'),
        ("<a c='1' b = 'y'>", "<a c='1' b = \"x\">"),
        ("<a c='b=\"1\"'\n>", '<a c=\'b="1"\' b="x"\n>'),
    ],
)
def test_one_attribute_changes(tag: str, new: str) -> None:
    assert with_attribute(tag, "b", "x") == new


@pytest.mark.parametrize(
    ("opening", "name"),
    [
        ("<?xml version='1.0'?>\n<!DOCTYPE tmx SYSTEM 'tmx14.dtd'>\n<!-- <a> --><tmx version='1.4'>", "tmx"),
        ("<!DOCTYPE a [<!ELEMENT a ANY>]>\n<a/>", "a"),
        ("<xlf:xliff>", "xliff"),
        ("The tag <xliff> is one of XLIFF.", ""),
        ("<", ""),
        ("<<<<<<< HEAD", ""),
    ],
)
def test_the_outermost_element(opening: str, name: str) -> None:
    assert root_of(opening.encode()) == name
