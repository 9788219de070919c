"""The records in one file of any format, or in two line-aligned files."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, final

from antiphon.contracts.files import FileConfig
from antiphon.contracts.reader import Located, Reading, Skip, settings_of
from antiphon.contracts.records import Record, Records, Skipped
from antiphon.data.byte_streams import check_file
from antiphon.data.fields import check_columns
from antiphon.data.formats import read_aligned, reader_of

FILE, UNIT = "file", "unit"
"""The columns that say, of files that can be written again, which file a record is from, and its number in it, from 1."""
STATE = "state"
"""The column that says, in formats that know it, whether a unit is translated, fuzzy and so on."""

_KEPT_PLACES = 20


@final
class FileRecords(Records):
    """The records in one file, or in two line-aligned files.

    paths    the file, or both
    reader   what reads it
    path_in_folder   the name within the folder that was named, where one was
    precomputed      whether features that another program made of recordings are wanted in their place
    """

    def __init__(
        self,
        file: FileConfig,
        base: Path,
        required: Sequence[str],
        names: tuple[str, str],
        name: str | None = None,
        *,
        precomputed: bool = False,
    ):
        self._opened_by = partial(FileRecords, file, base, required, names, name, precomputed=precomputed)
        self.file = file
        self.paths = tuple(base / Path(one).expanduser() for one in (file.path, file.source, file.target) if one is not None)
        if file.source is not None:
            for path in self.paths:
                check_file(path)
        self.reader = reader_of(
            self.paths[0], file if file.source is None else FileConfig(path=file.source, format="txt", encoding=file.encoding)
        )
        if not self.paths[0].is_dir():
            check_file(self.paths[0])
        self.reading = Reading(self.paths[0], file, tuple(required), *names, precomputed)
        self.path_in_folder = name
        self.name = name or str(file.path)
        self._skipped: dict[str, Skipped] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """How the records are pickled: other processes open the file themselves."""
        return self._opened_by, ()

    @property
    def format(self) -> str:
        """The name of the format."""
        return self.reader.name

    def __call__(self) -> Iterator[tuple[int, Record]]:
        counts, first, number = Counter[str](), dict[str, list[str]](), 0
        for line, record in self._located():
            if isinstance(record, Skip):
                counts[record.reason] += 1
                if counts[record.reason] <= _KEPT_PLACES:
                    first.setdefault(record.reason, []).append(self._at(line))
                continue
            yield number, record if self.reader.back is None else {**record, FILE: self.name, UNIT: number + 1}
            number += 1
        self._skipped = {reason: Skipped(count, tuple(first[reason])) for reason, count in counts.items()}

    def _located(self) -> Located:
        if len(self.paths) == 2:
            names = (self.reading.source, self.reading.target)
            check_columns(names, self.reading.required, f"`{self.paths[0]}` with `{self.paths[1]}`")
            return read_aligned(self.paths[0], self.paths[1], self.file.encoding, names)
        return self.reader.read(self.reading)

    def skipped(self) -> Mapping[str, Skipped]:
        """The entries that the reader left out."""
        if self._skipped is None:
            for _ in self():
                pass
        assert self._skipped is not None, "read to its end"
        return self._skipped

    def place(self, number: int) -> str:
        """File and line, which may require reading the file again."""
        if self.reader.line_of is not None or not self.reader.has_lines:
            return self.label(number)
        records = ((line, record) for line, record in self._located() if not isinstance(record, Skip))
        found = next(islice(records, number, None), None)
        return self._at(found[0]) if found else f"{self.paths[0]}:?"

    def label(self, number: int) -> str:
        """File and line if they are known at once, or else the number of the record in the file."""
        if self.reader.line_of is None:
            return f"{self.paths[0]}: {self.reader.unit} {number + 1}"
        return f"{self.paths[0]}:{self.reader.line_of(self.file, number)}"

    def _at(self, line: int) -> str:
        return f"{self.paths[0]}:{line}" if self.reader.has_lines else f"{self.paths[0]}: {self.reader.unit} {line}"

    def signature(self) -> str:
        """Depends on the files' names, sizes and modification times, and on how they are read."""
        stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in self.files()]
        names = (self.reading.source, self.reading.target)
        others = {name: value for name, value in settings_of(self.file).items() if name not in ("columns", "encoding")}
        wanted = [others, self.reading.with_targets] if others or self.reader.back else []
        facts = [stats, self.reader.name, self.file.columns, self.file.encoding, names, *wanted]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def files(self) -> Iterable[Path]:
        """All files that contain the records."""
        if len(self.paths) == 2:
            return self.paths
        if self.reader.files is not None:
            return self.reader.files(self.paths[0])
        return sorted(self.paths[0].rglob("*")) if self.paths[0].is_dir() else self.paths


def skipped_in(parts: Iterable[Records]) -> Mapping[str, Skipped]:
    """The entries that several sources left out, by reason."""
    found: dict[str, Skipped] = {}
    for part in parts:
        for reason, one in part.skipped().items():
            known = found.get(reason, Skipped(0, ()))
            found[reason] = Skipped(known.count + one.count, (*known.first, *one.first)[:_KEPT_PLACES])
    return found
