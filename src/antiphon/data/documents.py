"""A folder of texts as records: each `*.txt` in it and in its subfolders is one document.

A record has the document in the column that the task reads, and its name, relative to the folder, in the column `file`. They come in the
order of their names. White space, line ends included, becomes a single space, as in tables, where a document is one line, unless the task
wants texts as they are written; then only the line end behind the last line is left out.

Unusual here: an empty file is a record, too. What makes of it is the reader's: training drops and counts it, prediction keeps its place.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import final

from antiphon.contracts.files import FileConfig
from antiphon.contracts.records import Record, Records, Skipped
from antiphon.data.formats import folder_reader, readers
from antiphon.errors import DataError

FILE = "file"
"""The column with a document's name."""


def open_documents(
    file: FileConfig, base: Path, required: Sequence[str], column: str, *, as_written: bool = False
) -> "DocumentFolder | None":
    """The documents in a folder, or None when `file` is not a folder, or is a data set; `as_written` keeps their white space.

    Raises DataError when there is no document, or when records must have other columns than `column`.
    """
    path = None if file.path is None else base / Path(file.path).expanduser()
    if path is None or not path.is_dir() or file.format is not None or folder_reader(path) is not None:
        return None
    return DocumentFolder(path, required, column, file.encoding, as_written)


@final
class DocumentFolder(Records):
    """The texts in a folder and its subfolders, sorted by name."""

    def __init__(self, folder: Path, required: Sequence[str], column: str, encoding: str = "utf-8", as_written: bool = False):
        self.folder, self.column, self._as_written = folder, column, as_written
        self._encoding = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
        missing = [name for name in required if name not in (column, FILE)]
        if missing:
            raise DataError(
                f"Records must have the column `{missing[0]}`, but a folder of texts such as `{folder}` has only `{column}` and `{FILE}`."
                " Name a table, such as a .jsonl file."
            )
        self.names = tuple(sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.txt") if self._is_document(path)))
        if not self.names:
            raise DataError(f"`{folder}` must have texts in it (.txt, one for each document), but has none.")

    def _is_document(self, path: Path) -> bool:
        return path.is_file() and not any(part.startswith(".") for part in path.relative_to(self.folder).parts)

    def __call__(self) -> Iterator[tuple[int, Record]]:
        """Read the documents one by one."""
        for number, name in enumerate(self.names):
            yield number, {self.column: self._read(self.folder / name), FILE: name}

    def place(self, number: int) -> str:
        """The name of the file."""
        return f"`{self.folder / self.names[number]}`"

    def signature(self) -> str:
        """Depends on the names, sizes and modification times of the files."""
        stats = [(name, found.st_size, found.st_mtime_ns) for name in self.names for found in [(self.folder / name).stat()]]
        read = [self._encoding, *(["as written"] if self._as_written else [])]
        return hashlib.sha256(repr([stats, self.column, *read]).encode("utf-8", "surrogatepass")).hexdigest()

    def count(self) -> int:
        """The number of documents."""
        return len(self.names)

    def skipped(self) -> Mapping[str, Skipped]:
        """Files in other text formats than plain text."""
        known = {suffix for plugin in readers() if plugin.back is not None for suffix in plugin.suffixes} - {".txt", ".text"}
        others = sorted(path for path in self.folder.rglob("*") if path.suffix.lower() in known and self._is_document(path))
        return {"no plain text": Skipped(len(others), tuple(map(str, others[:20])))} if others else {}

    def _read(self, path: Path) -> str:
        try:
            text = path.read_bytes().decode(self._encoding)
            return text.removesuffix("\n") if self._as_written else " ".join(text.split())
        except UnicodeDecodeError as error:
            raise DataError(
                f"`{path}` must be {self._encoding.removesuffix('-sig').upper()}, but byte {error.start + 1} is not. Convert it."
            ) from error
        except OSError as error:
            raise DataError(f"`{path}` cannot be read: {error.strerror}.") from error
