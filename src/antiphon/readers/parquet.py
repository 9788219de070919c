"""Parquet, read in batches: a file, or a folder of files, partitioned or not."""

from pathlib import Path
from typing import TYPE_CHECKING

from antiphon.data.byte_streams import COMPRESSIONS, check_file
from antiphon.errors import DataError
from antiphon.readers.columnar import columnar_reader

if TYPE_CHECKING:
    import polars


def scan(path: Path) -> "polars.LazyFrame":
    """A lazily read file. Raises DataError if it is not parquet."""
    import polars

    if path.suffix in COMPRESSIONS:
        raise DataError(f"`{path}` must be a plain .parquet file, but is compressed from outside. Parquet compresses by itself: unpack it.")
    check_file(path)
    return polars.scan_parquet(path, glob=False, hive_partitioning=False)


plugin = columnar_reader(
    "parquet", "read batch by batch, also a folder of partitions; fields within structs as `translation.en`", (".parquet", ".pq"), scan
)
