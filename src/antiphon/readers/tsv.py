"""Tab-separated tables.

Unusual here: nothing is quoted, as translation corpora are full of unpaired quotation marks; `csv` is the format with quotes.
"""

from antiphon.contracts.reader import Located, ReaderPlugin, Reading
from antiphon.data.byte_streams import read_lines
from antiphon.data.tables import rows_of


def read(reading: Reading) -> Located:
    """A record for each line, after a first line with the names of the columns."""
    lines = read_lines(reading.path, reading.file.encoding)
    rows = ((number, line.split("\t") if line else []) for number, line in lines)
    return rows_of(reading.path, rows, reading.file.columns, reading.required, "\t")


plugin = ReaderPlugin(
    name="tsv",
    summary="a tab between values; no quoting, so quotation marks are just characters",
    suffixes=(".tsv", ".tab"),
    read=read,
    settings=frozenset({"encoding", "columns", "decimal"}),
    line_of=lambda file, number: number + 1 + (not file.columns),
    has_types=False,
)
