"""Records of recordings, or of features computed from them: from a table with their names, a folder, an archive, or one file.

A name in a table is relative to the table, or with `archive` a member of that zip or tar beside it; in a record it is a path that can be
followed from anywhere. In folders and archives the transcript of `one.flac` is the text of `one.txt` beside it.

Unusual here: the identity of such records includes the sizes and times of the recordings, not only of the table, so that a corpus is
encoded again when a recording was replaced.
"""

import hashlib
import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from antiphon.contracts.files import FileConfig
from antiphon.contracts.records import Record, Records, Skipped
from antiphon.data.audio import AUDIO_SUFFIXES, UNREADABLE_SUFFIXES
from antiphon.data.audio_archives import in_archive, is_archive, members, read_member
from antiphon.data.byte_streams import check_file
from antiphon.data.file_records import FileRecords
from antiphon.data.formats import folder_reader
from antiphon.data.kaldi_archives import in_ark
from antiphon.data.kaldi_matrices import without_range
from antiphon.data.precomputed_frames import BESIDE, SUFFIX
from antiphon.errors import ConfigError, DataError

_PARTS = ("start", "end", "channel")
_SOUNDS = (*AUDIO_SUFFIXES, *UNREADABLE_SUFFIXES)  # the latter are named, so that reading them says what to do


@dataclass(frozen=True)
class AudioColumns:
    """The columns for the recording and its text, the archive that contains the recordings, and, if the task reads them, the columns that
    select a part of a recording. `precomputed` means features in place of recordings."""

    audio: str
    text: str
    archive: Path | None = None
    start: str | None = None
    end: str | None = None
    channel: str | None = None
    precomputed: bool = False

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The suffixes of source files."""
        return (SUFFIX,) if self.precomputed else _SOUNDS


def open_audio_records(file: FileConfig, base: Path, required: Sequence[str], columns: AudioColumns) -> Records:
    """The records of a table, a folder, an archive or a recording. Raises DataError when there are none."""
    if file.path is None:
        return AudioTable(file, base, required, columns)
    path = base / Path(file.path).expanduser()
    needs_text = columns.text in required
    if path.is_dir() and (file.format is not None or folder_reader(path) is not None):
        return AudioTable(file, base, required, columns)
    if path.is_dir():
        return _Folder(path, columns, needs_text)
    if in_archive(path) is not None or path.suffix.lower() in columns.suffixes:
        return _One(path, columns, needs_text)
    if file.format is None and path.exists() and is_archive(path):
        return _ArchiveFile(path, columns, needs_text)
    return AudioTable(file, base, required, columns)


@final
class AudioTable(Records):
    """A table with a column of recordings' names, which are made paths; for formats with parts of recordings, these are put beside the path
    ({path: call.wav, start: 1.5, end: 3, channel: 2}) if the task reads no columns for them."""

    def __init__(self, file: FileConfig, base: Path, required: Sequence[str], columns: AudioColumns):
        names = (columns.audio, columns.text)
        self.table = table = FileRecords(replace(file, folder=None), base, required, names, precomputed=columns.precomputed)
        self.columns, self._named = columns, file.folder is not None
        path = table.paths[0].absolute()
        if file.folder is not None:
            path = (base / Path(file.folder).expanduser()).absolute()
            if not path.is_dir():
                raise DataError(f"`folder` must be the folder that names of recordings are relative to, but `{path}` is none.")
        self._folder = path if path.is_dir() else path.parent
        self._archive = None if columns.archive is None else self._folder / columns.archive
        self._last = "", ""  # a recording and its path: parts of one stand together
        if table.reader.has_parts:
            self._check_columns()
        if self._archive is not None:
            if self._archive.is_dir():
                raise DataError(
                    f"`archive` must be a .zip or .tar, but `{self._archive}` is a folder. Leave it out:"
                    " the table then names files by their paths."
                )
            check_file(self._archive)
            if not is_archive(self._archive):
                raise DataError(f"`archive` must be a .zip or an uncompressed .tar, but is `{self._archive}`.")

    def _check_columns(self) -> None:
        """Refuse columns with another meaning in a format with parts of recordings: a duration is not an end."""
        for name in _PARTS:
            set_to = getattr(self.columns, name)
            if set_to not in (None, name):
                raise ConfigError(
                    f"`task.{name}` must be `{name}`, or be left out, to read `{self.table.paths[0]}`, whose format ({self.table.format})"
                    f" tells it, but is `{set_to}`."
                )

    def __call__(self) -> Iterator[tuple[int, Record]]:
        name, parts = self.columns.audio, [one for one in _PARTS if self.table.reader.has_parts and getattr(self.columns, one) is None]
        parts += BESIDE if self.table.reader.has_parts and self.columns.precomputed else ()
        for number, record in self.table():
            value = record.get(name)
            if isinstance(value, str):
                if not value.strip():
                    raise DataError(f"{self.table.label(number)}: `{name}` must name a recording, but is empty.")
                path, part = self._path(value, first=number == 0), {one: record[one] for one in parts if record.get(one) is not None}
                if "statistics" in part:
                    part["statistics"] = str(self._folder / Path(part["statistics"]).expanduser())
                yield number, {**record, name: {"path": path, **part} if part else path}
            else:
                yield number, record

    def _path(self, named: str, *, first: bool) -> str:
        """The path of a recording. Raises DataError for the first one if it is only found in another folder."""
        if self._archive is not None:
            return str(self._archive / named)
        if named == self._last[0]:
            return self._last[1]
        path = self._folder / Path(named).expanduser()
        if self.table.reader.has_parts and path.suffix.lower() not in _SOUNDS and in_ark(path) is None and not path.exists():
            path = next((one for suffix in _SOUNDS if (one := path.with_name(path.name + suffix)).exists()), path)
        if first and not self._named and in_archive(path) is None and not _file_of(path).exists():
            place = next((one for one in (*self._folder.parents, Path.cwd()) if _file_of(one / named).exists()), None)
            if place is not None:
                raise DataError(
                    f"There is no recording `{path}`, as names start from `{self._folder}`; but there is one in `{place}`. Name that"
                    f" folder: `folder: {place}` of this file."
                )
        self._last = named, str(path)
        return self._last[1]

    def place(self, number: int) -> str:
        """The place of the record in the table."""
        return self.table.place(number)

    def label(self, number: int) -> str:
        """The record's label in the table."""
        return self.table.label(number)

    def skipped(self) -> Mapping[str, Skipped]:
        """The entries that the table left out."""
        return self.table.skipped()

    def signature(self) -> str:
        """Depends on the table, the folder that names are relative to, and the recordings."""
        named = (record.get(self.columns.audio) for _, record in self()) if self._archive is None else (str(self._archive),)
        paths = (
            path for value in named for path in ((value.get("path"), value.get("statistics")) if isinstance(value, dict) else (value,))
        )
        return _signature([self.table.signature(), str(self._folder)], (path for path in paths if isinstance(path, str)))


