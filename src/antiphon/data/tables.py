"""Tables of text: a header line with the names of columns, and checks of each row.

Unusual here: blank lines are accepted only at the end of a table, since one in the middle is more often a lost record than a decoration.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from antiphon.contracts.reader import Located
from antiphon.data.fields import check_columns
from antiphon.errors import DataError

_SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "|"}


def rows_of(path: Path, rows: Iterator[tuple[int, list[str]]], columns: Sequence[str], required: Sequence[str], separator: str) -> Located:
    """Combine each row's cells with the columns' names, from `columns` or the first row; cells are already separated.

    Raises DataError where a row has more or fewer.
    """
    names, place = list(columns), f"`{path}`"
    if not names:
        number, names = next(rows)
        place = f"The first line of `{path}`"
        if not names:
            raise DataError(f"{path}:1 must name the columns, but is blank. Name them there, or set `columns` of this file.")
        _check_separator(path, number, names, required, separator)
    _check_names(path, names)
    check_columns(names, required, place)
    count, blank, found = len(names), 0, False
    for number, cells in rows:
        if not cells and count == 1:
            cells = [""]
        if not cells:
            blank = blank or number
            continue
        if blank:
            raise DataError(f"{path}:{blank} must hold {count} columns, but is blank. Remove the line, or fill it in.")
        if len(cells) != count:
            raise DataError(
                f"{path}:{number} must hold {count} columns ({', '.join(names)}), but holds {len(cells)}.{_why(path, cells, count)}"
            )
        yield number, dict(zip(names, cells, strict=True))
        found = True
    if not found:
        raise DataError(f"`{path}` has {'a first line' if not columns else 'blank lines'} but no records.")


def _why(path: Path, cells: list[str], count: int) -> str:
    if len(cells) > count:
        return " A separator inside a value splits it: remove it, or quote the value in a .csv file."
    return " Add what is missing, or remove the line."


def _check_separator(path: Path, number: int, names: list[str], required: Sequence[str], separator: str) -> None:
    """Raise DataError for a single name that looks like several, unless it is that of a required column."""
    found = next((other for other in _SEPARATORS if other != separator and len(names) == 1 and other in names[0]), None)
    if found is None or names[0] in required:
        return
    needed = ["format: tsv"] if found == "\t" else ["format: csv"] * (separator == "\t") + [f'delimiter: "{found}"'] * (found != ",")
    settings = " and ".join(f"`{setting}`" for setting in needed)
    raise DataError(
        f"{path}:{number} looks as if {_SEPARATORS[found]} separated its values, not {_SEPARATORS.get(separator, separator)}."
        f" Set {settings} of this file: {{path: {path.name}, {', '.join(needed)}}}."
    )


def _check_names(path: Path, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"The columns of `{path}` must have different names, but `{twice[0]}` occurs twice.")
