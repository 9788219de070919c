"""Columnar data sets, parquet and Arrow: one file, or a folder of them, whose names may contain values (`region=north/part-0.parquet`).

Folders in a folder that are called `column=value` are partitions, as Apache Hive names them; Spark, pyarrow, DuckDB and polars write them.
The values are whole numbers where all of a column are written so, else texts. Files whose names begin with . or _ are no data.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from antiphon.contracts.reader import IrregularError, Located, ReaderPlugin, Reading
from antiphon.data.fields import check_columns, with_fields
from antiphon.data.splits import split_of
from antiphon.errors import DataError

if TYPE_CHECKING:
    import polars

_ROWS = 500_000
_WHOLE = re.compile(r"0|-?[1-9]\d{0,17}")
_NOTHING = "__HIVE_DEFAULT_PARTITION__"

Scan = Callable[[Path], "polars.LazyFrame"]


def columnar_reader(name: str, summary: str, suffixes: tuple[str, ...], scan: Scan) -> ReaderPlugin:
    """The reader for files with these suffixes, and for folders of them; `scan` opens one file lazily."""
    return ReaderPlugin(
        name=name,
        summary=summary,
        suffixes=suffixes,
        read=lambda reading: rows_in(reading, scanned_parts(reading, suffixes, scan)),
        is_folder=lambda path: is_folder_of(path, suffixes),
        settings=frozenset({"columns"}),
        frames=lambda reading, columns: batches_in(scanned_parts(reading, suffixes, scan), columns),
        has_lines=False,
        files=lambda path: parts_of(path, suffixes),
    )


@dataclass(frozen=True)
class Part:
    """One file of a data set, with the columns that the names of its folders give."""

    path: Path
    frame: "polars.LazyFrame"


def is_folder_of(folder: Path, suffixes: Sequence[str]) -> bool:
    """Whether a folder holds such files, or partitions with such files. Does not look into other folders.

    Files that are called by splits, and those of a saved data set, are `hf_datasets`.
    """
    entries = [entry for entry in folder.iterdir() if not _hidden(entry)]
    files = [entry for entry in entries if entry.suffix.lower() in suffixes and entry.is_file()]
    if files:
        return not (folder / "state.json").exists() and all(split_of(entry.name) is None for entry in files)
    return any("=" in entry.name and entry.is_dir() and is_folder_of(entry, suffixes) for entry in entries)


def parts_of(path: Path, suffixes: Sequence[str]) -> Iterator[Path]:
    """The files of a data set, sorted by name."""
    if not path.is_dir():
        yield path
        return
    for entry in sorted(path.iterdir()):
        if _hidden(entry):
            continue
        if entry.is_dir() and "=" in entry.name:
            yield from parts_of(entry, suffixes)
        elif entry.is_file() and entry.suffix.lower() in suffixes:
            yield entry


def _hidden(path: Path) -> bool:
    return path.name.startswith((".", "_"))


def scanned_parts(reading: Reading, suffixes: Sequence[str], scan: Scan) -> Iterator[Part]:
    """The files of a data set, each of which is opened only when it is needed."""
    import polars

    paths = list(parts_of(reading.path, suffixes))
    texts = [_partition(reading.path, path) for path in paths]
    whole = {name for one in texts for name in one}
    whole = {name for name in whole if all(_WHOLE.fullmatch(one.get(name) or "0") for one in texts)}
    for path, text in zip(paths, texts, strict=True):
        partition = {name: value if value is None or name not in whole else int(value) for name, value in text.items()}
        frame = scan(path).with_columns(polars.lit(value).alias(name) for name, value in partition.items())
        if reading.file.columns:
            check_columns(_names(path, frame), reading.file.columns, f"`{path}`")
            frame = frame.select(reading.file.columns)
        yield Part(path, frame)


def _partition(folder: Path, path: Path) -> dict[str, str | None]:
    names = path.parent.relative_to(folder).parts if path != folder else ()
    pairs = [name.split("=", 1) for name in names]
    return {unquote(name): None if value == _NOTHING else unquote(value) for name, value in pairs}


def _names(path: Path, frame: "polars.LazyFrame") -> list[str]:
    """The columns of a file."""
    import polars

    try:
        return frame.collect_schema().names()
    except polars.exceptions.PolarsError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    kind = "parquet" if path.suffix in (".parquet", ".pq") else "Arrow"
    return DataError(f"`{path}` cannot be read as {kind}: {str(error).splitlines()[0]}.")


def rows_in(reading: Reading, parts: Iterator[Part]) -> Located:
    """A record for each row; a required column may be a nested field. Raises DataError for unreadable files, and where there are no
    rows."""
    import polars

    number, required = 0, reading.required
    for part in parts:
        there = _names(part.path, part.frame)
        check_columns(there, [name for name in required if name.split(".")[0] not in there], f"`{part.path}`")
        try:
            for batch in part.frame.collect_batches(chunk_size=1024, maintain_order=True):
                for record in batch.iter_rows(named=True):
                    number += 1
                    whole = with_fields(record, required)
                    check_columns(whole, required, f"{reading.path}: row {number}")
                    yield number, whole
        except polars.exceptions.PolarsError as error:
            raise _unreadable(part.path, error) from error
    if number == 0:
        raise DataError(f"`{reading.path}` has columns but no records.")


def batches_in(parts: Iterator[Part], columns: Sequence[str] | None) -> Iterator["polars.DataFrame"]:
    """All rows in data frames. Raises IrregularError where columns are missing, where a file cannot be read, and where there are no
    rows."""
    import polars

    empty = True
    try:
        for part in parts:
            frame = part.frame
            if columns is not None:
                if not set(columns) <= set(frame.collect_schema().names()):
                    raise IrregularError
                frame = frame.select(columns)
            for batch in frame.collect_batches(chunk_size=_ROWS, maintain_order=True):
                empty = empty and not batch.height
                yield batch
    except (polars.exceptions.PolarsError, OSError) as error:
        raise IrregularError from error
    if empty:
        raise IrregularError
