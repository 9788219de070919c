"""Markdown comes back with other texts: structure, code, links and addresses are what they were."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from antiphon.contracts.reader import MissingError, Said
from antiphon.errors import DataError
from tests.generated import on_generated_files, over
from tests.judges import judge
from tests.round_trips import answered, rewriter, skips, sources

PAGE = """\
---
title: A page
---

# Hello **big** world #

This is a *bold [word](http://x.y/z_a "title")* in a sentence, which is long
and goes on. Run `make *all*` and see <https://example.org/a_b>, please.\\
Next ![An image](a.png) with snake_case, 2 * 3 and \\*stars\\*.

Setext heading
--------------

> Quoted text
> over lines. And [a ref][ref], [ref], [other][].

1. First item
   goes on.
2. Second

   - [ ] task `x`

```python
print("code")
```

    real code

| A head | B |
|--------|:-:|
| one *it* | `x` |

<div align="center">
  <b>Some html.</b>
</div>

Text with <b>inline</b> html &amp; entity[^1]. {{ page.title }} stays.

[^1]: The note.

[ref]: http://example.org/ref
[other]: http://example.org/other
"""
TEXTS = [
    "Hello big world",
    "This is a bold word in a sentence, which is long and goes on.",
    "Run make *all* and see https://example.org/a_b, please.",
    "Next An image with snake_case, 2 * 3 and *stars*.",
    "Setext heading",
    "Quoted text over lines.",
    "And a ref, ref, other.",
    "First item goes on.",
    "Second",
    "task x",
    "A head",
    "B",
    "one it",
    "Some html.",
    "Text with inline html & entity.",
    "{{ page.title }} stays.",
    "The note.",
]


def page(folder: Path, content: str, name: str = "a.md") -> Path:
    path = folder / name
    path.write_bytes(content.encode())
    return path


def longer(source: str) -> Said:
    count = len(source.split())
    return Said(f"So {source} ja", tuple((number, number + 1) for number in range(count)))


def said_of(folder: Path, content: str, text: str, links: Any = None) -> str:
    return answered(page(folder, content), lambda _: Said(text, links)).decode()


def test_texts_are_read_by_sentence(tmp_path: Path) -> None:
    path = page(tmp_path, PAGE)
    assert sources(path) == TEXTS
    assert [reason for _, reason in skips(path)] == ["front matter", "code", "code", "address of a link", "address of a link"]
    assert skips(path)[1][0] == 23


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_an_echo_changes_no_byte(tmp_path: Path, end: str, mark: str) -> None:
    for content in (PAGE, PAGE.rstrip()):
        written = mark + content.replace("\n", end)
        assert answered(page(tmp_path, written), str).decode() == written


def test_only_texts_change(tmp_path: Path) -> None:
    result = answered(page(tmp_path, PAGE), longer).decode()
    for kept in (
        "---\ntitle: A page\n---\n\n# So Hello **big** world ja #\n",
        '*bold [word](http://x.y/z_a "title")*',
        "Run `make *all*` and see <https://example.org/a_b>",
        " ja\\\nSo Next ![An image](a.png) with snake_case, 2 \\* 3 and \\*stars\\*. ja\n",
        "So Setext heading ja\n--------------\n",
        "> So Quoted text over lines. ja So And [a ref][ref], [ref][ref],\n> [other][other]. ja\n",
        "1. So First item goes on. ja\n2. So Second ja\n\n   - [ ] So task `x` ja\n",
        '```python\nprint("code")\n```\n\n    real code\n',
        "| So A head ja | So B ja |\n|--------|:-:|\n| So one *it* ja | `x` |\n",
        '<div align="center">\n  <b>So Some html. ja</b>\n</div>\n',
        "So Text with <b>inline</b> html & entity[^1]. ja So {{ page.title }} stays. ja\n",
        "[^1]: So The note. ja\n\n[ref]: http://example.org/ref\n",
    ):
        assert kept in result, kept
    assert max(map(len, result.splitlines())) <= 79


@pytest.mark.parametrize(
    ("content", "text", "written"),
    [
        ("A *red* house.\n", "Ein 2*3 rotes* Haus.", "Ein *2\\*3* rotes\\* Haus.\n"),
        ("A house.\n", "# Haus", "\\# Haus\n"),
        ("A house.\n", "1. Haus", "1\\. Haus\n"),
        ("A house.\n", "- Haus [x](y)", "\\- Haus \\[x\\](y)\n"),
        ("A house.\n", "2 < 3 & 4, a_b", "2 < 3 & 4, a_b\n"),
        ("A house.\n", "<Haus>", "\\<Haus>\n"),
        ("| A cell |\n|---|\n", "a|b", "| a\\|b |\n|---|\n"),
        ("[A house][]\n\n[a house]: x\n", "Haus", "[Haus][A house]\n\n[a house]: x\n"),
        ("Words, [`a`][]/[`b`][] so.\n\n[`a`]: x\n[`b`]: y\n", "a/b ja.", "[`a`][`a`]/[`b`][`b`] ja.\n\n[`a`]: x\n[`b`]: y\n"),
        ("One line.\nAnd another.\n", "Haus.", "Haus.\nHaus.\n"),
    ],
)
def test_what_was_said_is_read_as_it_was_said(tmp_path: Path, content: str, text: str, written: str) -> None:
    assert said_of(tmp_path, content, text) == written


def test_emphasis_follows_its_words(tmp_path: Path) -> None:
    assert said_of(tmp_path, "a **red** house\n", "une maison rouge", ((0, 0), (1, 2), (2, 1))) == "une maison **rouge**\n"


def test_code_must_stay(tmp_path: Path) -> None:
    output = rewriter(page(tmp_path, "Run `make` and %s now.\n"))
    with pytest.raises(MissingError, match="lacks `make`") as caught:
        output.put(1, Said("Los %s."))
    assert caught.value.phrases == ("make",)
    with pytest.raises(MissingError, match="lacks `%s`"):
        output.put(1, Said("Los make."))
    with pytest.raises(DataError, match="is empty"):
        output.put(1, Said(" "))
    assert output.content() == b"Run `make` and %s now.\n"


def test_a_file_without_texts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.md` must have a text in it"):
        sources(page(tmp_path, "```\ncode\n```\n"))


WORDS = [
    "House",
    "red.",
    "*so*",
    "**bold text**",
    "`code`",
    "[link](a.md)",
    "2 * 3",
    "snake_case",
    "Now",
    "~~old~~",
    "<br>",
    "&amp;",
    "e.g.",
]
LINES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join)
PARAGRAPHS = st.one_of(
    LINES,
    st.lists(LINES, min_size=2, max_size=3).map("\n".join),
    LINES.map("## {}".format),
    LINES.map("> {}".format),
    st.lists(LINES, min_size=1, max_size=3).map(lambda lines: "\n".join(f"- {line}" for line in lines)),
    LINES.map("1. {}\n\n   more".format),
    LINES.map("| {} | b |\n|---|---|\n| c | d |".format),
    st.sampled_from(["```\nRed *code*\n```", "        code", "---", "<!-- Red -->", "[a]: http://a.b/c"]),
)
PAGES = st.lists(PARAGRAPHS, max_size=6).map(lambda blocks: "\n\n".join(["Begin.", *blocks]) + "\n")


def check_round_trip(folder: Path, content: str) -> None:
    path = page(folder, content)
    assert answered(path, str).decode() == content
    output, count = rewriter(path), 0
    for unit, source in enumerate(sources(path), 1):
        try:
            output.put(unit, longer(source))
            count += 1
        except DataError as error:  # what is not written is named
            assert "would not be read as marks" in str(error) or "apart from" in str(error)  # noqa: PT017
    result = output.content().decode()
    for part in (
        "`code`",
        "](a.md)",
        "```\nRed *code*\n```",
        "    code\n",
        "<!-- Red -->",
        "[a]: http://a.b/c",
        "~~",
        "<br>",
        "\n## ",
        "\n> ",
        "\n- ",
    ):
        assert result.count(part) == content.count(part), part
    assert result.replace("\n", " ").count("So ") == count


@on_generated_files
def test_generated_pages_come_back(tmp_path: Path, count: int) -> None:
    over(count, lambda content: check_round_trip(tmp_path, content), content=PAGES)


def test_the_package_markdown_it_reads_the_same_structure(tmp_path: Path) -> None:
    markdown_it = judge("markdown_it", "markdown-it-py", "dev")
    parser = markdown_it.MarkdownIt("commonmark").enable("table").enable("strikethrough")

    def structure(text: str) -> list[tuple[str, Any, str]]:
        tokens = [token for block in parser.parse(text) for token in [block, *(block.children or ())]]
        marks = [token for token in tokens if token.type not in ("text", "softbreak", "text_special", "inline", "html_block")]
        return [(token.type, token.attrs.get("href"), token.content if "code" in token.type else "") for token in marks]

    content = PAGE.split("---\n\n", 1)[1]
    before, behind = structure(content), structure(answered(page(tmp_path, content), longer).decode())
    assert before == behind
    assert len(before) > 70
