"""Parquet, read batch by batch: a file, or a folder of files, in partitions or not."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from antiphon.contracts.reader import Located, ReaderPlugin, Reading
from antiphon.data.byte_streams import COMPRESSIONS, check_file
from antiphon.errors import DataError
from antiphon.readers.columnar import batches_in, is_folder_of, parts_of, rows_in, scanned_parts

if TYPE_CHECKING:
    import polars

_SUFFIXES = (".parquet", ".pq")


def scan(path: Path) -> "polars.LazyFrame":
    """A file, of which nothing is read yet. Raises DataError where it is none."""
    import polars

    if path.suffix in COMPRESSIONS:
        raise DataError(f"`{path}` must be a plain .parquet file, but is compressed from outside. Parquet compresses by itself: unpack it.")
    check_file(path)
    return polars.scan_parquet(path, glob=False, hive_partitioning=False)


def read(reading: Reading) -> Located:
    """A record a row; a required column may be a field within another, such as `translation.en`."""
    return rows_in(reading, scanned_parts(reading, _SUFFIXES, scan))


def frames(reading: Reading, columns: tuple[str, ...] | None) -> "Iterator[polars.DataFrame]":
    """The same in frames."""
    return batches_in(scanned_parts(reading, _SUFFIXES, scan), columns)


plugin = ReaderPlugin(
    name="parquet",
    summary="read batch by batch, also a folder of partitions; fields within structs as `translation.en`",
    suffixes=_SUFFIXES,
    read=read,
    is_folder=lambda path: is_folder_of(path, _SUFFIXES),
    settings=frozenset({"columns"}),
    frames=frames,
    has_lines=False,
    files=lambda path: parts_of(path, _SUFFIXES),
)
