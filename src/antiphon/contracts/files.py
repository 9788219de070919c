"""How a recipe names files of records: a path, a mapping, or a list of either.

Unusual here: `Files` checks its entries itself instead of leaving a union to pydantic, whose errors would tell of every form that the
value is not.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, WrapValidator

from antiphon.contracts import registry
from antiphon.contracts.configuration import config
from antiphon.errors import ConfigError, nearest

HUB = "hf://"
"""The prefix of paths that name a data set on the Hugging Face hub."""

REMOTE = ("s3", "gs", "gcs", "az", "abfs", "abfss", "hdfs", "sftp", "memory")
"""The kinds of remote storage that paths may name, as in s3://bucket/train.tsv."""

_ELSEWHERE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(/{1,2})(?!/)")


def restored(path: Path | str) -> str:
    """A path as the user wrote it: `Path` merges two slashes, so `s3://bucket/run` became `s3:/bucket/run`."""
    name = str(path)
    found = _ELSEWHERE.match(name) if isinstance(path, Path) else None
    known = found is not None and found[1] in (*REMOTE, HUB.partition(":")[0])
    return f"{found[1]}://{name[found.end() :]}" if found is not None and known else name


def is_remote(path: Path | str | None) -> bool:
    """Whether a path names something in a remote storage. Raises ConfigError for an unsupported kind of storage."""
    name = "" if path is None else restored(path)
    found = _ELSEWHERE.match(name)
    if found is None or found[2] != "//" or name.startswith(HUB):
        return False
    if found[1] not in REMOTE:
        raise ConfigError(f"`{name}` must begin with one of {', '.join(f'{one}://' for one in REMOTE)}.{nearest(found[1], REMOTE)}")
    return True


def is_elsewhere(path: Path | str) -> bool:
    """Whether a path lies outside this machine's file system: in a remote storage, or on the hub."""
    return restored(path).startswith(HUB) or is_remote(path)


@config
class FileConfig:
    """One file of records, or two line-aligned ones. It needs either `path`, or `source` and `target`."""

    path: str | None = None
    """The file, a pattern, a folder that is a data set, hf://owner/name on the hub, or s3://bucket/name; relative to the recipe."""
    source: str | None = None
    """The file of sources, if there are two line-aligned text files."""
    target: str | None = None
    """The file of targets, if there are two line-aligned text files; without it the records have no target."""
    format: str | None = None
    """The format, one of `antiphon list readers`; needed if neither the suffix of the path nor the first bytes identify it."""
    columns: tuple[str, ...] = ()
    """The names of the columns, for a table without a header line; for a parquet file the columns, for a TextGrid the tiers to read."""
    encoding: str = "utf-8"
    """The encoding of text files. A byte order mark of UTF-16 or UTF-32 takes precedence."""
    delimiter: str = ","
    """The separator of values in a .csv file: one character, such as ;."""
    decimal: Literal[".", ","] = "."
    """The decimal mark of numbers in a .csv or .tsv file."""
    languages: tuple[str, ...] = ()
    """The language of the sources and that of the targets, in files that may hold several, such as [en, de-AT]."""
    states: tuple[str, ...] = ()
    """The states of the units to read, such as [translated, fuzzy], in formats with states; by default finished units, or for prediction
    those that wait for a target."""
    note: str | None = None
    """A comment that is added to each translated unit, in formats with comments into which predictions can be written back."""
    folder: str | None = None
    """The folder that names of recordings are relative to, if it is not that of the file; relative to the recipe."""
    subset: str | None = None
    """The subset of a data set that has several, such as de-en."""
    split: str | None = None
    """The part of a data set that has several, such as train."""
    frequency: str | None = None
    """The time from one value to the next, such as 1h or 1mo, in files of whole series that do not give it in a known form."""
    start: str | None = None
    """The time of the first value of each series, such as 2011-01-29, in files of whole series without times. It needs `frequency`."""
    line_length: Annotated[int, Field(ge=8, le=1000)] | None = None
    """The greatest display width of a line when subtitles are written back, by default 42 columns; a Chinese or Japanese character takes
    two."""
    weight: Annotated[float, Field(gt=0, lt=1e6)] = 1.0
    """How often an epoch shows each record: 2.5 shows every record twice, and a random half of them, drawn anew each epoch, once more."""

    def __post_init__(self) -> None:
        if (self.path is None) == (self.source is None):
            raise ValueError("a file needs either `path`, or `source` and `target` (two line-aligned text files).")
        if self.path is not None and self.target is not None:
            raise ValueError("`target` goes with `source`, the other one of two line-aligned text files, not with `path`.")
        if self.source is not None and (self.format not in (None, "txt") or self.columns):
            raise ValueError("`format` and `columns` have no effect on line-aligned text files; remove them.")
        if self.format is not None:
            _check_format(self.format)
        if len(self.delimiter) != 1 or self.delimiter in '\r\n"':
            raise ValueError(f"`delimiter` must be one character that is no line end and no quote, but is {self.delimiter!r}.")
        if self.languages and len(self.languages) != 2:
            raise ValueError(f"`languages` must be two: that of the sources and that of the targets, but is {list(self.languages)}.")
        if self.start is not None and self.frequency is None:
            raise ValueError("`start` needs `frequency`: the time from one value to the next, such as 1d.")
        _check_encoding(self.encoding)


def _check_format(name: str) -> None:
    try:
        registry.find("readers", name)
    except ConfigError as error:
        known = registry.names("readers")
        raise ValueError(f"`format` must be one of {', '.join(known)}, but is {name!r}.{nearest(name, known)}") from error


def _check_encoding(name: str) -> None:
    try:
        newline = "a\n".encode(name)
    except (LookupError, ValueError) as error:
        raise ValueError(f"`encoding` must be an encoding that Python knows, such as utf-8 or latin-1, but is {name!r}.") from error
    if newline != b"a\n":
        raise ValueError(
            f"`encoding` must be one in which a byte 10 ends a line, but is {name!r}. Leave it out if the file begins with a byte order"
            " mark, which names the encoding; convert other files to utf-8."
        )


def _as_files(value: Any, build: Callable[[Any], Any]) -> Any:
    """Accept a path, a mapping, or a list of either where a recipe names files."""
    entries = value if isinstance(value, list | tuple) else [value]
    if not entries:
        raise ValueError("must name at least one file.")
    return build(tuple(as_file(entry) for entry in entries))


def as_file(entry: Any) -> FileConfig:
    """The file that a path or a mapping names.

    Raises ValueError with a sentence that says what is wrong, for pydantic to give its place.
    """
    if isinstance(entry, FileConfig):
        return entry
    if isinstance(entry, str | Path):
        return FileConfig(path=restored(entry))
    if not isinstance(entry, Mapping):
        raise ValueError(f"a file must be a path, or a mapping such as {{path: train.tsv}}, but is {entry!r}.")
    allowed = list(FileConfig.__dataclass_fields__)
    for key in entry:
        if key not in allowed:
            raise ValueError(f"`{key}` is not a setting of a file.{nearest(str(key), allowed)} Allowed here: {', '.join(allowed)}.")
    try:
        return FileConfig(**entry)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] == "value_error":
            raise ValueError(str(first["ctx"]["error"])) from error
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"`{where}` {first['msg'].replace('Input should be', 'must be')}, but is {first['input']!r}.") from error


Files = Annotated[
    tuple[FileConfig, ...],
    WrapValidator(_as_files, json_schema_input_type=str | FileConfig | Annotated[list[str | FileConfig], Field(min_length=1)]),
]
"""The type of a config's field that names files of records."""
