"""Kaldi's data directories: `wav.scp`, `segments`, `text`, `utt2spk`.

A line is an id and what belongs to it (Povey et al. 2011, The Kaldi speech recognition toolkit; "Data preparation" in its manual). Names of
recordings may be places in archives, `wav.ark:1234`. Commands, which Kaldi would run (`sph2pipe -f wav x.sph |`), are never run.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from antiphon.contracts.reader import Located, ReaderPlugin, Reading, Skip
from antiphon.data.audio import AUDIO_SUFFIXES
from antiphon.data.byte_streams import read_lines
from antiphon.data.fields import check_columns
from antiphon.errors import DataError

_FILES = ("wav.scp", "segments", "text", "utt2spk", "utt2lang")


class _Utterance(NamedTuple):
    """Where an utterance lies: seconds, None where it is all of the recording, and a channel from 1."""

    line: int
    name: str
    recording: str
    start: float | None
    end: float | None
    channel: int | None


def read(reading: Reading) -> Located:
    """A record an utterance: of `segments`, or without it of `wav.scp`, in this order."""
    folder = reading.path
    if not folder.is_dir():
        raise DataError(f"`{folder}` must be a folder with wav.scp in it to be read as kaldi. Name the folder, not a file.")
    if not (folder / "wav.scp").exists():
        raise DataError(
            f"`{folder}` has features (feats.scp), but no recordings. They are not read, as a model hears recordings in its own way"
            " (`task.features`): add wav.scp."
        )
    recordings, texts = _table(folder, "wav.scp"), _table(folder, "text")
    columns = {column: _table(folder, name) for name, column in (("utt2spk", "speaker"), ("utt2lang", "language"))}
    if reading.with_targets and not texts:
        raise DataError(f"`{folder}` has no file `text`, which says what is said in the utterances. Add it to learn from them.")
    check_columns((*_columns(reading, texts, columns),), reading.required, f"`{folder}`")
    names = set[str]()
    for line, utterance, recording, start, end, channel in _utterances(folder):
        names.add(utterance)
        if recording not in recordings:
            yield line, Skip("segment without a recording")
        elif reading.with_targets and utterance not in texts:
            yield line, Skip("no text")
        else:
            more = {column: _of(utterance, table, folder, column) for column, table in columns.items() if table}
            said = {reading.target: texts[utterance][1]} if utterance in texts else {}
            where = {"start": start, "end": end, "channel": channel}
            place = {reading.source: _name(folder, *recordings[recording])}
            yield line, {**place, **said, "id": utterance, "recording": recording, **where, **more}
    for utterance, (line, _) in texts.items():
        if reading.with_targets and utterance not in names:
            yield line, Skip("text without a recording")


def _columns(reading: Reading, texts: object, more: dict[str, dict[str, tuple[int, str]]]) -> Iterator[str]:
    """The columns that records have."""
    yield from (reading.source, "id", "recording", "start", "end", "channel")
    yield from (reading.target,) if texts else ()
    yield from (column for column, table in more.items() if table)


def _table(folder: Path, name: str) -> dict[str, tuple[int, str]]:
    """id -> (line, what belongs to it); nothing where there is no such file."""
    found: dict[str, tuple[int, str]] = {}
    path = folder / name
    for line, content in read_lines(path) if path.exists() else ():
        parts = content.split(maxsplit=1)
        if not parts:
            raise DataError(f"{path}:{line} must begin with an id, but is blank. Remove the line.")
        if parts[0] in found:
            raise DataError(f"{path}:{line} has the id `{parts[0]}`, which line {found[parts[0]][0]} has, too. Ids must differ.")
        found[parts[0]] = line, parts[1].strip() if len(parts) > 1 else ""
    return found


def _utterances(folder: Path) -> Iterator[_Utterance]:
    path = folder / "segments"
    if not path.exists():
        for name, (line, _) in _table(folder, "wav.scp").items():
            yield _Utterance(line, name, name, None, None, None)
        return
    for name, (line, rest) in _table(folder, "segments").items():
        cells = rest.split()
        try:
            start, end = float(cells[1]), float(cells[2])
            channel = int(cells[3]) + 1 if len(cells) > 3 else None  # Kaldi counts from 0
        except (ValueError, IndexError) as error:
            raise DataError(
                f"{path}:{line} must be an utterance, a recording, and its first and last second, such as `a-1 a 0.5 2.25`, but is"
                f" `{name} {rest}`."
            ) from error
        yield _Utterance(line, name, cells[0], start, None if end < 0 else end, channel)  # -1 is the end of the recording


def _of(utterance: str, table: dict[str, tuple[int, str]], folder: Path, column: str) -> str:
    if utterance not in table:
        raise DataError(f"`{folder}` does not say the {column} of the utterance `{utterance}`. Run Kaldi's utils/fix_data_dir.sh.")
    return table[utterance][1]


def _name(folder: Path, line: int, named: str) -> str:
    """The name of a recording. Raises DataError for a command."""
    if named.endswith("|") or named.startswith("|"):
        files = [word for word in re.split(r"[\s\"'|]+", named) if word.lower().endswith(AUDIO_SUFFIXES)]
        is_whole = files and not re.search(r"-c\s*\d|remix|trim|speed", named)  # it would be heard as it is, without these
        instead = f"the name of its file, {files[0]}" if is_whole else "the name of a file"
        raise DataError(
            f"{folder / 'wav.scp'}:{line} must name a recording, but is a command (`{named:.80}`), and none is run. Write {instead},"
            " or let Kaldi run all of them once: wav-copy scp:wav.scp ark,scp:wav.ark,files.scp, and name files.scp wav.scp."
        )
    if not named or named == "-":
        raise DataError(f"{folder / 'wav.scp'}:{line} must name a recording, but names none.")
    return named


def is_folder(path: Path) -> bool:
    """Whether a folder is a data directory."""
    return (path / "wav.scp").is_file() or ((path / "feats.scp").is_file() and (path / "utt2spk").is_file())


plugin = ReaderPlugin(
    name="kaldi",
    summary="a data directory of Kaldi or ESPnet: wav.scp (files, places in archives), segments, text, utt2spk",
    suffixes=(),
    read=read,
    is_folder=is_folder,
    settings=frozenset(),
    unit="utterance",
    has_lines=False,
    has_types=False,
    has_parts=True,
    files=lambda path: (path / name for name in _FILES if (path / name).exists()),
)
