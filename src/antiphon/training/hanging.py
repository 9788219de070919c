"""Detects hanging processes: instead of waiting forever, the process is named, with the place in its code.

Collectives cannot be interrupted, whatever carries them. So each process has a thread that looks on: when its process has waited for the
others, or has been in one update, for longer than it may, it raises an alarm in the store that the processes met at. All of them answer
with where they are; the one that raised the alarm says who is missing and ends, and so do the others. `torchrun --max-restarts` then
starts all of them again from the last checkpoint.

Unusual here: the process ends by `os._exit`, since its main thread cannot be reached. Checkpoints are written in one step, so none is lost.
"""

import contextlib
import json
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, final

import torch.distributed as dist
from torch._C._distributed_c10d import Store

Waiting = Literal["exchange", "update"]

_GRACE = 20.0  # seconds in which processes answer
_ALARM = "antiphon/alarm"


@dataclass
class _Place:
    """Where the main thread is; `since` is None outside of what is watched."""

    kind: Waiting = "update"
    since: float | None = None


_place = _Place()


@contextmanager
def within(kind: Waiting) -> Iterator[None]:
    """Mark that this process is in an exchange with others, or in an update; exchanges within an update are timed separately."""
    before = (_place.kind, _place.since)
    _place.kind, _place.since = kind, time.monotonic()
    try:
        yield
    finally:
        _place.kind, _place.since = before


@final
class HangWatch:
    """Watches for hangs while several processes train.

    limit   seconds that an exchange or an update may take
    """

    def __init__(self, store: Store, rank: int, world: int, limit: float):
        self.store, self.rank, self.world, self.limit = store, rank, world, limit
        self._name = f"process {rank} (pid {os.getpid()} on {socket.gethostname()})"
        self._main = threading.main_thread().ident
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="antiphon-hang-watch", daemon=True)

    def __enter__(self) -> "HangWatch":
        self.store.set(f"{_ALARM}/name/{self.rank}", self._name)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look_on(self) -> None:
        pause = max(0.05, min(5.0, self.limit / 4))
        with contextlib.suppress(RuntimeError):  # the store is gone, and whoever kept it: the others notice that by themselves
            while not self._ended.wait(pause):
                since = _place.since
                late = since is not None and time.monotonic() - since > self.limit
                if self.store.check([_ALARM]) or (late and not self._ended.is_set()):
                    self._answer()

    def _answer(self) -> None:
        """Report where this process is; the first process to raise the alarm reports for all. Does not return."""
        kind = _place.kind if _place.since is not None else None
        frames = sys._current_frames().get(self._main or 0)
        stack = "".join(traceback.format_stack(frames)) if frames is not None else ""
        self.store.set(f"{_ALARM}/answer/{self.rank}", json.dumps({"kind": kind, "stack": stack}, allow_nan=False))
        first = self.store.add(f"{_ALARM}/count", 1) == 1
        self.store.set(_ALARM, "raised")
        end = time.monotonic() + _GRACE
        while time.monotonic() < end and not all(self.store.check([f"{_ALARM}/answer/{rank}"]) for rank in range(self.world)):
            time.sleep(0.1)
        if first:
            print(f"antiphon: {what_hangs(self._names(), self._answers(), self.limit)}", file=sys.stderr, flush=True)
            self.store.set(f"{_ALARM}/said", "")
        else:
            with contextlib.suppress(RuntimeError):
                while time.monotonic() < end + 1 and not self.store.check([f"{_ALARM}/said"]):
                    time.sleep(0.1)
        os._exit(1)

    def _names(self) -> dict[int, str]:
        keys = {rank: f"{_ALARM}/name/{rank}" for rank in range(self.world)}
        return {rank: self.store.get(key).decode() if self.store.check([key]) else f"process {rank}" for rank, key in keys.items()}

    def _answers(self) -> dict[int, dict[str, Any]]:
        keys = {rank: f"{_ALARM}/answer/{rank}" for rank in range(self.world)}
        return {rank: json.loads(self.store.get(key)) for rank, key in keys.items() if self.store.check([key])}


def what_hangs(names: Mapping[int, str], answers: Mapping[int, Mapping[str, Any]], limit: float) -> str:
    """The message about processes that wait for each other: which one is missing, and where it is.

    names     how each process is called
    answers   of those that answer: the `kind` of what they are in (None for anything else), and their `stack`
    limit     seconds that were waited
    """
    minutes = f"{limit / 60:.3g} minute{'' if limit == 60 else 's'}"
    waited = f"{minutes} (`training.distributed.timeout_minutes`)"
    missing = [rank for rank in names if rank not in answers or answers[rank]["kind"] != "exchange"]
    said = []
    for rank in missing or names:
        where = f"is here:\n{answers[rank]['stack']}" if rank in answers else "does not answer: it is stopped, or its machine is."
        said.append(f"{names[rank]} {where}")
    if 0 < len(missing) < len(names):
        first = f"The other processes have waited for {len(missing)} of {len(names)} for {waited}."
    else:
        first = f"No process has come further for {waited}, as when the network between them fails."
    return "\n".join([f"{first} {said[0]}", *said[1:]])


def start_watch(rank: int, world: int, minutes: float | None) -> contextlib.AbstractContextManager[object]:
    """Start watching during training; does nothing for one process, or where no time is set."""
    if world == 1 or minutes is None or not dist.is_initialized():
        return contextlib.nullcontext()
    store: Any = dist.distributed_c10d._get_default_store()
    store = store.clone()  # a connection of its own: the main thread may be waiting on the other
    return HangWatch(store, rank, world, minutes * 60)


__all__ = ["HangWatch", "start_watch", "what_hangs", "within"]
