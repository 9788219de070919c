"""Reads records into one packed table of series: data frames by columns, everything else row by row.

The numbers of rows run through all sources, so a series may go on in the next file.
"""

import copy
import re
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, final

import numpy as np

from antiphon.contracts.reader import IrregularError
from antiphon.contracts.records import Record, Records
from antiphon.data.file_records import FileRecords
from antiphon.data.records import JoinedRecords
from antiphon.data.series_frames import frames_of, has_types
from antiphon.data.series_table import Packed, Packer, SeriesColumns, SeriesTable
from antiphon.data.series_times import column_times, distinct, looked_up
from antiphon.errors import DataError
from antiphon.features.times import TimesRead

if TYPE_CHECKING:
    import polars

ONE = "series"  # the name of the series of data without a column of ids
_BLOCK = 4096
_COMMA = re.compile(r"-?\d+,\d+")

Progress = Callable[[int], None]
"""Is told from time to time how many rows were read."""


def read_table(source: Iterable[Any], columns: SeriesColumns, required: Sequence[str], progress: Progress | None = None) -> SeriesTable:
    """The series in records, in several sources of them (`JoinedRecords`), or in any rows.

    required   columns that each row must have

    Raises DataError naming the place of the first row that cannot be used, and where there is none.
    """
    reader = TableReader(columns, required, progress)
    for part in source.parts if isinstance(source, JoinedRecords) else (source,):
        reader.read(part)
    return reader.table()


