"""Decodes a PO file with the encoding in its header, so that it can be written in the same way."""

import codecs
import re
from dataclasses import dataclass
from typing import final

from antiphon.contracts.reader import Reading
from antiphon.data.byte_streams import DAMAGES, damaged, mark_of, open_bytes
from antiphon.errors import DataError

_CHARSET = re.compile(rb"charset=([\w.:-]+)", re.IGNORECASE)


@final
@dataclass(frozen=True)
class PoText:
    """A text with its byte order mark, if it has one, and its line ends; `encoding` restores the same bytes."""

    text: str
    encoding: str

    @staticmethod
    def of(reading: Reading) -> "PoText":
        """The text of a file: a byte order mark takes precedence, then `encoding` in the recipe, then the header; the default is UTF-8.

        Raises DataError for bytes that are not in this encoding, and for an encoding that nobody knows.
        """
        path = reading.path
        try:
            with open_bytes(path) as file:
                content = file.read()
        except DAMAGES as error:
            raise damaged(path, 0, error) from error
        encoding = _encoding(content, reading)
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError as error:
            line = 1 + content.count(b"\n", 0, error.start)
            raise DataError(
                f"{path}:{line} must be {encoding}, but byte 0x{content[error.start]:02x} is not. Write the right charset into its header,"
                " or convert it with `msgconv -t UTF-8`."
            ) from error
        return PoText(text, encoding)

    @property
    def line_end(self) -> str:
        """The line end of its first line."""
        end = self.text.find("\n")
        return "\r\n" if end > 0 and self.text[end - 1] == "\r" else "\n"

    def can_write(self, text: str) -> bool:
        """Whether the encoding has all of these characters."""
        try:
            text.encode(self.encoding)
        except UnicodeEncodeError:
            return False
        return True


def _encoding(content: bytes, reading: Reading) -> str:
    _, marked = mark_of(content)
    if marked:
        return marked
    if reading.file.encoding != "utf-8":
        return reading.file.encoding
    found = _CHARSET.search(content)
    name = found[1].decode("ascii", "replace") if found else "utf-8"
    if name == "CHARSET":  # a template's
        return "utf-8"
    try:
        "".encode(name)  # some codecs are no encodings of text
        return codecs.lookup(name).name
    except (LookupError, ValueError) as error:
        raise DataError(f"`{reading.path}` must have a charset in its header that is known, such as UTF-8, but has {name}.") from error
