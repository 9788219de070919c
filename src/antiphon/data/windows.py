"""Windows over series in memory-mapped files: context in, horizon out. A window is sliced on demand, never copied to disk.

    values.bin       float64 (steps of all series, C): targets as they were, NaN where missing
    covariates.bin   float32 (steps, P + K): past and known channels, ready for the model
    times.bin        int64 (steps,)
    series.bin       JSON of each series: its name and static values

Unusual here: the windows of a corpus are numbered through, and number n is found by a binary search in the counts of windows per series:
so a million windows cost no memory, and a shuffle of them is the sampler's affair.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, final

import numpy as np

from antiphon.contracts.records import Record, Records
from antiphon.contracts.sequences import Example
from antiphon.data.folders import ArrayWriter, MappedArrays, is_current, move_into_place, read_manifest, write_manifest
from antiphon.data.permutation import hash_seed, mix64
from antiphon.data.series import Series
from antiphon.errors import DataError
from antiphon.features.scaling import Scale
from antiphon.store.atomic import beside

Weighting = Literal["windows", "series"]


@dataclass(frozen=True)
class Plan:
    """Which windows a series has. An origin is the number of steps before the first forecast one.

    context    the most steps that a model reads
    shortest   the fewest
    horizon    the steps that it forecasts
    stride     steps between two origins
    last       only so many origins, counted from the end; None is all
    """

    context: int
    shortest: int
    horizon: int
    stride: int = 1
    last: int | None = None

    def count(self, lengths: np.ndarray) -> np.ndarray:
        """The number of windows in series of these lengths."""
        counts: np.ndarray = (lengths - self.horizon - self.shortest) // self.stride + 1
        return counts.clip(0, self.last)

    def origin(self, length: int, count: int, number: int) -> int:
        """The origin of window `number` out of `count`; the last window ends with the series."""
        return length - self.horizon - (count - 1 - number) * self.stride


Window = Callable[[Series, np.ndarray, int, int], Example]
"""(series, its covariates (T, P + K) as the model reads them, origin, record number) -> example"""

Item = Callable[[Series, np.ndarray, int], Record]
"""(series, its covariates, origin) -> a record that can be predicted and scored by itself"""


def build_windows(
    series: Iterable[tuple[Series, np.ndarray]], folder: Path, identity: str, facts: Callable[[], dict[str, Any]], channels: tuple[int, int]
) -> None:
    """Write series with their covariates into `folder`, unless it already holds the same.

    identity   tells the series and how they were read apart
    facts      what to say about them in the manifest, once all were read
    channels   how many targets and covariates there are
    """
    if is_current(folder, identity):
        return
    with beside(folder) as partial:
        files = {
            "values": ArrayWriter(partial, "values", np.dtype(np.float64), channels[0]),
            "covariates": ArrayWriter(partial, "covariates", np.dtype(np.float32), channels[1]),
            "times": ArrayWriter(partial, "times", np.dtype(np.int64), None),
            "series": ArrayWriter(partial, "series", np.dtype(np.uint8), None),
        }
        try:
            for one, covariates in series:
                steps = len(one)
                scale = None if one.scale is None else [one.scale.location.tolist(), one.scale.scale.tolist()]
                text = json.dumps({"unique_id": one.unique_id, "static": one.static, "scale": scale}, default=str, allow_nan=True)
                files["values"].append([one.targets])
                files["covariates"].append([covariates[:steps]])
                files["times"].append([one.times[:steps]])
                files["series"].append([np.frombuffer(text.encode("utf-8", "surrogatepass"), dtype=np.uint8)])
        finally:
            for file in files.values():
                file.close()
        write_manifest(partial, {"identity": identity, **{name: file.layout for name, file in files.items()}, **facts()})
        move_into_place(partial, folder, identity)


@final
class WindowCorpus:
    """The windows of the series in a folder, as a corpus.

    window      makes an example of a series and an origin; `item` a record of the same, for what is predicted one by one
    weighting   whether an epoch shows every window once, or each series equally often
    """

    def __init__(self, folder: Path, plan: Plan, window: Window, item: Item, *, weighting: Weighting = "windows"):
        self.folder, self.plan, self.weighting = folder, plan, weighting
        self.manifest = read_manifest(folder)
        self._window, self._item = window, item
        self._values, self._covariates, self._times, self._series = (
            MappedArrays(folder, name, self.manifest[name]) for name in ("values", "covariates", "times", "series")
        )
        self._lengths = np.diff(self._values.offsets)
        self._counts = plan.count(self._lengths)
        self._ends = np.concatenate([[0], np.cumsum(self._counts)])
        self._used = np.flatnonzero(self._counts)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __reduce__(self) -> tuple[Any, ...]:
        """How the corpus is pickled: copies and worker processes map the files again instead of copying them."""
        return (_open, (self.folder, self.plan, self._window, self._item, self.weighting))

    @property
    def keeps_records(self) -> bool:
        """Whether `record` works: always true."""
        return True

    @property
    def has_targets(self) -> bool:
        """Whether examples have targets: always true."""
        return True

    @property
    def numbers(self) -> np.ndarray:
        """The record number of each window, which is the number of the window."""
        return np.arange(len(self), dtype=np.int64)

    @property
    def tally(self) -> dict[str, Any]:
        """The series read and kept, those too short for a window, and the first of them."""
        short = np.flatnonzero(self._counts == 0)
        dropped = {"series too short for one window": len(short)} if len(short) else {}
        first = {"series too short for one window": [self.name(int(index)) for index in short[:20]]} if len(short) else {}
        return {
            "unit": "series",
            "read": len(self._counts),
            "kept": len(self._used),
            "windows": len(self),
            "dropped": dropped,
            "truncated": {},
            "first": first,
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """The repairs made while reading, one sentence each."""
        return tuple(self.manifest.get("mended", ()))

    @property
    def source_lengths(self) -> np.ndarray:
        """The length of every source; computes all of them."""
        return self.lengths(np.arange(len(self)))[0]

    @property
    def target_lengths(self) -> np.ndarray:
        """The length of every target, its start element included."""
        return np.full(len(self), self.plan.horizon + 1, dtype=np.int64)

    def lengths(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The lengths of some sources and of their targets."""
        owners = np.searchsorted(self._ends, indices, side="right") - 1
        origins = self._lengths[owners] - self.plan.horizon - (self._ends[owners + 1] - 1 - indices) * self.plan.stride
        return np.minimum(origins, self.plan.context), np.full(indices.shape, self.plan.horizon + 1, dtype=np.int64)

    @property
    def draws(self) -> int:
        """The number of windows in an epoch."""
        return len(self)

    def draw(self, positions: np.ndarray, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The window at each position of an epoch: the position itself, or, when series are weighted equally, any window of the next
        series; and a number that distinguishes showings of the same window."""
        if self.weighting == "windows":
            return positions, np.zeros_like(positions)
        owners = self._used[positions % len(self._used)]
        chance = mix64(positions.astype(np.uint64) ^ np.uint64(hash_seed(seed, epoch, 0x57696E)))
        drawn: np.ndarray = self._ends[owners] + (chance % self._counts[owners].astype(np.uint64)).astype(np.int64)
        return drawn, positions // len(self._used)

    def example(self, index: int, seed: int | None = None) -> Example:
        """A window. Nothing is sampled: `seed` has no effect."""
        owner, origin = self._locate(index)
        return self._window(self.series(owner), self.covariates(owner), origin, index)

    def record(self, index: int) -> Record:
        """The window as a record that can be predicted and scored separately."""
        owner, origin = self._locate(index)
        return self._item(self.series(owner), self.covariates(owner), origin)

    def records(self) -> "WindowRecords":
        """The windows as records, for display."""
        return WindowRecords(self)

    @property
    def used(self) -> np.ndarray:
        """Which series have a window, int64 (N,)."""
        return self._used

    def origins(self, owner: int) -> np.ndarray:
        """The origins of a series' windows, ascending: int64 (windows,)."""
        count = int(self._counts[owner])
        first = self.plan.origin(int(self._lengths[owner]), count, 0)
        return first + self.plan.stride * np.arange(count)

    def name(self, owner: int) -> str:
        """The name of a series."""
        return str(self._description(owner)["unique_id"])

    def series(self, owner: int) -> Series:
        """A series as stored, with its covariates in the form that models read."""
        values = self._values.array(owner)
        facts = self._description(owner)
        nothing = np.empty((len(values), 0))
        scale = None if facts["scale"] is None else Scale(*(np.array(part) for part in facts["scale"]))
        return Series(facts["unique_id"], self._times.array(owner), values, nothing, nothing, tuple(facts["static"]), scale)

    def _description(self, owner: int) -> dict[str, Any]:
        found: dict[str, Any] | None = self._descriptions.get(owner)
        if found is None:
            found = json.loads(self._series.array(owner).tobytes())
            if len(self._descriptions) < 65536:
                self._descriptions[owner] = found
        return found

    @cached_property
    def _descriptions(self) -> dict[int, dict[str, Any]]:
        return {}

    def covariates(self, owner: int) -> np.ndarray:
        """Past, known and calendar channels of a series, in the form that models read: float32 (T, P + K)."""
        if not self._covariates.channels:
            return np.empty((int(self._lengths[owner]), 0), dtype=np.float32)
        return self._covariates.array(owner)

    def _locate(self, index: int) -> tuple[int, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"`index` must be from 0 to {len(self) - 1}, but is {index}.")
        owner = int(np.searchsorted(self._ends, index, side="right")) - 1
        return owner, self.plan.origin(int(self._lengths[owner]), int(self._counts[owner]), index - int(self._ends[owner]))


@final
class WindowRecords(Records):
    """The windows of a corpus as records; a record's number is that of its window."""

    def __init__(self, corpus: WindowCorpus):
        self.corpus = corpus

    def __call__(self) -> Iterator[tuple[int, Record]]:
        return ((index, self.corpus.record(index)) for index in range(len(self.corpus)))

    def place(self, number: int) -> str:
        """The series and the window's last known step."""
        record = self.corpus.record(number)
        return f"series {record['unique_id']}, after step {record['origin']}"

    def signature(self) -> str:
        """Depends on the stored series and on the plan."""
        return f"{self.corpus.manifest['identity']}:{self.corpus.plan}"


def _open(folder: Path, plan: Plan, window: Window, item: Item, weighting: Weighting) -> WindowCorpus:
    return WindowCorpus(folder, plan, window, item, weighting=weighting)


def check_windows(corpus: WindowCorpus, held_out: int = 0) -> None:
    """Raise DataError when no series is long enough for one window; `held_out` of the last steps of each are held out."""
    if len(corpus) == 0:
        plan, longest = corpus.plan, int(corpus._lengths.max(initial=0))
        without = f" ({longest} without the {held_out} that are held out)" if held_out else ""
        raise DataError(
            f"At least one series must have {plan.shortest + plan.horizon} steps (a context of {plan.shortest} and a horizon of"
            f" {plan.horizon}), but the longest of {len(corpus._lengths)} has {longest + held_out}{without}. Shorten"
            f" `task.context_length`, `task.shortest_context` or `task.horizon`{', or hold out less' if held_out else ''}."
        )
