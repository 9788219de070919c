"""The files that a path names: one file, the files that a pattern such as `po/*.po` matches, those in a folder that is no data set by
itself, two line-aligned files with a common prefix, a data set on the hub, or files in a remote storage."""

from collections.abc import Sequence
from dataclasses import replace
from glob import glob, has_magic
from pathlib import Path

from antiphon.contracts.files import HUB, FileConfig, is_remote
from antiphon.data.audio import AUDIO_SUFFIXES
from antiphon.data.byte_streams import COMPRESSIONS
from antiphon.data.formats import folder_reader, readers, suffix_of
from antiphon.data.hub import fetched
from antiphon.errors import DataError
from antiphon.store import remote

_PLAIN = frozenset((".txt", ".text"))
_DOCUMENTS = frozenset(("markdown", "html"))
"""Formats of prose, beside which a plain text is prose, too."""


def files_of(file: FileConfig, base: Path) -> Sequence[tuple[FileConfig, str | None]]:
    """The named files, sorted, each with its display name among the others; None if it is displayed as it was named.

    Raises DataError when a pattern matches no file, and as `hub.fetched` and `remote.fetched` for a name elsewhere.
    """
    if file.path is None:
        return [(replace(file, source=_here(file.source), target=_here(file.target)), None)]
    if is_remote(file.path):
        local = remote.fetched_all(file.path) if has_magic(file.path) else [remote.fetched(file.path)]
        return [(replace(file, path=str(one)), None) for one in local]
    if file.path.startswith(HUB):
        file = fetched(file)
    path = base / Path(str(file.path)).expanduser()
    if has_magic(str(file.path)) and not path.exists():
        found = sorted(Path(name) for name in glob(str(path), recursive=True) if Path(name).is_file())
        if not found:
            raise DataError(f"No file matches `{path}`. In a pattern * stands for any characters, and ** for any folders.")
        return [(replace(file, path=str(one)), None) for one in found]
    if (pair := _aligned(file, path)) is not None:
        return [(pair, None)]
    if not path.is_dir() or file.format is not None or folder_reader(path) is not None:
        return [(file, None)]
    found = translatable(path)
    return [(replace(file, path=str(one)), one.relative_to(path).as_posix()) for one in found] if found else [(file, None)]


def _here(name: str | None) -> str | None:
    """A file on this machine, downloaded if necessary."""
    return str(remote.fetched(name)) if name is not None and is_remote(name) else name


def _aligned(file: FileConfig, path: Path) -> FileConfig | None:
    """The files `corpus.en` and `corpus.de` if `corpus` is named with these languages, and is no file itself."""
    if not file.languages or file.format is not None or path.exists():
        return None
    sides = [
        next((one for end in ("", *COMPRESSIONS) if (one := Path(f"{path}.{language}{end}")).exists()), None) for language in file.languages
    ]
    if sides[0] is None or sides[1] is None:
        return None
    return FileConfig(source=str(sides[0]), target=str(sides[1]), encoding=file.encoding, weight=file.weight)


def translatable(folder: Path) -> list[Path]:
    """The files in a folder and its subfolders whose format can hold predictions, sorted by name; none if there are audio files or plain
    texts, which are meant then: a Markdown page beside them may describe them.

    Raises DataError for plain texts beside files that are no documents, where either may be meant.
    """
    known = [plugin for plugin in readers() if plugin.back is not None]
    suffixes = {suffix for plugin in known for suffix in plugin.suffixes} - _PLAIN
    documents = {suffix for plugin in known if plugin.name in _DOCUMENTS for suffix in plugin.suffixes}
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not _hidden(path.relative_to(folder))]
    if any(path.suffix.lower() in AUDIO_SUFFIXES for path in files):
        return []
    found = [path for path in files if suffix_of(path) in suffixes]
    texts = [path for path in files if suffix_of(path) in _PLAIN]
    other = next((path for path in found if suffix_of(path) not in documents), None)
    if other is not None and texts:
        raise DataError(
            f"`{folder}` has plain texts in it, such as `{texts[0].name}`, and files of another kind, such as `{other.name}`."
            f" Name one kind, such as '{folder}/**/*{other.suffix}'."
        )
    return [] if texts else found


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
