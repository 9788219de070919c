"""Data sets of GluonTS: a series per entry, in JSON lines, or in the tables of its Arrow and parquet writers.

Entries have `start`, `target` and perhaps `item_id`, `feat_static_cat`, `feat_static_real`, `feat_dynamic_real`, `feat_dynamic_cat` and
`past_feat_dynamic_real` (`gluonts.dataset.field_names`). The frequency stands in an entry, or in `metadata.json` in a folder above. Columns
are `unique_id`, `ds`, `y` (`y_0`, `y_1` of a target with several channels), and `feat_dynamic_real_0` and so on; features that are known
beyond the target make rows without one. Data sets of the hub that have a list of times in `timestamp` are read, too.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from antiphon.contracts import registry
from antiphon.contracts.reader import Located, ReaderPlugin, Reading, Skip
from antiphon.data.formats import suffix_of
from antiphon.errors import DataError
from antiphon.features.frequency import Frequency, infer_frequency
from antiphon.features.times import read_time
from antiphon.readers.whole_series import ID, VALUE, Clock, WholeSeries, as_numbers, chosen_clock, frames_of_series, rows_of_series

if TYPE_CHECKING:
    import polars

_UNITS = {"Y": "y", "A": "y", "Q": "q", "M": "mo", "W": "w", "B": "b", "D": "d", "H": "h", "T": "m", "S": "s", "L": "ms", "U": "us"}
_UNITS |= {"min": "m", "ms": "ms", "us": "us", "h": "h", "s": "s", "d": "d", "w": "w", "mo": "mo", "q": "q", "y": "y"}
_UNITS |= {f"{unit}{end}": _UNITS[unit] for unit in "YAQM" for end in ("E", "S")}
_TABLES = {".parquet": "parquet", ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow"}
_HERE = re.compile(rb'"target"\s*:\s*\[\s*(?:-?\d|"[Nn]a[Nn]"|NaN|null|\[|\])')
_SHAPE = "._np_shape"


def recognizes(opening: bytes) -> bool:
    """Whether the first line is a GluonTS entry: it has a start, and numbers as its target."""
    line = opening.lstrip().partition(b"\n")[0]
    return line.startswith(b"{") and b'"start"' in line and _HERE.search(line) is not None


def frequency_of(text: str) -> Frequency | None:
    """A frequency by its name in pandas: H, 30min, M, MS, QE-DEC, W-SUN."""
    match = re.fullmatch(r"(\d*)([A-Za-z]+)(?:-[A-Z]{3})?", text.strip())
    if match is None or match[2] not in _UNITS or match[1] in ("0", "00"):
        return None
    unit, count = _UNITS[match[2]], int(match[1] or 1)
    return Frequency(unit, count)


def series(reading: Reading) -> Iterator[WholeSeries]:
    """The series in a file. Raises DataError with the line, or the row."""
    told = _told(reading.path)
    for number, entry in _entries(reading):
        yield _one(reading, number, entry, told)


def _entries(reading: Reading) -> Iterator[tuple[int, Mapping[str, Any]]]:
    format_name = _TABLES.get(suffix_of(reading.path), "jsonl")
    inner: ReaderPlugin = registry.find("readers", format_name)
    for number, entry in inner.read(replace(reading, required=("target",))):
        assert not isinstance(entry, Skip), "neither format skips"
        yield number, entry


def _told(path: Path) -> str | None:
    """The frequency in the metadata of a data set, which lies beside the folder of the file."""
    for folder in (path.parent, path.parent.parent, path.parent.parent / "metadata"):
        try:
            found = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(found, dict) and isinstance(found.get("freq"), str):
            return str(found["freq"])
    return None


def _one(reading: Reading, number: int, entry: Mapping[str, Any], told: str | None) -> WholeSeries:
    place = f"{reading.path}:{number}"
    numbers = _targets(place, entry["target"])
    count = len(next(iter(numbers.values())))
    static, longest = {ID: entry.get("item_id", entry.get("id", number))}, count
    for name, value in entry.items():
        if name in ("start", "target", "item_id", "freq", "timestamp") or name.endswith(_SHAPE) or value is None:
            continue
        if not isinstance(value, Sequence) or isinstance(value, str):
            static[name] = value
        elif name.startswith("feat_static"):
            static |= {f"{name}_{place_of}": one for place_of, one in enumerate(value)}
        elif name.startswith(("feat_dynamic", "past_feat_dynamic")):
            found = _channels(place, name, value, entry.get(f"{name}{_SHAPE}"), count, ends=name.startswith("past"))
            numbers |= found
            longest = max([longest, *map(len, found.values())])
    numbers = {name: np.concatenate([one, np.full(longest - len(one), np.nan)]) for name, one in numbers.items()}
    return WholeSeries(number, _clock(reading, place, entry, told, count), numbers, static)


def _targets(place: str, target: Any) -> dict[str, np.ndarray]:
    if not isinstance(target, Sequence) or isinstance(target, str) or not target:
        raise DataError(f"{place}: `target` must be a list of numbers, but is {str(target)[:60]!r}.")
    several = isinstance(target[0], Sequence) and not isinstance(target[0], str)
    rows = {f"{VALUE}_{channel}": row for channel, row in enumerate(target)} if several else {VALUE: target}
    found = {name: _numbers(place, "target", row) for name, row in rows.items()}
    if len({len(one) for one in found.values()}) > 1:
        raise DataError(f"{place}: the channels of `target` must be as long as each other, but are not.")
    return found


def _channels(place: str, name: str, value: Sequence[Any], shape: Sequence[int] | None, count: int, *, ends: bool) -> dict[str, np.ndarray]:
    """A time-varying feature, by channel; tables store it as one list, beside its shape."""
    if shape is not None:
        whole = _numbers(place, name, value)
        rows = list(whole.reshape([int(size) for size in shape])) if whole.size == np.prod(shape) else []
    else:
        nested = len(value) > 0 and isinstance(value[0], Sequence) and not isinstance(value[0], str)
        rows = list(value) if nested else [value] if value else []
    found = {f"{name}_{channel}": _numbers(place, name, row) for channel, row in enumerate(rows)}
    short = next((len(one) for one in found.values() if len(one) < count or (ends and len(one) > count)), None)
    if short is not None:
        wanted = f"{'' if ends else 'at least '}as many values as `target`, {count:,}"
        raise DataError(f"{place}: `{name}` must have {wanted}, but has {short:,}.")
    return found


def _numbers(place: str, name: str, values: Any) -> np.ndarray:
    try:
        return as_numbers(values)
    except (TypeError, ValueError) as error:
        raise DataError(f'{place}: `{name}` must hold numbers, or "NaN" where one is missing, but {error}.') from None


def _clock(reading: Reading, place: str, entry: Mapping[str, Any], told: str | None, count: int) -> Clock:
    """The times of an entry's values."""
    stamps = entry.get("timestamp")
    if stamps is not None and entry.get("start") is None:
        return _listed(reading, place, stamps, count)
    start, text = entry.get("start"), entry.get("freq") or told
    if start is None:
        return chosen_clock(reading, None, None)
    frequency = None if text is None else frequency_of(str(text))
    if text is not None and frequency is None and reading.file.frequency is None:
        raise DataError(f"`{reading.path}` has the frequency `{text}`, which is not known. Set `frequency` of this file, such as 1h.")
    return chosen_clock(reading, _time(place, "start", _period(start)), frequency)