def _file_of(path: Path) -> Path:
    """The file that a path refers to: itself, or the Kaldi archive in which it names a position, perhaps with a range."""
    path = without_range(path)
    at = in_ark(path)
    return path if at is None else at[0]


class _Listed(Records):
    """Recordings that are found rather than named in a table; each may have its text in a file beside it."""

    def __init__(self, columns: AudioColumns, needs_text: bool):
        self.columns, self.needs_text = columns, needs_text

    @abstractmethod
    def paths(self) -> list[str]:
        """The recordings, in order."""

    @abstractmethod
    def text(self, path: str) -> str | None:
        """The transcript beside a recording, or None when there is none."""

    def more(self, path: str) -> Mapping[str, Any]:
        """Further data about a recording, by column."""
        return {}

    def __call__(self) -> Iterator[tuple[int, Record]]:
        for number, path in enumerate(self.paths()):
            record = {**self.more(path), self.columns.audio: path}
            text = self.text(path)
            if text is not None:
                record[self.columns.text] = text
            elif self.needs_text and record.get(self.columns.text) is None:
                beside = Path(path).with_suffix(".txt")
                raise DataError(
                    f"`{path}` must have its text beside it, but there is no `{beside.name}`. Write it, or take the recording away."
                )
            yield number, record

    def place(self, number: int) -> str:
        """The name of the recording."""
        return f"`{self.paths()[number]}`"

    def signature(self) -> str:
        """Depends on the recordings and on the texts."""
        paths = self.paths()
        texts = (str(Path(path).with_suffix(".txt")) for path in paths)
        return _signature([str(self.needs_text)], iter([*paths, *texts]))

    def count(self) -> int:
        """The number of recordings."""
        return len(self.paths())


