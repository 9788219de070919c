"""Arrow: files and streams of its IPC format (.arrow, .feather, .ipc), and folders of them, partitioned or not.

Format: https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc. Feather version 2 is the file.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from antiphon.data.byte_streams import COMPRESSIONS, check_file
from antiphon.errors import DataError
from antiphon.readers.columnar import columnar_reader

if TYPE_CHECKING:
    import polars


def scan(path: Path) -> "polars.LazyFrame":
    """A lazily read file, or a stream. Raises DataError where it is neither."""
    import polars

    check_file(path)
    if path.suffix in COMPRESSIONS:
        raise DataError(f"`{path}` must be a plain Arrow file, but is compressed from outside. Unpack it; Arrow compresses by itself.")
    with open(path, "rb") as file:
        opening = file.read(6)
    if opening.startswith(b"FEA1"):
        raise DataError(f"`{path}` is of version 1 of Feather, which nobody writes any more. Write it again as Feather 2, or as parquet.")
    if opening == b"ARROW1":
        return polars.scan_ipc(path, glob=False, hive_partitioning=False)
    try:
        return polars.read_ipc_stream(path).lazy()
    except polars.exceptions.PolarsError as error:
        raise DataError(f"`{path}` cannot be read as Arrow: {str(error).splitlines()[0]}.") from error


plugin = columnar_reader(
    "arrow", "Arrow IPC and Feather, read batch by batch, also a folder of partitions", (".arrow", ".feather", ".ipc"), scan
)
