"""The workers of one model, and its queue of records.

Batches fill themselves: what arrives while a worker is busy goes to it together when it is free. The oldest record is always among them,
and as many of those behind it as the budget of elements holds when all are padded to the longest: so a long one does not keep many short
ones waiting, and nothing waits for ever. A worker that is free waits a moment for more, but only while several ask at once: a client who is
alone never waits. Where several are free, they share. A record whose client has gone is taken out before it costs anything. A worker that
dies is replaced; what it was working on is asked once more, one by one, so that a record which kills workers harms nobody else.
Clients who speak have sessions (`sessions.py`), each with one of the workers.
"""

import asyncio
import contextlib
import math
import subprocess
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, final

from antiphon.data import processes
from antiphon.errors import AntiphonError
from antiphon.serving.jobs import Job, elements_of
from antiphon.serving.log import say
from antiphon.serving.metrics import Metrics
from antiphon.serving.refused import RefusedError
from antiphon.serving.sessions import Session, Sessions, Waiting
from antiphon.serving.settings import ServeConfig
from antiphon.serving.turns import Heard, Turn
from antiphon.serving.worker import Answer, Asked, Card

_PATIENCE = 5.0  # seconds that a worker has to end, once its line is closed


@dataclass(frozen=True)
class Served:
    """A run, or several as an ensemble, that is served under a name."""

    name: str
    run: tuple[str, ...]
    overrides: tuple[str, ...] = ()
    trust_code: bool = False


class LostError(Exception):
    """A worker has died."""


class WorkerProcess:
    """A worker process, the connection to it, and the thread that waits for its answers."""

    def __init__(self, served: Served, threads: int, module: str = "antiphon.serving.worker"):
        self.line, self.process = processes.start(module, processes.with_threads(threads))
        with contextlib.suppress(OSError):  # it has ended, which is noticed when its card is read
            self.line.send((served.run, served.overrides, served.trust_code))
        self._thread = ThreadPoolExecutor(1, "antiphon-line")

    async def card(self) -> Card:
        """The description of the model, once it is loaded. Raises AntiphonError when it cannot be loaded."""
        found = await self._call(_receive, self.line)
        if isinstance(found, str):
            raise AntiphonError(found)
        assert isinstance(found, Card), "the first word of a worker"
        return found

    async def ask(self, asked: list[Asked]) -> list[Answer]:
        """The model's predictions. Raises LostError when the process dies meanwhile."""
        found: list[Answer] = await self._call(_exchange, self.line, asked)
        return found

    async def listen(self, turns: list[Turn]) -> list[Heard]:
        """The partial transcripts of live speech sessions. Raises LostError when the process dies meanwhile."""
        found: list[Heard] = await self._call(_exchange, self.line, turns)
        return found

    async def _call(self, function: Any, *arguments: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)
        except (EOFError, OSError) as error:
            raise LostError from error

    def close(self) -> None:
        """Close the connection, so that the process ends once it has answered."""
        self.line.close()
        self._thread.submit(self._reap)

    def wait(self) -> None:
        """Wait until the process has ended, after its connection was closed."""
        self._thread.shutdown()

    def kill(self) -> None:
        """Kill the process at once."""
        self.process.kill()
        self.close()

    def _reap(self) -> None:
        try:
            self.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            processes.end([self.process])


MakeWorker = Callable[[Served, int], WorkerProcess]
"""Starts a worker for a model, with this number of threads."""


def _receive(line: processes.Channel) -> Any:
    return line.recv()


def _exchange(line: processes.Channel, message: list[Asked] | list[Turn]) -> Any:
    line.send(message)
    return line.recv()


