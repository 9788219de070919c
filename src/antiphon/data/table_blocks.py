"""Reads text tables as data frames: blocks of whole lines of .csv and .tsv files, each parsed by polars.

Unusual: polars pads short rows and skips blank lines without a word, so cells and lines of each block are counted. Whatever is not as
regular as that (`IrregularError`) is to be read again row by row, by the readers that all tasks use, which say what is wrong and where.
"""

import csv
import zlib
from collections.abc import Iterator, Set
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import zstandard

from antiphon.contracts.reader import IrregularError
from antiphon.data.byte_streams import open_bytes

if TYPE_CHECKING:
    import polars

_BLOCK = 16 * 2**20
_MARK = b"\xef\xbb\xbf"


def blocks_of(path: Path, quotes: bool) -> Iterator[bytes]:
    """The file in blocks of whole lines, without blank lines at its end."""
    rest, first = b"", True
    try:
        with open_bytes(path) as file:
            while True:
                read = file.read(_BLOCK)
                if not read:
                    break
                rest += read
                if first:
                    rest, first = rest.removeprefix(_MARK), False
                cut = _before_blank_lines(rest, _last_end(rest, quotes))
                if cut:
                    block, rest = rest[:cut], rest[cut:]
                    yield block
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise IrregularError from error
    last = rest.rstrip(b"\r\n")
    if last:
        yield last + b"\n"


def _before_blank_lines(text: bytes, cut: int) -> int:
    """The end of the last line that is not blank: blank ones after it may be the end of the file."""
    while text.endswith((b"\n\n", b"\n\r\n"), 0, cut):
        cut = text.rfind(b"\n", 0, cut - 1) + 1
    return cut


def _last_end(text: bytes, quotes: bool) -> int:
    """The end of the last complete line; line ends within quotes do not count."""
    cut = text.rfind(b"\n") + 1
    if not quotes or b'"' not in text or text.count(b'"', 0, cut) % 2 == 0:
        return cut
    array = np.frombuffer(text, dtype=np.uint8)
    ends = np.flatnonzero((array == 10) & ~_quoted(array))
    return int(ends[-1]) + 1 if len(ends) else 0


def _quoted(array: np.ndarray) -> np.ndarray:
    """The bytes that are within quotes."""
    inside: np.ndarray = np.logical_xor.accumulate(array == 34)
    return inside


def names_in(line: bytes, separator: str, quotes: bool) -> list[str]:
    """The names of columns in a header line."""
    try:
        text = line.decode().removesuffix("\r")
        names = next(csv.reader([text], strict=True, delimiter=separator)) if quotes else text.split(separator)
    except (UnicodeDecodeError, csv.Error, StopIteration) as error:
        raise IrregularError from error
    if len(set(names)) != len(names):
        raise IrregularError
    return names


def parsed(
    block: bytes, names: list[str], separator: str, quotes: bool, *, numbers: Set[str], repeated: Set[str] = frozenset(), decimal: str = "."
) -> "polars.DataFrame":
    """Lines as a data frame: columns with only numbers as numbers, all others as text; `repeated` ones are categories."""
    import polars

    _check_text(block)
    frame = None
    for kind in (polars.Float64, polars.String) if decimal == "." else (polars.String,):
        try:
            frame = polars.read_csv(
                block,
                has_header=False,
                separator=separator,
                quote_char='"' if quotes else None,
                schema={name: kind if name in numbers else polars.Categorical if name in repeated else polars.String for name in names},
            )
            break
        except polars.exceptions.PolarsError:
            continue
    if frame is None:
        raise IrregularError
    array = np.frombuffer(block, dtype=np.uint8)
    ends, separators = array == 10, array == ord(separator)
    if quotes and b'"' in block:
        outside = ~_quoted(array)
        ends, separators = ends & outside, separators & outside
    lines, cells = np.count_nonzero(ends), np.count_nonzero(separators)
    if frame.height != lines or cells != lines * (len(names) - 1):
        raise IrregularError
    return frame if decimal == "." else frame.with_columns(_with_commas(frame[name]) for name in names if name in numbers)


def _with_commas(column: "polars.Series") -> "polars.Series":
    """Texts such as 1,5 as numbers. Not by polars' own option, which also accepts 1.234 as a number slightly above 1."""
    import polars

    found = column.str.strip_chars().str.replace(",", ".", literal=True).cast(polars.Float64, strict=False)
    if found.null_count() != column.null_count() or column.str.contains(".", literal=True).any():
        raise IrregularError
    return found


def _check_text(block: bytes) -> None:
    if b"\0" in block:
        raise IrregularError
    if not block.isascii():
        try:
            block.decode()
        except UnicodeDecodeError as error:
            raise IrregularError from error
