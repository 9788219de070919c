"""Lhotse's manifests as JSON lines: cuts, or supervisions beside their recordings, or recordings alone.

A cut is a part of a recording with what is said in it, in one or more supervisions, each of which is a record (as `trim_to_supervisions`
makes them; Żelasko et al. 2021, Lhotse: a speech data representation library). Times of supervisions in cuts count from the cut's start.
Channels, which Lhotse counts from 0, count from 1 in records.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from antiphon.contracts.reader import Located, ReaderPlugin, Reading, Skip
from antiphon.contracts.records import Record
from antiphon.data.audio import AUDIO_SUFFIXES
from antiphon.data.audio_archives import names_in
from antiphon.data.byte_streams import read_lines
from antiphon.data.fields import check_columns
from antiphon.errors import DataError
from antiphon.readers.first_object import first_object
from antiphon.readers.jsonl import json_object

_CUTS = ("MonoCut", "MultiCut", "MixedCut", "PaddingCut")
_SLACK = 0.05  # seconds by which a supervision may reach out of its cut, as times are rounded
_ENDINGS = ("", ".gz", ".zst")


def read(reading: Reading) -> Located:
    """A record for each supervision, or where there are none for each cut or recording."""
    path = _file_in(reading.path) if reading.path.is_dir() else reading.path
    recordings: dict[str, Mapping[str, Any]] | None = None
    for line, row in _rows(path):
        kind = _kind_of(row)
        if kind == "cut":
            found = _of_cut(reading, path, line, row)
        elif kind == "supervision":
            recordings = _recordings(path) if recordings is None else recordings
            found = iter([_of_supervision(reading, path, line, row, recordings)])
        elif kind == "recording":
            found = iter([_of_recording(reading, path, line, row)])
        else:
            raise DataError(f"{path}:{line} must be a cut, a supervision or a recording of Lhotse, but has: {', '.join(row)}.")
        for record in found:
            if not isinstance(record, Skip):
                check_columns(record, reading.required, f"{path}:{line}")
            yield line, record


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for line, content in read_lines(path):
        if content.strip():
            yield line, json_object(path, line, content, ())


def _kind_of(row: Mapping[str, Any]) -> str:
    if row.get("type") in _CUTS:
        return "cut"
    if "recording_id" in row and "duration" in row:
        return "supervision"
    return "recording" if "sources" in row and "sampling_rate" in row else ""


def _of_cut(reading: Reading, path: Path, line: int, cut: Mapping[str, Any]) -> Iterator[Record | Skip]:
    if cut["type"] in ("MixedCut", "PaddingCut"):
        yield Skip("mixed or padded, not in any file")
        return
    if cut.get("recording") is None:
        yield Skip("cut without a recording")
        return
    cut = _out_of_shard(path, line, cut)
    start, seconds = float(cut.get("start", 0.0)), float(cut["duration"])
    said = cut.get("supervisions") or []
    for one in said:
        first, last = float(one["start"]), float(one["start"]) + float(one["duration"])
        if first < -_SLACK or last > seconds + _SLACK:
            yield Skip("supervision reaches out of its cut")
            continue
        bounds = (start + max(0.0, first), start + min(seconds, last))
        channel = one.get("channel", cut.get("channel"))
        yield _record(reading, f"{path}:{line}", cut["recording"], bounds, channel, one)
    if not said:
        place = (start, start + seconds)
        yield _record(reading, f"{path}:{line}", cut["recording"], place, cut.get("channel"), {"id": cut.get("id")})


def _out_of_shard(path: Path, line: int, cut: Mapping[str, Any]) -> Mapping[str, Any]:
    """The cut, with its audio in a shard beside it if Lhotse Shar has put it there: `cuts.000000.jsonl.gz` and `recording.000000.tar`."""
    sources = cut["recording"]["sources"]
    if [source["type"] for source in sources] != ["shar"]:
        return cut
    shard = path.with_name(f"{path.name.split('.jsonl')[0].replace('cuts', 'recording', 1)}.tar")
    known = names_in(shard)
    name = next((name for end in AUDIO_SUFFIXES if (name := f"{cut['id']}{end}") in known), None)
    if name is None:
        raise DataError(f"{path}:{line} has the cut `{cut['id']}`, whose sound must be in `{shard}`, but is not.")
    return {**cut, "recording": {**cut["recording"], "sources": [{**sources[0], "type": "file", "source": f"{shard.name}/{name}"}]}}


def _of_supervision(
    reading: Reading, path: Path, line: int, row: Mapping[str, Any], recordings: Mapping[str, Mapping[str, Any]]
) -> Record | Skip:
    recording = recordings.get(str(row["recording_id"]))
    if recording is None:
        return Skip("supervision without a recording")
    start = float(row["start"])
    return _record(reading, f"{path}:{line}", recording, (start, start + float(row["duration"])), row.get("channel"), row)


def _of_recording(reading: Reading, path: Path, line: int, row: Mapping[str, Any]) -> Record | Skip:
    if reading.with_targets:
        raise DataError(f"`{path}` has recordings without their texts. Name the supervisions, `{_beside(path, 'supervisions')}`, or cuts.")
    return _record(reading, f"{path}:{line}", row, None, row.get("channel_ids"), {"id": row.get("id")})


def _record(
    reading: Reading, place: str, recording: Mapping[str, Any], bounds: tuple[float, float] | None, channel: Any, said: Mapping[str, Any]
) -> Record | Skip:
    """A part of a recording with the data of a supervision; Skip if this has no text, and one is needed."""
    text = said.get("text")
    if reading.with_targets and text is None:
        return Skip("no text")
    name, heard = _source(place, recording, channel)
    known = {key: said.get(key) for key in ("speaker", "language", "gender", "custom")}
    start, end = (None, None) if bounds is None else (round(bounds[0], 6), round(bounds[1], 6))
    return {
        reading.source: name,
        **({} if text is None else {reading.target: text}),
        "id": said.get("id"),
        "recording": recording.get("id"),
        "start": start,
        "end": end,
        "channel": heard,
        **{key: value for key, value in known.items() if value is not None},
    }


def _source(place: str, recording: Mapping[str, Any], channel: Any) -> tuple[str, int | None]:
    """The audio file of a recording, and the selected channel; None is the mix. Raises DataError for audio that is in no file, or is
    transformed."""
    changes = [one.get("name") if isinstance(one, Mapping) else one for one in recording.get("transforms") or ()]
    if any(name != "Resample" for name in changes):
        raise DataError(
            f"{place} has a recording that is changed ({', '.join(map(str, changes))}) while Lhotse reads it. Save the sound"
            " (`cuts.save_audios`), or leave it to `task.augmentation`."
        )
    wanted = channel if isinstance(channel, list) else [0 if channel is None else channel]
    sources = [one for one in recording["sources"] if set(wanted) & set(one["channels"])]
    if len(sources) != 1 or not set(wanted) <= set(sources[0]["channels"]):
        raise DataError(f"{place} has the channels {wanted} of a recording, which are in {len(sources)} files. Name one channel a record.")
    (source,) = sources
    if source["type"] != "file":
        what = "a command, and none is run" if source["type"] == "command" else f"of the type {source['type']}"
        raise DataError(f"{place} must have a recording in a file, but its source is {what}. Save the sound (`cuts.save_audios`).")
    if len(wanted) == 1:
        return source["source"], source["channels"].index(wanted[0]) + 1 if len(source["channels"]) > 1 else None
    if set(wanted) != set(source["channels"]):
        raise DataError(f"{place} has the channels {wanted} of {source['channels']}. Name one, or all of them, whose mix is heard.")
    return source["source"], None


def _recordings(path: Path) -> dict[str, Mapping[str, Any]]:
    """The recordings beside supervisions, by their ids."""
    beside = _beside(path, "recordings")
    if beside == path or not beside.exists():
        raise DataError(f"`{path}` has supervisions, whose recordings must be beside it, in `{beside.name}`, but there is none.")
    return {str(row.get("id")): row for _, row in _rows(beside)}


def _beside(path: Path, kind: str) -> Path:
    """`de_recordings_dev.jsonl.gz` for `de_supervisions_dev.jsonl.gz`, as Lhotse's recipes call them."""
    other = "recordings" if kind == "supervisions" else "supervisions"
    return path.with_name(path.name.replace(other, kind))


def _file_in(folder: Path) -> Path:
    """The manifest in a folder with everything needed for training: cuts, or supervisions beside their recordings."""
    return next(path for name in ("cuts", "supervisions") for end in _ENDINGS if (path := folder / f"{name}.jsonl{end}").exists())


def is_folder(path: Path) -> bool:
    """Whether a folder has manifests with these names."""
    return any((path / f"{name}.jsonl{end}").is_file() for name in ("cuts", "supervisions") for end in _ENDINGS)


def _files(path: Path) -> Iterator[Path]:
    named = _file_in(path) if path.is_dir() else path
    yield named
    beside = _beside(named, "recordings")
    if beside != named and beside.exists():
        yield beside


plugin = ReaderPlugin(
    name="lhotse",
    summary="manifests of Lhotse as JSON lines: cuts (also of Shar), supervisions beside recordings",
    suffixes=(".jsonl",),
    read=read,
    recognizes=lambda opening: bool(_kind_of(first_object(opening))),
    is_folder=is_folder,
    settings=frozenset(),
    has_types=True,
    has_parts=True,
    files=_files,
)
