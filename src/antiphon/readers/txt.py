"""Plain text, a text per line; usually two line-aligned files."""

from antiphon.contracts.reader import Located, ReaderPlugin, Reading
from antiphon.data.byte_streams import read_lines
from antiphon.data.fields import check_columns
from antiphon.errors import DataError


def read(reading: Reading) -> Located:
    """A record for each line, with one column: the source, unless `columns` gives another name."""
    columns = reading.file.columns or (reading.source,)
    if len(columns) != 1:
        raise DataError(f"`columns` of the text file `{reading.path}` must be one name, but is {', '.join(columns)}. A line is one value.")
    if reading.with_targets and reading.target not in columns:
        raise DataError(
            f"`{reading.path}` has one text a line: that is one column, but `{reading.source}` and `{reading.target}` are needed. Name the"
            f" file whose lines belong to it, too: {{source: {reading.path.name}, target: ...}}."
        )
    check_columns(columns, reading.required, f"`{reading.path}`")
    return ((number, {columns[0]: line}) for number, line in read_lines(reading.path, reading.file.encoding))


plugin = ReaderPlugin(
    name="txt",
    summary="one text per line; with `source` and `target` two files side by side",
    suffixes=(".txt", ".text"),
    read=read,
    settings=frozenset({"encoding", "columns"}),
    line_of=lambda _, number: number + 1,
    has_types=False,
)
