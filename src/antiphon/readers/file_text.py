"""Reads a file that is to be written again: nothing in its text is changed, neither line ends nor a byte order mark."""

import codecs
from dataclasses import dataclass
from pathlib import Path
from typing import final

from antiphon.data.byte_streams import COMPRESSIONS, check_file, mark_of
from antiphon.errors import DataError


@final
@dataclass(frozen=True)
class FileText:
    """A text, and how it is encoded in its file."""

    text: str
    encoding: str
    mark: bytes = b""
    """The byte order mark before it."""

    def content(self, text: str) -> bytes:
        """The bytes of the same file with another text."""
        return self.mark + text.encode(self.encoding)

    def check_writable(self, text: str) -> None:
        """Raise DataError, as the end of a sentence about a unit, when the file's encoding cannot represent a text."""
        try:
            text.encode(self.encoding)
        except UnicodeEncodeError as error:
            raise DataError(
                f"the translation has {text[error.start]!r}, which {self.encoding}, the encoding of the file, cannot write; convert the"
                " file to UTF-8"
            ) from error


def file_text(path: Path, encoding: str) -> FileText:
    """Read a file as text. A byte order mark takes precedence.

    Raises DataError for a file that is missing, empty, packed, binary or of another encoding, with the line.
    """
    check_file(path)
    if path.suffix.lower() in COMPRESSIONS:
        raise DataError(f"`{path}` must not be compressed, since translations are written back into it. Unpack it first.")
    data = path.read_bytes()
    named = "utf-8" if codecs.lookup(encoding).name == "utf-8-sig" else encoding
    mark, marked = mark_of(data)
    encoding = marked or named
    try:
        text = data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: len(mark) + error.start].count(b"\n") + 1
        raise DataError(
            f"{path}:{line}: byte 0x{data[len(mark) + error.start]:02x} is not {encoding}, which was expected. Convert the file, or set"
            " `encoding` of this file, for instance to latin-1."
        ) from error
    if "\0" in text:
        raise DataError(f"`{path}` looks like a binary file: it holds NUL characters. A text file was expected.")
    return FileText(text, encoding, mark)
