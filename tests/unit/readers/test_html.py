"""Web pages come back with other texts: tags, attributes, scripts and comments are what they were."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import strategies as st

from antiphon.contracts.reader import MissingError, Said
from antiphon.errors import DataError
from tests.generated import on_generated_files, over
from tests.round_trips import answered, rewriter, skips, sources

PAGE = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>My page &amp; yours</title>
<meta name="description" content="All about &quot;it&quot;. Read on.">
<style>p > b { color: red }</style>
<script>if (a < b && "</p>") { x("<b>hi</b>") }</script></head>
<body>
<!-- a comment -->
<h1 title="The title">Hello <em>big</em> world!</h1>
<p>This is a <b>bold <i>word</i></b> in a sentence, which is long
   and goes on. Run <code>make &lt;all&gt;</code> and see <a href="x.html" title='A link'>the other page</a>, please.<br>
   Next <img src="a.png" alt="An image"> line.</p>
<ul><li>One<li><a href="#">Two</a></li><li translate="no">Three</li></ul>
<pre>code  here</pre>
<table><tr><td>A cell.</td><td>12</td></tr></table>
</body></html>
"""
TEXTS = [
    "My page & yours",
    'All about "it".',
    "Read on.",
    "The title",
    "Hello big world!",
    "This is a bold word in a sentence, which is long and goes on.",
    "Run make <all> and see the other page, please.",
    "A link",
    "Next line.",
    "An image",
    "One",
    "Two",
    "A cell.",
]


def page(folder: Path, content: str, encoding: str = "utf-8") -> Path:
    path = folder / "a.html"
    path.write_bytes(content.encode(encoding))
    return path


def longer(source: str) -> Said:
    count = len(source.split())
    return Said(f"So {source} ja", tuple((number, number + 1) for number in range(count)))


def test_texts_are_read_by_sentence(tmp_path: Path) -> None:
    path = page(tmp_path, PAGE)
    assert sources(path) == TEXTS
    stays = "code or content that stays"
    assert skips(path) == [(4, "script or style"), (5, "script or style"), (12, stays), (13, stays)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_an_echo_changes_no_byte(tmp_path: Path, end: str, encoding: str) -> None:
    content = PAGE.replace("utf-8", encoding).replace("One", "\u00dcns").replace("\n", end)
    path = page(tmp_path, content, encoding)
    assert "\u00dcns" in sources(path)  # the page names its encoding
    assert answered(path, str) == content.encode(encoding)


def test_only_texts_change(tmp_path: Path) -> None:
    result = answered(page(tmp_path, PAGE), longer).decode()
    for kept in (
        "<title>So My page &amp; yours ja</title>",
        'content="So All about &quot;it&quot;. ja So Read on. ja">\n<style>p > b { color: red }</style>\n<script>if (a < b',
        '<h1 title="So The title ja">So Hello <em>big</em> world! ja</h1>',
        "<p>So This is a <b>bold <i>word</i></b> in a sentence, which is long and goes on. ja",
        "<code>make &lt;all&gt;</code> and see <a href=\"x.html\" title='So A link ja'>the other page</a>,",
        'please. ja<br>\n   So Next <img src="a.png" alt="So An image ja"> line. ja</p>',
        '<ul><li>So One ja<li><a href="#">So Two ja</a></li><li translate="no">Three</li></ul>\n<pre>code  here</pre>',
        "<td>So A cell. ja</td><td>12</td>",
    ):
        assert kept in result, kept


def test_what_was_said_is_text(tmp_path: Path) -> None:
    path = page(tmp_path, '<p title="A">B</p>')
    assert answered(path, lambda _: '1 < 2 & "3"').decode() == '<p title="1 &lt; 2 &amp; &quot;3&quot;">1 &lt; 2 &amp; "3"</p>'


def test_code_must_stay(tmp_path: Path) -> None:
    output = rewriter(page(tmp_path, "<p>Run <code>make</code> now.</p>"))
    with pytest.raises(MissingError, match="lacks `make`"):
        output.put(1, Said("Los."))
    output.put(1, Said("Jetzt make!"))
    assert output.content() == b"<p>Jetzt <code>make</code>!</p>"


def test_a_file_without_tags_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.html` must be HTML, but has no tag"):
        sources(page(tmp_path, "Hello.\n"))


class Outline(HTMLParser):
    """The tags, comments and scripts of a page, as the parser of Python sees them."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[object] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, [pair for pair in attrs if pair[0] not in ("title", "alt")]))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(tag)

    def handle_comment(self, data: str) -> None:
        self.found.append(data)


WORDS = st.sampled_from(
    [
        "House",
        "red.",
        "<b>so</b>",
        "<i>two <b>words</b></i>",
        "<code>x</code>",
        "<a href='a' title='Say'>link</a>",
        "<br>",
        "&lt;",
        "<!-- Red -->",
    ]
)
TEXT = st.lists(WORDS, min_size=1, max_size=8).map(" ".join)
BLOCKS = st.one_of(
    TEXT.map("<p>{}</p>".format),
    TEXT.map("<ul>\n <li>{}\n <li>x\n</ul>".format),
    TEXT.map("<div class=notranslate>{}</div>".format),
    TEXT.map("<pre>{}</pre>".format),
    st.just("<img src=a alt='A thing'>"),
)
PAGES = st.lists(BLOCKS, max_size=5).map(lambda blocks: "\n".join(["<p>Begin.</p>", *blocks]))


def check_round_trip(folder: Path, content: str) -> None:
    path = page(folder, content)
    assert answered(path, str).decode() == content
    result = answered(path, longer).decode()
    before, behind = Outline(content).found, Outline(result).found
    assert sorted(map(str, before)) == sorted(map(str, behind))
    assert re.findall("<pre>.*?</pre>|<div.*?</div>", result, re.DOTALL) == re.findall("<pre>.*?</pre>|<div.*?</div>", content, re.DOTALL)
    path.write_text(result)
    assert result.count("So ") == result.count(" ja") >= 1


@on_generated_files
def test_generated_pages_come_back(tmp_path: Path, count: int) -> None:
    over(count, lambda content: check_round_trip(tmp_path, content), content=PAGES)
