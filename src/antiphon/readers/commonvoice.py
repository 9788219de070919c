"""Common Voice as downloaded: `train.tsv`, `dev.tsv` and so on beside the folder `clips` (Ardila et al. 2020, Common Voice).

Unusual here: nobody is named, so a speaker is the `client_id`. Older releases name clips without their suffix.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from antiphon.contracts.files import FileConfig
from antiphon.contracts.reader import Located, ReaderPlugin, Reading, Skip
from antiphon.data.byte_streams import opening_of
from antiphon.data.fields import check_columns
from antiphon.errors import DataError
from antiphon.readers import tsv


def read(reading: Reading) -> Located:
    """A record for each line, with all of its columns, and `speaker`."""
    path = _table(reading.path, reading.file.split) if reading.path.is_dir() else reading.path
    folder = "clips/" if (path.parent / "clips").is_dir() else ""
    for line, row in tsv.read(replace(reading, path=path, file=FileConfig(path=str(path)), required=())):
        assert not isinstance(row, Skip), "a table has rows only"
        name = row["path"] if Path(row["path"]).suffix else f"{row['path']}.mp3"
        record = {**row, "speaker": row["client_id"], reading.source: folder + name, reading.target: row["sentence"]}
        check_columns(record, reading.required, f"`{path}`")
        yield line, record


def _table(folder: Path, split: str | None) -> Path:
    found = [path.stem for path in _tables(folder)]
    if split is None or split not in found:
        said = "be named" if split is None else f"be one that is there, but is {split!r}"
        raise DataError(f"`split` of `{folder}` must {said}: {', '.join(found)}.")
    return folder / f"{split}.tsv"


def _tables(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.glob("*.tsv")) if path.stat().st_size and recognizes(opening_of(path)))


def recognizes(opening: bytes) -> bool:
    """Whether the first line has the column names of Common Voice."""
    return {b"client_id", b"path", b"sentence"} <= set(opening.split(b"\n", 1)[0].rstrip(b"\r").split(b"\t"))


def is_folder(path: Path) -> bool:
    """Whether a folder holds one language of Common Voice."""
    return (path / "clips").is_dir() and any((path / f"{name}.tsv").is_file() for name in ("validated", "train", "test"))


plugin = ReaderPlugin(
    name="commonvoice",
    summary="Common Voice as downloaded: a folder with `split`, or a .tsv beside `clips`",
    suffixes=(".tsv",),
    read=read,
    recognizes=recognizes,
    is_folder=is_folder,
    settings=frozenset({"split"}),
    has_types=False,
    files=lambda path: path.glob("*.tsv") if path.is_dir() else iter([path]),
)