@final
class Pool:
    """The workers and the queue of one model."""

    def __init__(
        self,
        served: Served,
        settings: ServeConfig,
        metrics: Metrics,
        make: MakeWorker = WorkerProcess,
    ):
        self.served, self.card, self._make = served, None, make
        self._settings, self._metrics = settings, metrics
        self._waiting: deque[Job] = deque()
        self._free: list[WorkerProcess] = []
        self._last: list[WorkerProcess] = []  # free, too, but for sessions alone: the run has been opened anew since these began
        self._sessions = Sessions(settings.max_sessions, settings.timeout, self._pump)
        self._all: set[WorkerProcess] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._pumping = False
        self._company = False  # whether the last batch had several records
        self._closed = False

    card: Card | None

    @property
    def is_ready(self) -> bool:
        """Whether at least one worker has loaded its model."""
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
        """Load the run again in new workers; the old ones end when they have answered and their sessions are over, so no request is
        lost."""
        old = set(self._all)
        found = await asyncio.gather(*(self._new() for _ in range(self._settings.workers)))
        self._retire(old)
        self._free.extend(found)
        self._pump()

    def _retire(self, workers: set[WorkerProcess]) -> None:
        self._all -= workers
        for worker in [one for one in self._free if one in workers]:
            self._free.remove(worker)
            self._rest(worker)

    def _rest(self, worker: WorkerProcess) -> None:
        """Mark a worker as idle."""
        if worker in self._all:
            self._free.append(worker)
        elif self._sessions.at(worker) and not self._closed:
            self._last.append(worker)
        else:
            worker.close()

    async def ask(
        self,
        records: Sequence[Mapping[str, Any]],
        search: Mapping[str, Any],
        *,
        aligned: bool = False,
        timed: bool = False,
        suffix: str | None = None,
        brief: bool = False,
    ) -> list[dict[str, Any]]:
        """The predictions for records. Rows of a table stay in one batch; other records may be divided among batches.

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
        asked = [Asked(part, search, aligned, timed, suffix, brief) for part in parts]
        jobs = [Job(one, loop.create_future(), *self._sizes(one.records)) for one in asked]
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
        """The number of predictions for a part of the records, and the elements of its longest one."""
        assert self.card is not None, "asked once the model is there"
        count = self.card.count(part)
        return count, math.ceil(len(part) / count) if self.card.is_table else max(map(elements_of, part))

    def _count(self) -> int:
        """The number of waiting records whose clients have not disconnected."""
        return sum(job.size for job in self._waiting if not job.answer.done())

    def _delay(self) -> float:
        """An estimate in seconds of how long the queue takes with full batches."""
        batches = len(self._waiting) / self._settings.batch_size / max(1, len(self._all))
        return float(max(1, math.ceil(self._metrics.seconds_of(self.served.name) * batches)))

    async def converse(self, sample_rate: int) -> Session:
        """Open a session for live speech with this sample rate. Raises RefusedError when the model cannot stream, or there are too many
        sessions."""
        assert self.card is not None, "asked once the model is there"
        if not self.card.streams:
            raise RefusedError(422, f"`{self.served.name}` cannot transcribe speech while it is spoken. {self.card.why_not}")
        try:
            session = self._sessions.open(self.served.name, self._all)
        except RefusedError:
            self._metrics.refused(self.served.name, "sessions")
            raise
        await session.open(sample_rate)
        return session

    def _pump(self) -> None:
        """Give waiting work to idle workers: live speech at once, unless something else has waited longer."""
        self._pumping = False
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        while self._waiting and self._waiting[0].answer.done():
            self._waiting.popleft()
        self._hear(self._waiting[0].born if self._waiting else math.inf)
        self._fill()
        self._hear(math.inf)
        self._metrics.waiting(self.served.name, len(self._waiting))
        self._metrics.sessions(self.served.name, self._sessions.count)

    def _hear(self, until: float) -> None:
        """Give speech that arrived before `until` to idle workers."""
        for free in (self._free, self._last):
            for worker in list(free):
                oldest = self._sessions.oldest(worker)
                if oldest is not None and oldest <= until and (turns := self._sessions.take(worker)):
                    free.remove(worker)
                    self._begin(self._listen(worker, turns))

    def _fill(self) -> None:
        """Give batches to idle workers, as soon as one is full or its oldest record has waited long enough."""
        while self._free and self._waiting:
            left = self._waiting[0].born + self._settings.wait / 1000 - time.monotonic()
            if left > 0 and self._company and len(self._waiting) < self._settings.batch_size:
                self._alarm = asyncio.get_running_loop().call_later(left, self._pump)
                return
            batch = self._batch()
            if batch:
                self._begin(self._run(self._free.pop(), batch))

    def _batch(self) -> list[Job]:
        """The oldest record and those behind it that fit, but not so many that other idle workers would get none."""
        share = min(self._settings.batch_size, math.ceil(sum(job.size for job in self._waiting) / len(self._free)))
        batch, left, size, longest = list[Job](), list[Job](), 0, 0
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

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, worker: WorkerProcess, batch: list[Job]) -> None:
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
        self._rest(worker)
        self._pump()

    async def _listen(self, worker: WorkerProcess, turns: list[Waiting]) -> None:
        try:
            found = await worker.listen([one.turn for one in turns])
        except LostError:
            await self._lost(worker, [], turns)
            return
        for one, said in zip(turns, found, strict=True):
            if not one.answer.done():
                one.answer.set_result(said)
        self._rest(worker)
        self._pump()

    async def _lost(self, worker: WorkerProcess, batch: list[Job], turns: Sequence[Waiting] = ()) -> None:
        """Replace a worker that has died, and retry each of its jobs once, by itself. Its sessions are lost."""
        replaced = worker in self._all
        self._dismiss(worker)
        self._sessions.lose(worker, turns)
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
            if replaced:  # another one has taken the place of one that was to end
                self._free.append(await self._new())
        except AntiphonError as error:
            say("worker_lost", f"The model cannot be loaded again: {error}", level="error", more={"model": self.served.name})
        self._pump()

    async def close(self) -> None:
        """End the workers once they have answered; open sessions get an error."""
        self._closed = True
        await asyncio.gather(*self._tasks, return_exceptions=True)
        workers = [*self._all, *self._last]
        for worker in workers:
            self._sessions.lose(worker, ())
            worker.close()
        for worker in workers:
            worker.wait()
        self._all.clear()
        self._last.clear()
