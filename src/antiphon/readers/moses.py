"""A corpus in the Moses format of OPUS: a zip with a line-aligned text file for each language, beside licences and notes.

The languages are the endings of the names, `Europarl.de-en.de` and `Europarl.de-en.en` (Tiedemann 2012, "Parallel Data, Tools and
Interfaces in OPUS"). Unpacked files are named by `source` and `target`, or by what comes before the languages.
"""

import zipfile
from itertools import zip_longest
from pathlib import PurePosixPath

from antiphon.contracts.reader import Located, ReaderPlugin, Reading
from antiphon.data.byte_streams import lines_of
from antiphon.data.fields import check_columns
from antiphon.errors import ConfigError, DataError

_NOTES = ("README", "LICENSE", "CITATION")


def read(reading: Reading) -> Located:
    """A record for each line: the source and, where needed, the target."""
    path, encoding = reading.path, reading.file.encoding
    names = (reading.source, reading.target)
    check_columns(names, reading.required, f"`{path}`")
    try:
        with zipfile.ZipFile(path) as archive:
            sides = names if reading.with_targets else names[:1]
            members = [_member(archive, reading, language) for language in (reading.file.languages or (None, None))[: len(sides)]]
            texts = [lines_of(archive.open(member), path, encoding) for member in members]
            for lines in zip_longest(*texts):
                if None in lines:
                    raise DataError(
                        f"The files of `{path}` must have as many lines as each other, but {members[lines.index(None)]} ends before line"
                        f" {next(line[0] for line in lines if line is not None)}. Download it again."
                    )
                yield lines[0][0], {name: line[1].removeprefix("\ufeff") for name, line in zip(sides, lines, strict=True)}
    except zipfile.BadZipFile as error:
        raise DataError(f"`{path}` is no zip, or is damaged ({error}). Download it again.") from error


def _member(archive: zipfile.ZipFile, reading: Reading, language: str | None) -> str:
    """The file of a language. Raises ConfigError when no language is given, DataError when there is not exactly one file for it."""
    names = [name for name in archive.namelist() if not name.endswith("/") and not PurePosixPath(name).name.startswith(_NOTES)]
    there = sorted({PurePosixPath(name).suffix.removeprefix(".") for name in names} - {"", "ids", "xml", "scores"})
    if language is None:
        raise ConfigError(f"`languages` of `{reading.path}` must say which is the source, such as {_pair(there)}.")
    found = [name for name in names if name.endswith(f".{language}")]
    if len(found) != 1:
        many = f"{len(found)} files" if found else "no file"
        raise DataError(f"`{reading.path}` must have one file for the language `{language}`, but has {many}; it has: {', '.join(there)}.")
    return found[0]


def _pair(there: list[str]) -> str:
    return f"`languages: [{', '.join(there)}]`" if len(there) == 2 else "`languages: [en, de]`"


plugin = ReaderPlugin(
    name="moses",
    summary="a zip of OPUS with a file for each of `languages`, aligned by line",
    suffixes=(".zip",),
    read=read,
    settings=frozenset({"encoding", "languages"}),
    line_of=lambda _, number: number + 1,
    has_types=False,
)
