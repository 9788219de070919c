"""The longest common subsequence of two lists of words: its length, and the words of the first list that make one.

The table of the usual dynamic program grows by one or not at all from each column to the next, so a row of it is one whole number with a
bit per column, and a row follows from the one before by an addition and three logical operations (Hyyrö 2004). Unusual: the rows are kept,
and the way back through the table reads them; where several subsequences are equally long, it is the one that rouge-score finds.
"""

from collections.abc import Sequence


def common_length(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest common subsequence. O(len(first)) operations on numbers of len(second) bits."""
    row, full, places = _start(second)
    for word in first:
        if word in places:
            row = _next_row(row, places[word], full)
    return len(second) - row.bit_count()


def common_places(first: Sequence[str], second: Sequence[str]) -> list[int]:
    """The indices into `first` of one of the longest common subsequences, in descending order."""
    row, full, places = _start(second)
    rows = [row]
    for word in first:
        if word in places:
            row = _next_row(row, places[word], full)
        rows.append(row)
    found: list[int] = []
    i, j = len(first), len(second)
    length = j - row.bit_count()  # of the subsequence common to the first i and the first j words
    while length:
        if first[i - 1] == second[j - 1]:
            i, j, length = i - 1, j - 1, length - 1
            found.append(i)
        elif _length_at(rows[i], j - 1) > _length_at(rows[i - 1], j):
            j -= 1
        else:
            i -= 1
    return found


def _start(second: Sequence[str]) -> tuple[int, int, dict[str, int]]:
    """The row for the empty list, all ones; the same as a mask; and for each word the columns in which it occurs."""
    places: dict[str, int] = {}
    for column, word in enumerate(second):
        places[word] = places.get(word, 0) | 1 << column
    full = (1 << len(second)) - 1
    return full, full, places


def _next_row(row: int, places: int, full: int) -> int:
    """The next row: bit j is 0 where the common length grows from column j to column j + 1."""
    common = row & places
    return ((row + common) | (row - common)) & full


def _length_at(row: int, column: int) -> int:
    """The common length up to a column: the number of zeros before it."""
    return column - (row & ((1 << column) - 1)).bit_count()