@final
class _Folder(_Listed):
    """All recordings in a folder and its subfolders, sorted by name."""

    def __init__(self, folder: Path, columns: AudioColumns, needs_text: bool):
        super().__init__(columns, needs_text)
        self.folder = folder.absolute()
        self._paths = sorted(str(path) for path in self.folder.rglob("*") if path.suffix.lower() in columns.suffixes and path.is_file())
        if not self._paths:
            raise _empty(folder, columns)

    def paths(self) -> list[str]:
        return self._paths

    def text(self, path: str) -> str | None:
        beside = Path(path).with_suffix(".txt")
        return _decoded(beside.read_bytes(), str(beside)) if beside.is_file() else None


@final
class _One(_Listed):
    """One recording, which may be a member of an archive."""

    def __init__(self, path: Path, columns: AudioColumns, needs_text: bool):
        super().__init__(columns, needs_text)
        self._path = str(path.absolute())
        if in_archive(path) is None:
            check_file(path)

    def paths(self) -> list[str]:
        return [self._path]

    def text(self, path: str) -> str | None:
        beside = Path(path).with_suffix(".txt")
        return _decoded(beside.read_bytes(), str(beside)) if beside.is_file() else None


@final
class _ArchiveFile(_Listed):
    """All recordings in an archive, sorted by name; data about one may be in a JSON object beside it, as in shards of WebDataset."""

    def __init__(self, archive: Path, columns: AudioColumns, needs_text: bool):
        super().__init__(columns, needs_text)
        self.archive = archive.absolute()
        self._names = frozenset(members(self.archive))
        sounds = [name for name in self._names if Path(name).suffix.lower() in columns.suffixes and not Path(name).name.startswith("._")]
        self._alike = Counter(map(_key, sounds))
        self._paths = sorted(str(self.archive / name) for name in sounds)
        if not self._paths:
            raise _empty(archive, columns)

    def paths(self) -> list[str]:
        return self._paths

    def more(self, path: str) -> Mapping[str, Any]:
        found = self._beside(path, ".json")
        if found is None:
            return {}
        name, content = found
        try:
            known = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise DataError(f"`{name}` must be JSON, but is not: {error}.") from error
        if not isinstance(known, dict):
            raise DataError(f'`{name}` must be a JSON object, such as {{"{self.columns.text}": ...}}, but is a {type(known).__name__}.')
        return known

    def text(self, path: str) -> str | None:
        found = self._beside(path, ".txt")
        return None if found is None else _decoded(found[1], found[0])

    def _beside(self, path: str, suffix: str) -> tuple[str, bytes] | None:
        """Name and content of the file that belongs to a recording: `a.b.txt` to `a.b.flac`, or `a.txt` if no other recording begins with
        `a.`."""
        name = Path(path).relative_to(self.archive)
        key = _key(name.as_posix())
        for beside in (name.with_suffix(suffix).as_posix(), f"{key}{suffix}" if self._alike[key] == 1 else ""):
            if beside in self._names:
                return f"{self.archive}/{beside}", read_member(self.archive, beside)
        return None


def _empty(place: Path, columns: AudioColumns) -> DataError:
    """The error for a folder or an archive without sources."""
    what = f"features ({SUFFIX})" if columns.precomputed else f"recordings ({', '.join(AUDIO_SUFFIXES)})"
    return DataError(f"`{place}` must have {what} in it, but has none.")


def _key(name: str) -> str:
    """The key of a file's sample in WebDataset: everything up to the first dot of the file name."""
    folder, slash, file = name.rpartition("/")
    return f"{folder}{slash}{file.split('.', 1)[0]}"


def _decoded(content: bytes, name: str) -> str:
    """A transcript: its lines joined by spaces."""
    try:
        return " ".join(content.decode("utf-8-sig").split())
    except UnicodeDecodeError as error:
        raise DataError(f"`{name}` must be UTF-8, but byte {error.start + 1} is not. Convert it.") from error


def _signature(facts: list[str], paths: Iterator[str]) -> str:
    """A hash of facts and of the sizes and times of files; for an archive's members those of the archive."""
    digest, archives, last, found = hashlib.sha256("|".join(facts).encode()), set[Path](), "", b""
    for name in paths:
        if name != last:  # parts of a recording stand together
            inside = in_archive(Path(name))
            found = b"" if inside is not None else _stat(_file_of(Path(name)))
            archives |= set() if inside is None else {inside[0]}
            last = name
        digest.update(name.encode("utf-8", "surrogatepass") + found)
    for archive in sorted(archives):
        digest.update(_stat(archive))
    return digest.hexdigest()


def _stat(path: Path) -> bytes:
    try:
        found = path.stat()
    except OSError:
        return b"missing"  # reading it will say so
    return f"{found.st_size}:{found.st_mtime_ns}\n".encode()
