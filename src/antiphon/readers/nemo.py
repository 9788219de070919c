"""NeMo's manifests: a JSON object per line with `audio_filepath`, `duration`, `text`, and for a part of a recording `offset`.

As NeMo reads them ("Dataset Creation" in the manual of its ASR collection), a record begins at `offset`, or 0, and lasts `duration`.
Of data that was put into shards, the line with `shard_id: 3` names a member of `audio_3.tar` beside the manifest.
"""

from pathlib import Path
from typing import Any

from antiphon.contracts.reader import Located, ReaderPlugin, Reading, Skip
from antiphon.data.byte_streams import read_lines
from antiphon.data.fields import check_columns
from antiphon.errors import DataError
from antiphon.readers.first_object import first_object
from antiphon.readers.jsonl import json_object


def read(reading: Reading) -> Located:
    """A record for each line, with all of its fields, and `start` and `end`."""
    for number, line in read_lines(reading.path, reading.file.encoding):
        if not line.strip():
            continue  # NeMo writes none, but goes past them
        row = json_object(reading.path, number, line, ())
        name = row.get("audio_filepath", row.get("audio_file"))
        if not isinstance(name, str) or not name:
            raise DataError(f"{reading.path}:{number} must name one recording in `audio_filepath`, but has {name!r:.80}.")
        shard = f"audio_{row.get('shard_id')}.tar"
        if "shard_id" in row and (reading.path.parent / shard).exists():
            name = f"{shard}/{name}"
        start, seconds = (_seconds(reading.path, number, row, key) for key in ("offset", "duration"))
        text = row.get("text")
        if reading.with_targets and text is None:
            yield number, Skip("no text")
            continue
        part: dict[str, float | None] = {"start": None, "end": None}
        if start is not None or seconds is not None:
            begin = start or 0.0
            part = {"start": begin, "end": None if seconds is None else round(begin + seconds, 6)}
        record = {"channel": None, **row, **part, reading.source: name, **({} if text is None else {reading.target: text})}
        check_columns(record, reading.required, f"{reading.path}:{number}")
        yield number, record


def _seconds(path: Path, number: int, row: Any, key: str) -> float | None:
    value = row.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise DataError(f"{path}:{number} must have seconds from 0 up in `{key}`, but has {value!r}.")
    return float(value)


plugin = ReaderPlugin(
    name="nemo",
    summary="a manifest of NeMo: JSON lines with audio_filepath, duration, offset, text",
    suffixes=(".json", ".jsonl"),
    read=read,
    recognizes=lambda opening: "audio_filepath" in first_object(opening),
    has_parts=True,
)
