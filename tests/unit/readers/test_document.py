"""Plain text is read by paragraph and sentence where that is asked for, and comes back in its shape."""

from pathlib import Path

import pytest

from antiphon.contracts.files import FileConfig
from antiphon.data.named_files import files_of
from antiphon.errors import DataError
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