@final
class TableReader:
    """Reads one source after another into a table."""

    def __init__(self, columns: SeriesColumns, required: Sequence[str], progress: Progress | None = None):
        self.columns, self.required, self.progress = columns, required, progress
        self._packer, self._times = Packer(len(columns.numbers)), TimesRead()
        self._sources: list[Iterable[Any]] = []
        self._starts: list[int] = []
        self._odd: int | None = None  # the first row whose time has another offset than that of the first
        self._next = 0  # the number that the next source starts with
        self._decimal = "."  # what parts whole numbers from fractions in the source that is being read

    def read(self, source: Iterable[Any]) -> None:
        """Add all rows of a source. Raises DataError naming the first invalid one."""
        self._sources.append(source)
        self._decimal = source.file.decimal if isinstance(source, FileRecords) else "."
        self._starts.append(self._next)
        mark, first = self._packer.mark(), self._next
        if isinstance(source, Records):
            try:
                frames = frames_of(source, self.columns)
                if frames is not None:
                    for frame in frames:
                        self._frame(frame, typed=has_types(source))
                    return
            except IrregularError:
                self._packer.rewind(mark)
                self._next = first
        records = source() if isinstance(source, Records) else enumerate(source)
        typed = not isinstance(source, Records) or has_types(source)
        while block := list(islice(self._checked(records, first), _BLOCK)):
            self._rows(block, typed=typed)

    def table(self) -> SeriesTable:
        """The table of everything read."""
        if not len(self._packer.names):
            raise DataError(
                "There must be at least one row, but there is none. A forecast is made from the past of the series: name a file that has it"
                " (`--input history.csv`)."
            )
        try:
            style = self._times.style(self.columns.zone)
        except DataError as error:
            place = "" if self._odd is None else f"{self.place(self._odd)}, "
            raise DataError(f"{place}column `{self.columns.time}`: {error}") from None
        return self._packer.table(self.columns, style, self.place)

    def place(self, number: int) -> str:
        """The place of a row."""
        part = bisect_right(self._starts, number) - 1
        source, own = self._sources[part], number - self._starts[part]
        return source.place(own) if isinstance(source, Records) else f"record {own}"

    def _add(self, rows: Packed, after: int) -> None:
        self._packer.add(rows)
        self._next = after
        if self.progress is not None:
            self.progress(after)

    # ------------------------------------------------------------------------------------------------------- by columns

    def _frame(self, frame: "polars.DataFrame", *, typed: bool) -> None:
        columns, first, count = self.columns, self._next, frame.height
        if not count:
            return
        before = copy.deepcopy(self._times)
        try:
            times = column_times(frame[columns.time], self._times)
        except DataError as error:
            raise self._blamed(enumerate(frame[columns.time], first), before, error) from None
        self._look_for_odd(enumerate(frame[columns.time], first))
        row = np.arange(first, first + count)
        if columns.wide:
            names = [name for name in frame.columns if name != columns.time and name not in columns.known]
            owners = np.array([self._packer.names.number(name, typed=True) for name in names], dtype=np.int32)
            of = zip(names, owners, strict=True)
            values = np.concatenate([np.empty(0), *(self._numbers(frame[name], None, row, owner.repeat(count)) for name, owner in of)])
            known = [np.tile(self._numbers(frame[name], name, row), len(names)) for name in columns.known]
            self._add(Packed(owners.repeat(count), np.tile(times, len(names)), [values, *known], np.tile(row, len(names))), first + count)
            return
        owners = self._owners(None if columns.id is None else frame[columns.id], count, typed=typed)
        numbers = [self._numbers(frame[name], name, row, owners) for name in columns.numbers]
        self._statics(frame, owners, row)
        self._add(Packed(owners, times, numbers, row), first + count)

    def _owners(self, names: "polars.Series | None", count: int, *, typed: bool) -> np.ndarray:
        """The series number of each row."""
        import polars

        number = self._packer.names.number
        if names is None:
            return np.full(count, number(ONE, typed=True), dtype=np.int32)
        if names.dtype.is_nested() or names.dtype == polars.Object:
            return np.array([number(str(name), typed=True) for name in names], dtype=np.int32)
        if names.null_count():
            raise self._nameless(self._next + int(names.is_null().arg_max() or 0))
        if isinstance(names.dtype, polars.String | polars.Categorical | polars.Enum):
            numbers, found, different = distinct(names)
            if "" in different:
                raise self._nameless(self._next + int(np.argmax(numbers == found[different.index("")])))
        else:
            numbers, found, _ = distinct(names.cast(polars.String))
            different = names.gather(names.arg_unique()).to_list()
        return looked_up(numbers, found, np.array([number(name, typed=typed) for name in different], dtype=np.int32))

    def _numbers(self, values: "polars.Series", column: str | None, row: np.ndarray, owners: np.ndarray | None = None) -> np.ndarray:
        """A column as numbers, NaN for missing ones."""
        import polars

        if values.dtype.is_numeric() or values.dtype in (polars.Boolean, polars.Null):
            return values.cast(polars.Float64).fill_null(np.nan).to_numpy()
        return self._each_number(values, column, row, owners)

    def _each_number(self, values: Iterable[Any], column: str | None, row: np.ndarray, owners: np.ndarray | None) -> np.ndarray:
        """Cells as numbers; `column` is None if each cell is in the column of its series."""
        found = np.empty(len(row))
        for place, value in enumerate(values):
            try:
                found[place] = _number(value, self._decimal)
            except DataError as error:
                name = None if owners is None else self._packer.names.shown(int(owners[place]))
                of = "" if name is None else f", series `{name}`"
                raise DataError(f"{self.place(int(row[place]))}{of}: `{name if column is None else column}` {error}") from None
        return found

    def _statics(self, frame: "polars.DataFrame", owners: np.ndarray, row: np.ndarray) -> None:
        import polars

        if not self.columns.static:
            return
        columns = [frame[name] for name in self.columns.static]
        whole = polars.DataFrame({f"static {place}": column for place, column in enumerate(columns)})
        whole = whole.with_columns(polars.Series("owner", owners), polars.Series("row", row))
        for *values, owner, number in whole.unique(subset=whole.columns[:-1], keep="first", maintain_order=True).iter_rows():
            self._static(owner, values, number)

    def _static(self, owner: int, values: Iterable[Any], number: int) -> None:
        """Store the static values of a series; they must equal earlier ones."""
        static = tuple(None if value != value or value == "" else value for value in values)
        known = self._packer.names.static.setdefault(owner, static)
        for column, old, new in zip(self.columns.static, known, static, strict=True):
            if old != new:
                told = " and ".join("missing" if value is None else repr(value) for value in (old, new))
                raise DataError(
                    f"{self.place(number)}, series `{self._packer.names.shown(owner)}`: the static column `{column}` must have one value"
                    f" for a series, but is {told}."
                )

    # ---------------------------------------------------------------------------------------------------------- by rows

    def _checked(self, records: Iterable[tuple[int, Any]], first: int) -> Iterator[tuple[int, Record]]:
        """The records, each checked to be a mapping with the columns."""
        for own, record in records:
            number = first + own
            if not isinstance(record, Mapping):
                needed = ", ".join(self.required)
                raise DataError(f"{self.place(number)} must be a row with the columns {needed}, but is a {type(record).__name__}.")
            for column in self.required:
                if column not in record:
                    raise DataError(
                        f"{self.place(number)} has no column `{column}`; it has: {', '.join(map(str, record))}. Set the names of your"
                        " columns in `task` (`id`, `time`, `target`, ...)."
                    )
            yield number, record

    def _rows(self, block: Sequence[tuple[int, Record]], *, typed: bool) -> None:
        columns, number = self.columns, self._packer.names.number
        stamps = [(row, record.get(columns.time)) for row, record in block]
        before = copy.deepcopy(self._times)
        try:
            times = self._times.values([stamp for _, stamp in stamps])
        except DataError as error:
            raise self._blamed(stamps, before, error) from None
        self._look_for_odd(stamps)
        after = block[-1][0] + 1
        if columns.wide:
            self._wide_rows(block, times, after)
            return
        owners = np.empty(len(block), dtype=np.int32)
        for place, (number_of_row, record) in enumerate(block):
            name = ONE if columns.id is None else record.get(columns.id)
            if name is None or name == "" or name != name:
                raise self._nameless(number_of_row)
            owners[place] = number(name if isinstance(name, Hashable) else str(name), typed=typed or columns.id is None)
            if columns.static:
                self._static(int(owners[place]), [record.get(column) for column in columns.static], number_of_row)
        row = np.array([row for row, _ in block])
        values = [self._column([record.get(name) for _, record in block], name, row, owners) for name in columns.numbers]
        self._add(Packed(owners, times, values, row), after)

    def _wide_rows(self, block: Sequence[tuple[int, Record]], times: np.ndarray, after: int) -> None:
        """Split each row of a wide table into one for every series."""
        columns, number = self.columns, self._packer.names.number
        series = [[name for name in record if name != columns.time and name not in columns.known] for _, record in block]
        counts = np.array([len(names) for names in series])
        row = np.repeat([row for row, _ in block], counts)
        owners = np.array([number(name, typed=True) for names in series for name in names], dtype=np.int32)
        values = self._column([record[name] for (_, record), names in zip(block, series, strict=True) for name in names], None, row, owners)
        own = np.array([row for row, _ in block])
        known = [self._column([record.get(name) for _, record in block], name, own, None) for name in columns.known]
        self._add(Packed(owners, np.repeat(times, counts), [values, *(np.repeat(column, counts) for column in known)], row), after)

    def _column(self, values: list[Any], column: str | None, row: np.ndarray, owners: np.ndarray | None) -> np.ndarray:
        if self._decimal == ".":
            try:
                return np.array(values, dtype=np.float64)
            except (TypeError, ValueError):
                pass
        return self._each_number(values, column, row, owners)

    # -------------------------------------------------------------------------------------------------------- what is wrong

    def _nameless(self, row: int) -> DataError:
        return DataError(f"{self.place(row)}: `{self.columns.id}` must name the series, but is missing.")

    def _look_for_odd(self, stamps: Iterable[tuple[int, Any]]) -> None:
        if self._odd is None and self._times.varies:
            self._odd = next((row for row, stamp in stamps if self._times.is_odd(stamp)), None)

    def _blamed(self, stamps: Iterable[tuple[int, Any]], before: TimesRead, error: DataError) -> DataError:
        """The error, with the place of the first wrong time."""
        for row, stamp in stamps:
            try:
                before.values([stamp])
            except DataError as found:
                return DataError(f"{self.place(row)}, column `{self.columns.time}`: {found}")
        return error


def _number(value: Any, decimal: str) -> float:
    """A cell as a number; an empty one is NaN."""
    if value is None or value == "":
        return np.nan
    try:
        return float(value if decimal == "." or not isinstance(value, str) else _with_point(value))
    except (TypeError, ValueError):
        if isinstance(value, str) and value.strip().lower() in ("na", "n/a", "null", "none"):
            return np.nan
        remedy = f"Write numbers like 1234{decimal}5, and leave a cell empty where the number is not known."
        comma = decimal == "." and isinstance(value, str) and _COMMA.fullmatch(value.strip()) is not None
        remedy += " If all of the file has commas for points, set `decimal: ','` of it." if comma else ""
        raise DataError(f"must be a number, but is {value!r}. {remedy}") from None


def _with_point(text: str) -> str:
    """A number with a decimal comma in Python's notation. Raises ValueError for one with a point, whose meaning is unclear."""
    if "." in text:
        raise ValueError
    return text.replace(",", ".")
