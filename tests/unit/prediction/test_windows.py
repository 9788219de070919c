"""Windows begin small, end when their source stalls or fails, and lose nothing."""

from collections.abc import Iterator
from itertools import islice

import pytest

from antiphon.prediction.windows import WINDOW, full, growing, windows


def one(entry: object) -> int:
    return 1


def test_windows_grow_by_doubling() -> None:
    assert list(islice(growing(2), 7)) == [2, 4, 8, 16, 32, 32, 32]
    assert next(full(2)) == 2 * WINDOW
    found = list(windows(iter(range(20)), growing(2), one))
    assert [len(window) for window in found] == [2, 4, 8, 6]
    assert [entry for window in found for entry in window] == list(range(20))


def test_large_entries_fill_a_window() -> None:
    assert list(windows(iter([1, 9, 1, 1]), full(1), lambda entry: entry * 2)) == [[1, 9], [1, 1]]
    assert list(windows(iter([]), full(1), one)) == []


def test_what_came_before_an_error_is_delivered() -> None:
    def source() -> Iterator[int]:
        yield from range(3)
        raise OSError("gone")

    found = windows(source(), full(32), one)
    assert next(found) == [0, 1, 2]
    with pytest.raises(OSError, match="gone"):
        next(found)


def test_a_stalling_source_ends_a_window() -> None:
    class Stalling:
        """Ready except before every third entry."""

        taken = 0

        def is_ready(self) -> bool:
            return self.taken % 3 != 0

        def __iter__(self) -> Iterator[int]:
            for self.taken in range(1, 8):
                yield self.taken

    source = Stalling()
    assert list(windows(iter(source), full(32), one, source)) == [[1, 2, 3], [4, 5, 6], [7]]


def test_an_input_of_a_live_source_does_not_wait_long(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        """Always about to give the next."""

        def is_ready(self) -> bool:
            return True

    clock = iter(range(100))
    monkeypatch.setattr("antiphon.prediction.windows.time.monotonic", lambda: next(clock) * 0.6)
    assert max(len(window) for window in windows(iter(range(10)), full(32), one, Slow())) <= 2
