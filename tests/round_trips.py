"""A file that is read and written again, with what somebody says of each of its units in between."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from antiphon.contracts.files import FileConfig
from antiphon.contracts.reader import Located, ReaderPlugin, Reading, Rewriter, Said, Skip
from antiphon.data.formats import reader_of


def reading_of(path: Path, **settings: Any) -> Reading:
    """The file, to be answered."""
    return Reading(path, FileConfig(path=str(path), **settings), ("source",), "source", "target")


@cache
def _plugin(path: Path, format: str | None) -> ReaderPlugin:  # noqa: A002
    """What reads the file; looked up once, since generated files are many."""
    return reader_of(path, FileConfig(path=str(path), format=format))


def located(path: Path, **settings: Any) -> Located:
    """What is read of it, with its lines."""
    reading = reading_of(path, **settings)
    return _plugin(path, reading.file.format).read(reading)


def sources(path: Path, **settings: Any) -> list[str]:
    """Its texts."""
    return [str(record["source"]) for _, record in located(path, **settings) if not isinstance(record, Skip)]


def skips(path: Path, **settings: Any) -> list[tuple[int, str]]:
    """What in it is no record, with its line."""
    return [(line, record.reason) for line, record in located(path, **settings) if isinstance(record, Skip)]


def rewriter(path: Path, **settings: Any) -> Rewriter:
    """The file, to be written again."""
    reading = reading_of(path, **settings)
    back = _plugin(path, reading.file.format).back
    assert back is not None
    return back(reading)


def answered(path: Path, say: Callable[[str], Said | str], **settings: Any) -> bytes:
    """The file with what is said of each text."""
    output = rewriter(path, **settings)
    for unit, source in enumerate(sources(path, **settings), 1):
        said = say(source)
        output.put(unit, said if isinstance(said, Said) else Said(said))
    return output.content()


def shouted(source: str) -> Said:
    """The words of a text in capitals, each linked with its own."""
    count = len(source.split())
    return Said(source.upper(), tuple((number, number) for number in range(count)))
