"""Data sets of Hugging Face: folders written by `Dataset.save_to_disk`, and repositories of the hub with files of records.

The files of the subset and the split that are named are read by the readers of their own formats, one after another. Class labels stay
the numbers that the files hold.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from antiphon.contracts.files import FileConfig
from antiphon.contracts.reader import IrregularError, Located, ReaderPlugin, Reading, Skip
from antiphon.data.formats import reader_of
from antiphon.data.splits import CARD, card_of, chosen, is_data, split_of
from antiphon.errors import DataError

if TYPE_CHECKING:
    import polars


def is_folder(folder: Path) -> bool:
    """Whether a folder was saved by `datasets`, or has a data set card, or columnar files named after splits."""
    if (folder / "dataset_dict.json").is_file() or ((folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()):
        return True
    card = card_of(_text(folder, CARD))
    if "configs" in card or "dataset_info" in card:
        return any(is_data(name) for name in _names(folder))
    stored = (path for inner in (folder, folder / "data") for suffix in (".parquet", ".arrow") for path in inner.glob(f"*{suffix}"))
    return any(split_of(path.name) is not None for path in stored)


def _names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]


def _text(folder: Path, name: str) -> str | None:
    try:
        return (folder / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def files_of(folder: Path, file: FileConfig) -> list[Path]:
    """The files of the given subset and split. Raises DataError where there are several, or none."""
    if not folder.is_dir():
        raise DataError(f"There is no folder `{folder}`; a data set saved by `datasets` is a folder.")
    names = chosen(_names(folder), lambda name: _text(folder, name), file.subset, file.split, str(folder))
    return [folder / name for name in names]


def _parts(reading: Reading) -> Iterator[tuple[ReaderPlugin, Reading]]:
    for path in files_of(reading.path, reading.file):
        file = FileConfig(path=str(path))
        plugin = reader_of(path, file)
        yield plugin, replace(reading, path=path, file=file)


def read(reading: Reading) -> Located:
    """The records of all files, numbered consecutively."""
    count = 0
    for plugin, part in _parts(reading):
        for _, record in plugin.read(part):
            count += not isinstance(record, Skip)
            yield count, record


def frames(reading: Reading, columns: tuple[str, ...] | None) -> "Iterator[polars.DataFrame]":
    """The same records in data frames, if all files support them."""
    parts = list(_parts(reading))
    if any(plugin.frames is None for plugin, _ in parts):
        raise IrregularError
    for plugin, part in parts:
        assert plugin.frames is not None, "as was seen above"
        yield from plugin.frames(part, columns)


plugin = ReaderPlugin(
    name="hf_datasets",
    summary="data sets that `datasets` of Hugging Face saved, and repositories of its hub: `hf://owner/name` (extra `hf`)",
    suffixes=(),
    read=read,
    is_folder=is_folder,
    settings=frozenset({"split", "subset"}),
    frames=frames,
    has_lines=False,
)
