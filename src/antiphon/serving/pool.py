"""The workers of one model, and the records that wait for them.

Batches fill themselves: what arrives while a worker is busy goes to it together when it is free. The oldest record is always among them,
and as many of those behind it as the budget of elements holds when all are padded to the longest: so a long one does not keep many short
ones waiting, and nothing waits for ever. A worker that is free waits a moment for more, but only while several ask at once: a client who is
alone never waits. Where several are free, they share. A record whose client has gone is taken out before it costs anything. A worker that
dies is replaced; what it was working on is asked once more, one by one, so that a record which kills workers harms nobody else.
"""

import asyncio
import contextlib
import math
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, final

from antiphon.data import processes
from antiphon.errors import AntiphonError
from antiphon.serving.log import say
from antiphon.serving.metrics import Metrics
from antiphon.serving.refused import RefusedError
from antiphon.serving.settings import ServeConfig
from antiphon.serving.worker import Answer, Asked, Card

_PATIENCE = 5.0  # seconds that a worker has to end, once its line is closed


@dataclass(frozen=True)
class Served:
    """A run that is served, or several as an ensemble, by a name."""

    name: str
    run: tuple[str, ...]
    overrides: tuple[str, ...] = ()
    trust_code: bool = False


@dataclass(eq=False)
class _Job:
    asked: Asked
    answer: "asyncio.Future[Answer]"
    size: int  # how many predictions there will be
    longest: int  # elements of its longest record
    born: float = field(default_factory=time.monotonic)
    tries: int = 0


