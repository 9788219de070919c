"""Determines the format of a file, and checks its settings."""

from collections.abc import Iterator
from functools import cache
from itertools import zip_longest
from pathlib import Path

from antiphon.contracts import registry
from antiphon.contracts.files import FileConfig
from antiphon.contracts.reader import ReaderPlugin, settings_of
from antiphon.contracts.records import Record
from antiphon.data.byte_streams import COMPRESSIONS, check_file, opening_of, read_lines
from antiphon.errors import ConfigError, DataError, nearest


def readers(suffix: str = "") -> Iterator[ReaderPlugin]:
    """All formats; with a suffix, those whose files may have it."""
    return iter(_readers(suffix))


@cache
def _readers(suffix: str) -> tuple[ReaderPlugin, ...]:
    """Cached, as looking through all installed formats takes as long as reading a small file. Formats whose source does not even contain
    the suffix are not imported."""
    return tuple(registry.find("readers", name) for name in registry.names("readers", saying=f'"{suffix}"' if suffix else ""))


def reader_of(path: Path, file: FileConfig) -> ReaderPlugin:
    """The reader of a file: that of the `format` setting, or the one for its suffix and its first bytes.

    Raises DataError when they say nothing, ConfigError when the file has a setting that means nothing in its format.
    """
    plugin: ReaderPlugin = registry.find("readers", file.format) if file.format is not None else _found(path)
    for name in settings_of(file):
        if name not in plugin.settings:
            can = ", ".join(sorted(plugin.settings)) or "none"
            raise ConfigError(f"`{name}` has no effect on `{path}`, which is read as {plugin.name}; remove it. It may have: {can}.")
    return plugin


def suffix_of(path: Path) -> str:
    """The last suffix of a path, without compression, in lower case."""
    suffixes = [suffix for suffix in path.suffixes if suffix.lower() not in COMPRESSIONS]
    return suffixes[-1].lower() if suffixes else ""


def folder_reader(path: Path) -> ReaderPlugin | None:
    """The format of which a folder is a data set, if any."""
    return next((plugin for plugin in readers() if plugin.is_folder is not None and plugin.is_folder(path)), None)


def recognized(opening: bytes, among: Iterator[ReaderPlugin] | None = None) -> ReaderPlugin | None:
    """The format recognized by the first bytes of a file, if any."""
    known = readers() if among is None else among
    return next((plugin for plugin in known if plugin.recognizes is not None and plugin.recognizes(opening)), None)


def holds_lines(path: Path) -> bool:
    """Whether a file name is that of a text with one line per record: `.txt`, or a suffix of no format, such as `.en`."""
    alike = _alike(suffix_of(path))
    return not path.is_dir() and (not alike or any(plugin.name == "txt" for plugin in alike))


def _alike(suffix: str) -> list[ReaderPlugin]:
    return [plugin for plugin in readers(suffix) if suffix in plugin.suffixes] if suffix else []


def _found(path: Path) -> ReaderPlugin:
    if path.is_dir() and (plugin := folder_reader(path)) is not None:
        return plugin
    check_file(path)
    suffix = suffix_of(path)
    alike = _alike(suffix)
    if len(alike) == 1 and alike[0].recognizes is None:
        return alike[0]
    opening = opening_of(path)
    if (plugin := recognized(opening, iter(alike))) is not None:
        return plugin
    plain = next((plugin for plugin in alike if plugin.recognizes is None), None) or (alike[0] if len(alike) == 1 else None)
    if plain is not None:
        return plain
    known = list(readers())
    if (plugin := recognized(opening, iter(known))) is not None:
        return plugin
    suffixes = sorted({suffix for plugin in known for suffix in plugin.suffixes})
    raise DataError(
        f"The suffix of `{path}` must be one of {', '.join(suffixes)} (text also with .gz or .zst behind it). Set `format` of this file;"
        f" two texts aligned by line are named {{source: train.en, target: train.de}}."
        f"{nearest(suffix.removeprefix('.'), [known.removeprefix('.') for known in suffixes], 0.6)}"
    )


def read_aligned(source: Path, target: Path, encoding: str, names: tuple[str, str]) -> Iterator[tuple[int, Record]]:
    """Read two text files in parallel, line by line.

    Raises DataError when one has more lines than the other, with the counts of both.
    """
    both = zip_longest(read_lines(source, encoding), read_lines(target, encoding))
    for shared, (left, right) in enumerate(both):
        if left is None or right is None:
            rest = 1 + sum(1 for _ in both)
            counts = (shared, shared + rest) if left is None else (shared + rest, shared)
            raise DataError(
                f"Line-aligned files must have as many lines as each other, but `{source}` has {counts[0]} and `{target}` has {counts[1]}."
            )
        yield left[0], {names[0]: left[1], names[1]: right[1]}
