"""Reads lines of text from a path: handles compression, encoding and line ends, with errors that name the file, the line and the byte.

Unusual here: a line ends at "\\n" or "\\r\\n" and nowhere else. `str.splitlines` also splits at U+2028, U+0085 and form feeds, which
real text contains, and so silently shifts one of two line-aligned files against the other.
"""

import codecs
import difflib
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import zstandard

from antiphon.errors import DataError, nearest

COMPRESSIONS = (".gz", ".zst")

_BLOCK = 1 << 16
_ALIKE = 0.75  # the stems of two names, where one is a slip of the other: not `gas.tsv` for `train.tsv`
_MARKS = (  # those of UTF-32 begin like those of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def check_file(path: Path) -> None:
    """Raise DataError unless `path` is a file that is not empty."""
    if path.is_dir():
        raise DataError(f"`{path}` must be a file, but is a folder. Name the files in it one by one.")
    if not path.exists():
        raise DataError(f"There is no file `{path}`.{_what_is_there(path)}")
    if path.stat().st_size == 0:
        raise DataError(f"`{path}` is empty: it has no bytes.")


def _what_is_there(path: Path) -> str:
    """A hint for a missing file: one with a similar name, or one in another folder, since paths in a recipe are relative to the recipe."""
    missing = next(part for part in (*reversed(path.parents), path) if not part.exists())
    alike = [entry.name for entry in missing.parent.iterdir() if difflib.SequenceMatcher(None, entry.stem, missing.stem).ratio() >= _ALIKE]
    hint = nearest(missing.name, sorted(alike), 0.7)
    if missing != path:
        return f" The folder `{missing}` does not exist either.{hint}"
    return hint or _elsewhere(path)


def _elsewhere(path: Path) -> str:
    """A hint that the current folder has the file, which was looked for in another one."""
    here = Path.cwd()
    for count in range(1, len(path.parts)):
        found = here.joinpath(*path.parts[-count:])
        if found.is_file() and here != path.parent:
            return f" A recipe's paths begin at the folder of the recipe; did you mean `{found}`?"
    return ""


def open_bytes(path: Path) -> io.BufferedReader:
    """Open a plain, .gz or .zst file for reading, decompressing as it streams."""
    check_file(path)
    if path.suffix == ".gz":
        return io.BufferedReader(gzip.open(path, "rb"), _BLOCK)
    if path.suffix == ".zst":
        return io.BufferedReader(_ZstdStream(path), _BLOCK)
    return io.BufferedReader(io.FileIO(path), _BLOCK)


def mark_of(opening: bytes) -> tuple[bytes, str]:
    """The byte order mark at the beginning of a file, and its encoding; both empty without one."""
    return next(((mark, encoding) for mark, encoding in _MARKS if opening.startswith(mark)), (b"", ""))


def packed(content: bytes, path: Path) -> bytes:
    """The bytes of a file with this content, compressed if its name ends in .gz or .zst."""
    if path.suffix == ".gz":
        return gzip.compress(content, mtime=0)
    return zstandard.ZstdCompressor().compress(content) if path.suffix == ".zst" else content


def open_text(path: Path) -> io.BufferedReader:
    """Open a text file like `open_bytes`, without a UTF-8 byte order mark; files with a mark of UTF-16 or UTF-32 are read as UTF-8.

    Raises DataError for what is no text.
    """
    stream = open_bytes(path)
    try:
        opening = stream.peek(_BLOCK)
        mark, encoding = mark_of(opening)
        stream.read(len(mark))
        if encoding not in ("", "utf-8"):
            return io.BufferedReader(_Recoded(path, stream, encoding), _BLOCK)
        if b"\0" in opening:
            if (wide := _wide_encoding(opening)) is not None:
                raise DataError(f"`{path}` looks like {wide.upper()} without its mark. Convert it: iconv -f {wide.upper()} -t UTF-8.")
            raise DataError(f"`{path}` looks like a binary file: its first block holds NUL bytes. A text file was expected.")
    except BaseException:
        stream.close()
        raise
    return stream


def _wide_encoding(opening: bytes) -> str | None:
    """The encoding of text with two bytes per character and no byte order mark, if it is mostly ASCII; None for other bytes."""
    even, odd = opening[0::2].count(0), opening[1::2].count(0)
    half = len(opening) // 2
    for encoding, zeros, others in (("utf-16le", odd, even), ("utf-16be", even, odd)):
        if zeros > half // 2 and not others:
            return encoding
    return None


def opening_of(path: Path) -> bytes:
    """The first 64 KiB of a file, decompressed; text is converted to UTF-8. Raises DataError for a missing, empty or damaged file."""
    try:
        with open_bytes(path) as file:
            opening = file.peek(_BLOCK)
        if mark_of(opening) == (b"", ""):
            return opening
        with open_text(path) as text:
            return text.peek(_BLOCK)
    except DAMAGES as error:
        raise damaged(path, 0, error) from error


class _Recoded(io.RawIOBase):
    """Text in UTF-16 or UTF-32, whose byte order mark has been read, converted to UTF-8."""

    def __init__(self, path: Path, stream: io.BufferedReader, encoding: str):
        self._path, self._stream, self._encoding = path, stream, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        ended = False
        while not self._ready and not ended:
            block = self._stream.read1(_BLOCK)
            ended = not block
            try:
                self._ready = memoryview(self._decoder.decode(block, final=ended).encode("utf-8"))
            except UnicodeError as error:
                raise DataError(
                    f"`{self._path}` must be {self._encoding}, as its byte order mark says, but is not ({error}). Convert it to UTF-8."
                ) from error
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def close(self) -> None:
        self._stream.close()
        super().close()


class _ZstdStream(io.RawIOBase):
    """A zstd file of one or several frames. zstandard's own reader takes a truncated frame as a normal end; this one raises EOFError."""

    def __init__(self, path: Path):
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 -- closed by `close`
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._inside_frame = False
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            block = self._file.read(_BLOCK)
            if not block:
                if self._inside_frame:
                    raise EOFError("Compressed file ended before the end-of-stream marker was reached")
                return 0
            self._ready = memoryview(self._decompress(block))
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def _decompress(self, block: bytes) -> bytes:
        parts = []
        while block:
            parts.append(self._frame.decompress(block))
            block = self._frame.unused_data if self._frame.eof else b""
            self._inside_frame = not self._frame.eof
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
        return b"".join(parts)

    def close(self) -> None:
        self._file.close()
        super().close()


DAMAGES = (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError)
"""What reading a packed file raises that is cut off or damaged."""


def read_lines(path: Path, encoding: str = "utf-8", *, with_ends: bool = False) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end, unless `with_ends`). A UTF-8 byte order mark is skipped, one of UTF-16 determines
    the encoding.

    Raises DataError for a missing, empty, binary, truncated or wrongly encoded file.
    """
    number = 0
    try:
        with open_text(path) as stream:
            found = "utf-8" if isinstance(stream.raw, _Recoded) else encoding
            for number, line in lines_of(stream, path, found, with_ends=with_ends):
                yield number, line
    except DAMAGES as error:
        raise damaged(path, number, error) from error
    if number == 0:
        raise DataError(f"`{path}` is empty: it has no lines.")


def lines_of(stream: Iterable[bytes], path: Path, encoding: str, *, with_ends: bool = False) -> Iterator[tuple[int, str]]:
    """Like `read_lines`, for an open stream; `path` is only used in errors."""
    for number, raw in enumerate(stream, 1):
        line = _decode(path, number, raw, encoding)
        yield number, line if with_ends else line.removesuffix("\n").removesuffix("\r")


def damaged(path: Path, lines: int, error: Exception) -> DataError:
    """The error for a compressed file of which only some lines can be read."""
    kind = "cut off" if isinstance(error, EOFError) else f"damaged, or not a {path.suffix} file ({error})"
    return DataError(f"`{path}` is {kind}: {lines} lines could be read before. Copy or download it again.")


def _decode(path: Path, number: int, raw: bytes, encoding: str) -> str:
    try:
        line = raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}:{number}: byte {error.start + 1} of the line (0x{raw[error.start]:02x}) is not {encoding}, which was expected. "
            "Convert the file, or set `encoding` of this file, for instance to latin-1."
        ) from error
    if "\0" in line:
        raise DataError(
            f"{path}:{number}: character {line.index(chr(0)) + 1} of the line is a NUL, which no text holds. Remove it from the file."
        )
    return line
