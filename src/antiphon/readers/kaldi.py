"""Kaldi's data directories: `wav.scp` or `feats.scp`, `segments`, `text`, `utt2spk`.

A line is an id and what belongs to it (Povey et al. 2011, The Kaldi speech recognition toolkit; "Data preparation" in its manual). Names of
recordings may be places in archives, `wav.ark:1234`. Commands, which Kaldi would run (`sph2pipe -f wav x.sph |`), are never run.

Where a task learns from features that Kaldi made, they are read from `feats.scp` instead: each is an utterance as it is, so that `segments`
only says where it lies in its recording.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from antiphon.contracts.reader import Located, ReaderPlugin, Reading, Skip
from antiphon.data.audio import AUDIO_SUFFIXES
from antiphon.data.byte_streams import read_lines
from antiphon.data.fields import check_columns
from antiphon.data.precomputed_frames import BESIDE
from antiphon.errors import DataError

_FILES = (
    *("wav.scp", "segments", "text", "utt2spk", "utt2lang"),
    *("feats.scp", "utt2num_frames", "frame_shift", "cmvn.scp"),
)

_Place = tuple[int, str, dict[str, Any] | Skip]
"""(line, utterance, what says where it lies, or why it lies nowhere)."""


class _Utterance(NamedTuple):
    """The place of an utterance: start and end in seconds, None for the whole recording, and a channel from 1."""

    line: int
    name: str
    recording: str
    start: float | None
    end: float | None
    channel: int | None


def read(reading: Reading) -> Located:
    """A record for each utterance: those of `segments`, or without it of `wav.scp`, in this order; those of `feats.scp` for precomputed
    features."""
    folder = reading.path
    if not folder.is_dir():
        raise DataError(f"`{folder}` must be a folder with wav.scp in it to be read as kaldi. Name the folder, not a file.")
    _check_there(folder, reading.precomputed)
    texts = _table(folder, "text")
    columns = {column: _table(folder, name) for name, column in (("utt2spk", "speaker"), ("utt2lang", "language"))}
    if reading.with_targets and not texts:
        raise DataError(f"`{folder}` has no file `text`, which has the texts of the utterances. Add it to learn from them.")
    places = _features(folder, reading.source) if reading.precomputed else _recordings(folder, reading.source)
    told = ("id", "recording", "start", "end", "channel", *(BESIDE if reading.precomputed else ()))
    check_columns((*_columns(reading, texts, columns, told),), reading.required, f"`{folder}`")
    names = set[str]()
    for line, utterance, place in places:
        names.add(utterance)
        if isinstance(place, Skip):
            yield line, place
        elif reading.with_targets and utterance not in texts:
            yield line, Skip("no text")
        else:
            more = {column: _of(utterance, table, folder, column) for column, table in columns.items() if table}
            said = {reading.target: texts[utterance][1]} if utterance in texts else {}
            yield line, {**place, **said, "id": utterance, **more}
    for utterance, (line, _) in texts.items():
        if reading.with_targets and utterance not in names:
            yield line, Skip("text without features" if reading.precomputed else "text without a recording")


def _check_there(folder: Path, precomputed: bool) -> None:
    """Refuse a folder without the necessary files."""
    if precomputed and not (folder / "feats.scp").exists():
        raise DataError(
            f"`{folder}` has no features (feats.scp), which `task.features.kind: precomputed` learns from. Make them by Kaldi's"
            " steps/make_fbank.sh, or read its recordings: `kind: filter_banks`."
        )
    if not precomputed and not (folder / "wav.scp").exists():
        raise DataError(
            f"`{folder}` has features (feats.scp), but no recordings (wav.scp). Learn from the features, by `task.features: {{kind:"
            " precomputed, bins: 80, frame_shift: 0.01}` with their number of channels, or add wav.scp."
        )


def _recordings(folder: Path, source: str) -> Iterator[_Place]:
    """The utterances as recordings, or parts of them."""
    recordings = _table(folder, "wav.scp")
    for line, utterance, recording, start, end, channel in _utterances(folder):
        if recording not in recordings:
            yield line, utterance, Skip("segment without a recording")
        else:
            place = _name(folder, "wav.scp", *recordings[recording])
            yield line, utterance, {source: place, "recording": recording, "start": start, "end": end, "channel": channel}


def _features(folder: Path, source: str) -> Iterator[_Place]:
    """The utterances as matrices of features; `offset` is the second of the recording at which one begins."""
    segments = {one.name: one for one in _utterances(folder)} if (folder / "segments").exists() else {}
    statistics, speakers = _table(folder, "cmvn.scp"), _table(folder, "utt2spk")
    counts, shift = _table(folder, "utt2num_frames"), _frame_shift(folder)
    for utterance, (line, named) in _table(folder, "feats.scp").items():
        segment = segments.get(utterance)
        known = next((one for one in (speakers.get(utterance, (0, ""))[1], utterance) if one in statistics), None)
        yield (
            line,
            utterance,
            {
                source: _name(folder, "feats.scp", line, named),
                "recording": utterance if segment is None else segment.recording,
                **dict.fromkeys(("start", "end", "channel")),
                "offset": None if segment is None else segment.start,
                "num_frames": _count(folder, *counts[utterance]) if utterance in counts else None,
                "frame_shift": shift,
                "statistics": None if known is None else _name(folder, "cmvn.scp", *statistics[known]),
            },
        )


def _count(folder: Path, line: int, said: str) -> int:
    if not said.isdecimal():
        raise DataError(f"{folder / 'utt2num_frames'}:{line} must be an utterance and its number of frames, but the number is `{said}`.")
    return int(said)


def _frame_shift(folder: Path) -> float | None:
    """The frame shift in seconds, if Kaldi recorded it."""
    path = folder / "frame_shift"
    if not path.exists():
        return None
    try:
        return float(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"`{path}` must be a number of seconds, such as 0.01, but is not.") from error


def _columns(reading: Reading, texts: object, more: dict[str, dict[str, tuple[int, str]]], told: tuple[str, ...]) -> Iterator[str]:
    """The columns of the records."""
    yield from (reading.source, *told)
    yield from (reading.target,) if texts else ()
    yield from (column for column, table in more.items() if table)


def _table(folder: Path, name: str) -> dict[str, tuple[int, str]]:
    """id -> (line, rest of the line); empty if there is no such file."""
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


def _name(folder: Path, table: str, line: int, named: str) -> str:
    """The name of a recording, or the location of a matrix. Raises DataError for a command."""
    where, what = f"{folder / table}:{line}", "a recording" if table == "wav.scp" else "a place in an archive"
    if named.endswith("|") or named.startswith("|"):
        instead, copies = (f"Write {_instead(named)}, or let", "wav-copy") if table == "wav.scp" else ("Let", "copy-feats")
        raise DataError(
            f"{where} must name {what}, but is a command (`{named:.80}`), and none is run. {instead} Kaldi run all of them once:"
            f" {copies} scp:{table} ark,scp:new.ark,files.scp, and name files.scp {table}."
        )
    if not named or named == "-":
        raise DataError(f"{where} must name {what}, but names none.")
    return named


def _instead(command: str) -> str:
    """A replacement for a command that outputs a recording which is already in a file."""
    files = [word for word in re.split(r"[\s\"'|]+", command) if word.lower().endswith(AUDIO_SUFFIXES)]
    is_whole = files and not re.search(r"-c\s*\d|remix|trim|speed", command)  # it would be heard as it is, without these
    return f"the name of its file, {files[0]}" if is_whole else "the name of a file"


def is_folder(path: Path) -> bool:
    """Whether a folder is a Kaldi data directory."""
    return any((path / name).is_file() for name in ("wav.scp", "feats.scp"))


plugin = ReaderPlugin(
    name="kaldi",
    summary="a data directory of Kaldi or ESPnet: wav.scp or feats.scp (files, places in archives), segments, text, utt2spk",
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