def _elements(record: Mapping[str, Any]) -> int:
    """How long a record is: a character of a text is an element, and so are 320 bytes of sound, 10 ms of it at 16 kHz and 16 bits."""
    values = (value for value in record.values() if isinstance(value, str | bytes))
    return max((len(value) if isinstance(value, str) else len(value) // 320 for value in values), default=1) or 1


class LostError(Exception):
    """A worker has died."""


class WorkerProcess:
    """A process, the line to it, and the thread that waits for its answers."""

    def __init__(self, served: Served, threads: int, module: str = "antiphon.serving.worker"):
        self.line, self.process = processes.start(module, processes.with_threads(threads))
        with contextlib.suppress(OSError):  # it has ended, which is noticed when its card is read
            self.line.send((served.run, served.overrides, served.trust_code))
        self._thread = ThreadPoolExecutor(1, "antiphon-line")

    async def card(self) -> Card:
        """What the model is, once it is loaded. Raises AntiphonError when it cannot be."""
        found = await self._call(_receive, self.line)
        if isinstance(found, str):
            raise AntiphonError(found)
        assert isinstance(found, Card), "the first word of a worker"
        return found

    async def ask(self, asked: list[Asked]) -> list[Answer]:
        """What the model says. Raises LostError when the process dies over it."""
        found: list[Answer] = await self._call(_exchange, self.line, asked)
        return found

    async def _call(self, function: Any, *arguments: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)
        except (EOFError, OSError) as error:
            raise LostError from error

    def close(self) -> None:
        """Close the line, which ends the process once it has answered."""
        self.line.close()
        self._thread.submit(self._reap)

    def wait(self) -> None:
        """Wait until a process whose line is closed has ended."""
        self._thread.shutdown()

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.close()

    def _reap(self) -> None:
        try:
            self.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            processes.end([self.process])


MakeWorker = Callable[[Served, int], WorkerProcess]
"""Starts a worker for a model that computes with so many threads."""


def _receive(line: processes.Channel) -> Any:
    return line.recv()


def _exchange(line: processes.Channel, asked: list[Asked]) -> Any:
    line.send(asked)
    return line.recv()


@final
class Pool:
    """The workers of a model."""

    def __init__(
        self,
        served: Served,
        settings: ServeConfig,
        metrics: Metrics,
        make: MakeWorker = WorkerProcess,
    ):
        self.served, self.card, self._make = served, None, make
        self._settings, self._metrics = settings, metrics
        self._waiting: deque[_Job] = deque()
        self._free: list[WorkerProcess] = []
        self._all: set[WorkerProcess] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._pumping = False
        self._company = False  # whether the last batch had several records
        self._closed = False

    card: Card | None

    @property
    def is_ready(self) -> bool:
        """Whether a worker has its model."""
        return self.card is not None and bool(self._all)

    async def start(self) -> None:
        """Load the model in every worker. Raises AntiphonError when it cannot be loaded."""
        found = await asyncio.gather(*(self._new() for _ in range(self._settings.workers)))
        self._free.extend(found)
        self._pump()

    async def _new(self) -> WorkerProcess:
        worker = self._make(self.served, self._settings.threads)
        self._all.add(worker)
        try:
            self.card = await worker.card()
        except LostError as error:
            self._dismiss(worker)
            raise AntiphonError(f"A worker of {self.served.name} ended while it loaded its model; is there memory for it?") from error
        except AntiphonError:
            self._dismiss(worker)
            raise
        return worker

    def _dismiss(self, worker: WorkerProcess) -> None:
        self._all.discard(worker)
        worker.kill()

    async def reload(self) -> None:
        """Open the run anew, in new workers; those that work end when they have answered, and nothing that waits is lost."""
        old = set(self._all)
        found = await asyncio.gather(*(self._new() for _ in range(self._settings.workers)))
        self._retire(old)
        self._free.extend(found)
        self._pump()

    def _retire(self, workers: set[WorkerProcess]) -> None:
        self._all -= workers
        for worker in [one for one in self._free if one in workers]:
            self._free.remove(worker)
            worker.close()

    async def ask(
        self, records: Sequence[Mapping[str, Any]], search: Mapping[str, Any], *, aligned: bool = False, brief: bool = False
    ) -> list[dict[str, Any]]:
        """The predictions for records, which stay together only where they are rows of a table.

        Raises RefusedError when too many wait, when it takes too long, or when nothing can be said.
        """
        assert self.card is not None, "asked once the model is there"
        parts = [records] if self.card.is_table else [[record] for record in records]
        count = self.card.count(records)
        if self._count() + count > self._settings.queue:
            self._pump()
        if (waiting := self._count()) + count > self._settings.queue:
            self._metrics.refused(self.served.name, "queue")
            raise RefusedError(429, f"{waiting} records wait for {self.served.name} already. Try again later.", self._delay())
        loop = asyncio.get_running_loop()
        jobs = [_Job(Asked(part, search, aligned, brief), loop.create_future(), *self._sizes(part)) for part in parts]
        self._waiting.extend(jobs)
        if not self._pumping:  # once all that has just arrived has been read
            self._pumping = True
            loop.call_soon(self._pump)
        try:
            async with asyncio.timeout(self._settings.timeout):
                found = [await job.answer for job in jobs]
        except TimeoutError as error:
            self._metrics.refused(self.served.name, "timeout")
            raise RefusedError(503, f"There was no answer within {self._settings.timeout:g} seconds.", self._delay()) from error
        finally:
            for job in jobs:
                job.answer.cancel()  # which does nothing to those that are answered
        wrong = next((one for one in found if isinstance(one, str)), None)
        if wrong is not None:
            raise RefusedError(422, wrong)
        return [prediction for part in found for prediction in part]  # type: ignore[misc]

    def _sizes(self, part: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
        """How many predictions there will be of a part, and the elements of its longest."""
        assert self.card is not None, "asked once the model is there"
        count = self.card.count(part)
        return count, math.ceil(len(part) / count) if self.card.is_table else max(map(_elements, part))

    def _count(self) -> int:
        """The records that wait for a worker, and that somebody waits for."""
        return sum(job.size for job in self._waiting if not job.answer.done())

    def _delay(self) -> float:
        """Seconds that what waits will take, about, if batches are full."""
        batches = len(self._waiting) / self._settings.batch_size / max(1, len(self._all))
        return float(max(1, math.ceil(self._metrics.seconds_of(self.served.name) * batches)))

    def _pump(self) -> None:
        """Give what waits to the workers that are free, as soon as a batch is full or its oldest record has waited long enough."""
        self._pumping = False
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        while self._waiting and self._waiting[0].answer.done():
            self._waiting.popleft()
        while self._free and self._waiting:
            left = self._waiting[0].born + self._settings.wait / 1000 - time.monotonic()
            if left > 0 and self._company and len(self._waiting) < self._settings.batch_size:
                self._alarm = asyncio.get_running_loop().call_later(left, self._pump)
                return
            batch = self._batch()
            if batch:
                self._start(self._free.pop(), batch)
        self._metrics.waiting(self.served.name, len(self._waiting))

    def _batch(self) -> list[_Job]:
        """The oldest record and those behind it that fit, and only so many that others who are free have some, too."""
        share = min(self._settings.batch_size, math.ceil(sum(job.size for job in self._waiting) / len(self._free)))
        batch, left, size, longest = list[_Job](), list[_Job](), 0, 0
        while self._waiting and size < share:
            job = self._waiting.popleft()
            if job.answer.done():  # nobody waits for it
                continue
            padded = (size + job.size) * max(longest, job.longest)
            if batch and (size + job.size > share or padded > self._settings.batch_elements or job.tries):
                left.append(job)
                continue
            batch.append(job)
            size, longest = size + job.size, max(longest, job.longest)
            if job.tries:  # it may have killed a worker: alone
                break
        self._waiting.extendleft(reversed(left))
        self._company = size > 1
        return batch

    def _start(self, worker: WorkerProcess, batch: list[_Job]) -> None:
        task = asyncio.get_running_loop().create_task(self._run(worker, batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, worker: WorkerProcess, batch: list[_Job]) -> None:
        began = time.monotonic()
        try:
            found = await worker.ask([job.asked for job in batch])
        except LostError:
            await self._lost(worker, batch)
            return
        self._metrics.batch(self.served.name, sum(job.size for job in batch), time.monotonic() - began)
        for job, answer in zip(batch, found, strict=True):
            if not job.answer.done():
                job.answer.set_result(answer)
        if worker in self._all:
            self._free.append(worker)
        else:
            worker.close()
        self._pump()

    async def _lost(self, worker: WorkerProcess, batch: list[_Job]) -> None:
        """Replace a worker that has died, and ask again what it had been asked, each by itself and once."""
        self._dismiss(worker)
        if self._closed:
            return
        say("worker_died", "A worker has died and is replaced.", level="warning", more={"model": self.served.name})
        self._metrics.died(self.served.name)
        for job in reversed(batch):
            job.tries += 1
            if job.tries > 1 and not job.answer.done():
                job.answer.set_result("The model's process has ended over this record, twice.")
            elif not job.answer.done():
                self._waiting.appendleft(job)
        try:
            self._free.append(await self._new())
        except AntiphonError as error:
            say("worker_lost", f"The model cannot be loaded again: {error}", level="error", more={"model": self.served.name})
        self._pump()

    async def close(self) -> None:
        """End the workers, once they have answered what they work on."""
        self._closed = True
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in self._all:
            worker.close()
        for worker in self._all:
            worker.wait()
        self._all.clear()
