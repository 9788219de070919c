"""LibriSpeech as downloaded: folders of speakers and chapters, with `19-198.trans.txt` beside `19-198-0000.flac`.

Panayotov et al. 2015, LibriSpeech: an ASR corpus based on public domain audio books. A line of a transcript is an utterance's name, which
says speaker and chapter, and its text.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from antiphon.contracts.reader import Located, ReaderPlugin, Reading
from antiphon.data.byte_streams import read_lines
from antiphon.data.fields import check_columns
from antiphon.errors import DataError

_ENDING = ".trans.txt"
_SOUNDS = (".flac", ".wav", ".opus", ".ogg", ".mp3")
_LOOKED_AT = 3  # folders on each level, to tell what a folder is
_DEEPEST = 3  # below a split: speaker, chapter


def read(reading: Reading) -> Located:
    """A record for each line of the transcripts, sorted by name, numbered consecutively."""
    folder, number = _split(reading.path, reading.file.split), 0
    for transcript in sorted(folder.rglob(f"*{_ENDING}")):
        for line, content in read_lines(transcript):
            name, _, text = content.partition(" ")
            if not name:
                raise DataError(f"{transcript}:{line} must begin with an utterance's name, but is {content!r:.40}.")
            number += 1
            sound = next((path for end in _SOUNDS if (path := transcript.with_name(name + end)).exists()), None)
            if sound is None:
                raise DataError(f"{transcript}:{line} names `{name}`, but there is no {name}.flac beside it. Unpack all of the corpus.")
            speaker, _, rest = name.partition("-")
            record = {
                reading.source: sound.relative_to(reading.path).as_posix(),
                reading.target: text.strip(),
                "id": name,
                "speaker": speaker,
                "chapter": rest.partition("-")[0],
            }
            check_columns(record, reading.required, f"`{reading.path}`")
            yield number, record


def _split(folder: Path, named: str | None) -> Path:
    """The folder of a split; if there are several splits one must be named, as some are for testing."""
    if named is not None:
        if not (folder / named).is_dir():
            raise DataError(f"`split` of `{folder}` must be a folder in it, but is {named!r}.")
        return folder / named
    splits = sorted(path.name for path in folder.iterdir() if path.is_dir() and "-" in path.name and _has(path, _DEEPEST - 1))
    if splits:
        raise DataError(f"`split` of `{folder}` must be named: {', '.join(splits)}.")
    return folder


def is_folder(path: Path) -> bool:
    """Whether a folder has transcripts in the places of LibriSpeech."""
    return _has(path, _DEEPEST)


def _has(path: Path, deep: int) -> bool:
    if next(path.glob(f"*{_ENDING}"), None) is not None:
        return True
    return deep > 0 and any(_has(one, deep - 1) for one in islice(_folders(path), _LOOKED_AT))


def _folders(path: Path) -> Iterator[Path]:
    return (one for one in path.iterdir() if one.is_dir() and not one.name.startswith("."))


plugin = ReaderPlugin(
    name="librispeech",
    summary="LibriSpeech as downloaded: *.trans.txt beside recordings; one split, or a folder of them with `split`",
    suffixes=(),
    read=read,
    is_folder=is_folder,
    settings=frozenset({"split"}),
    unit="utterance",
    has_lines=False,
    has_types=False,
    files=lambda path: path.rglob(f"*{_ENDING}"),
)
