"""Files read and written again as `predict` does it, with sayings made up by the test."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from antiphon.contracts.files import FileConfig
from antiphon.contracts.reader import Said
from antiphon.data.file_records import FileRecords

NAMES = ("source", "target")


def opened(path: Path, *, to_learn: bool, **settings: Any) -> FileRecords:
    """The records of a file, to learn from or to be answered."""
    return FileRecords(FileConfig(path=str(path), **settings), path.parent, NAMES if to_learn else NAMES[:1], NAMES)


def learned(path: Path, **settings: Any) -> list[tuple[str, str]]:
    """The pairs to learn from."""
    return [(record["source"], record["target"]) for record in opened(path, to_learn=True, **settings)]


def waiting(path: Path, **settings: Any) -> list[Mapping[str, Any]]:
    """The records that wait for an answer."""
    return list(opened(path, to_learn=False, **settings))


def answered(path: Path, say: Callable[[str], str | Said], **settings: Any) -> bytes:
    """The file with what is said of each unit that waits."""
    records = opened(path, to_learn=False, **settings)
    assert records.reader.back is not None
    rewriter = records.reader.back(records.reading)
    for record in records:
        said = say(record["source"])
        rewriter.put(record["unit"], said if isinstance(said, Said) else Said(said))
    return rewriter.content()
