"""Parquet, read batch by batch."""

from antiphon.contracts.reader import Located, ReaderPlugin, Reading
from antiphon.data.byte_streams import COMPRESSIONS, check_file
from antiphon.data.fields import check_columns, with_fields
from antiphon.errors import DataError


def read(reading: Reading) -> Located:
    """A record a row; a required column may be a field within another, such as `translation.en`."""
    import polars

    path, columns = reading.path, reading.file.columns
    if path.suffix in COMPRESSIONS:
        raise DataError(f"`{path}` must be a plain .parquet file, but is compressed from outside. Parquet compresses by itself: unpack it.")
    check_file(path)
    number = 0
    try:
        frame = polars.scan_parquet(path, glob=False)
        there = frame.collect_schema().names()
        check_columns(there, [*columns, *(name for name in reading.required if name.split(".")[0] not in there)], f"`{path}`")
        for batch in frame.select(columns or polars.all()).collect_batches(chunk_size=1024, maintain_order=True):
            for record in batch.iter_rows(named=True):
                number += 1
                whole = with_fields(record, reading.required)
                check_columns(whole, reading.required, f"{path}: row {number}")
                yield number, whole
    except polars.exceptions.PolarsError as error:
        raise DataError(f"`{path}` cannot be read as parquet: {str(error).splitlines()[0]}.") from error
    if number == 0:
        raise DataError(f"`{path}` has columns but no records.")


plugin = ReaderPlugin(
    name="parquet",
    summary="read batch by batch; fields within structs as `translation.en`",
    suffixes=(".parquet",),
    read=read,
    settings=frozenset({"columns"}),
    has_lines=False,
)