def _time(place: str, name: str, value: Any) -> int:
    try:
        return read_time(value)
    except DataError as error:
        raise DataError(f"{place}, `{name}`: {error}") from None


def _period(start: Any) -> Any:
    """The start of a period as pandas writes it: 1990, 2014-01-06/2014-01-12, 2014-01-01 05."""
    if not isinstance(start, str):
        return start
    text = start.partition("/")[0].strip()
    if re.fullmatch(r"\d{4}", text):
        return f"{text}-01"
    return f"{text}:00" if re.fullmatch(r"\d{4}-\d\d-\d\d[ T]\d\d", text) else text


def _listed(reading: Reading, place: str, stamps: Sequence[Any], count: int) -> Clock:
    """The clock for a list of times, which must be regularly spaced, as in every series."""
    times = np.array([_time(place, "timestamp", stamp) for stamp in stamps])
    if len(times) != count:
        raise DataError(f"{place}: `timestamp` must have as many times as `target` has values, {count:,}, but has {len(times):,}.")
    clock = None
    if len(times) > 1 and (np.diff(times) > 0).all():
        try:
            clock = chosen_clock(reading, int(times[0]), infer_frequency([times], calendar=True))
        except DataError:
            clock = None
    if clock is None or (clock.times(count) != times).any():
        raise DataError(f"{place}: the times in `timestamp` must be one step apart, but are not. Write the series a row a time instead.")
    return clock


def read(reading: Reading) -> Located:
    """A record for each value of each series."""
    return rows_of_series(series(reading), reading)


def frames(reading: Reading, columns: tuple[str, ...] | None) -> "Iterator[polars.DataFrame]":
    """The same records in data frames."""
    return frames_of_series(series(reading), reading, columns)


plugin = ReaderPlugin(
    name="gluonts",
    summary="GluonTS: one series per entry, in JSON lines, Arrow or parquet; columns unique_id, ds, y, feat_...",
    suffixes=(".json", ".jsonl"),
    read=read,
    recognizes=recognizes,
    settings=frozenset({"encoding", "frequency", "start"}),
    frames=frames,
)
