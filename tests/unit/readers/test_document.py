"""Plain text is read by paragraph and sentence where that is asked for, and comes back in its shape."""

import re
from pathlib import Path

import pytest
from hypothesis import strategies as st

from antiphon.contracts.files import FileConfig
from antiphon.data.named_files import files_of
from antiphon.errors import DataError
from tests.generated import on_generated_files, over
from tests.round_trips import answered, sources

TEXT = """\
Title of it

This is a paragraph that is long enough to be broken into lines by
somebody. And it goes on here with more words than one line could
ever hold, so it has three lines.
  - An item which is long enough to be broken into lines by the one
    who wrote it.
  - Another.

Jane Doe
12 Street
"""


def test_paragraphs_are_read_by_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(TEXT)
    assert sources(path, format="document") == [
        "Title of it",
        "This is a paragraph that is long enough to be broken into lines by somebody.",
        "And it goes on here with more words than one line could ever hold, so it has three lines.",
        "An item which is long enough to be broken into lines by the one who wrote it.",
        "Another.",
        "Jane Doe",
        "12 Street",
    ]
    assert answered(path, str, format="document") == TEXT.encode()
    result = answered(path, lambda source: f"So {source}", format="document").decode()
    assert "So Title of it\n\nSo This is a paragraph" in result
    assert (
        "\n  - So An item which is long enough to be broken into lines by the\n    one who wrote it.\n  - So Another.\n\nSo Jane Doe\nSo 12"
        in result
    )
    assert max(map(len, result.splitlines())) <= 67


def test_a_folder_of_documents_is_its_pages(tmp_path: Path) -> None:
    for name, content in (("a.md", "One."), ("b.html", "<p>Two."), ("d.png", "x")):
        (tmp_path / name).write_text(content)
    assert [name for _, name in files_of(FileConfig(path="."), tmp_path)] == ["a.md", "b.html"]


def test_plain_texts_in_a_folder_are_what_is_meant(tmp_path: Path) -> None:
    """A page beside them may be about them; of other files it is not known."""
    for name, content in (("a.md", "One."), ("c.txt", "Three.")):
        (tmp_path / name).write_text(content)
    assert files_of(FileConfig(path="."), tmp_path) == [(FileConfig(path="."), None)]
    (tmp_path / "e.srt").write_text("x")
    with pytest.raises(DataError, match=r"has plain texts in it, such as `c\.txt`, and files of another kind, such as `e\.srt`"):
        files_of(FileConfig(path="."), tmp_path)


def test_a_folder_of_plain_texts_is_what_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One.")
    assert files_of(FileConfig(path="."), tmp_path) == [(FileConfig(path="."), None)]


WORDS = st.sampled_from(["House", "red.", "A long word", "%s", "{name}", "Straße,", "我们。", "e.g.", "3.", "https://a.b/c", "ja", "-x"])
LINES = st.lists(WORDS, min_size=1, max_size=14).map(" ".join)
LEADS = st.sampled_from(["", "", "  ", "- ", "  * ", "12) ", "> "])
PARAGRAPHS = st.lists(st.tuples(LEADS, LINES).map("".join), min_size=1, max_size=5).map("\n".join)
TEXTS = st.lists(PARAGRAPHS, max_size=5).map(lambda found: "\n\n".join(["Begin.", *found]))


def check_round_trip(path: Path, text: str, end: str, final: bool) -> None:
    content = (text + "\n" * final).replace("\n", end)
    path.write_bytes(content.encode())
    assert answered(path, str, format="document").decode() == content
    asked = sources(path, format="document")
    result = answered(path, lambda source: f"{source} Ω", format="document").decode()
    assert result.count("Ω") == len(asked)
    assert result.replace("Ω", "").split() == content.split(), "words and their order"
    blank = re.compile(rf"(?:{end}[ \t]*){{2,}}")
    assert len(blank.findall(result)) == len(blank.findall(content)), "paragraphs"
    assert result.count("\r") == (result.count("\n") if end == "\r\n" else 0)


@on_generated_files
def test_generated_documents_come_back(tmp_path: Path, count: int) -> None:
    def generated(text: str, end: str, final: bool) -> None:
        check_round_trip(tmp_path / "a.txt", text, end, final)

    over(count, generated, text=TEXTS, end=st.sampled_from(["\n", "\r\n"]), final=st.booleans())
