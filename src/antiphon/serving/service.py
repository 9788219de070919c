"""What the protocols call: models by name and predictions for records, within the limits set by the operator."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, final

from antiphon.data.audio import open_audio
from antiphon.errors import ConfigError, DataError, MissingPackageError, nearest
from antiphon.serving.metrics import Metrics
from antiphon.serving.pool import MakeWorker, Pool, Served, WorkerProcess
from antiphon.serving.refused import RefusedError
from antiphon.serving.settings import ServeConfig
from antiphon.serving.worker import Card

_WIDTHS = ("beam_size", "n_best", "samples", "groups")  # settings of a search by which its cost grows
_ALLOWED = (  # what a request may set: nothing that names a file, or code, or lets an output go on for ever
    *("name", *_WIDTHS, "length_penalty", "alpha", "coverage_penalty", "diversity", "length_reward", "hot_words", "patience"),
    *("temperature", "top_k", "top_p", "seed", "processors", "alignment", "spans", "levels"),
)
_MOST_LEVELS = 99  # quantiles that a request may ask for


@final
class Service:
    """Several models, each with workers of its own."""

    def __init__(self, served: Sequence[Served], settings: ServeConfig, make: MakeWorker = WorkerProcess):
        names = [one.name for one in served]
        twice = next((name for name in names if names.count(name) > 1), None)
        if not names:
            raise ConfigError("A service needs at least one run.")
        if twice is not None:
            raise ConfigError(
                f"Two models are called `{twice}`. Give one of them another name: `other={served[names.index(twice)].run[0]}`."
            )
        self.settings, self.metrics = settings, Metrics()
        self.pools = {one.name: Pool(one, settings, self.metrics, make) for one in served}
        self._started = False
        self.closing = asyncio.Event()
        self.at_end: list[Callable[[], None]] = []
        """Callbacks to run when the service ends, for example to remove files."""
        self._talks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Load all models; may be called once. Raises AntiphonError when one cannot be loaded, after ending the others."""
        if self._started:
            return
        self._started = True
        try:
            await asyncio.gather(*(pool.start() for pool in self.pools.values()))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End all workers once they have answered."""
        await self.drain()
        await asyncio.gather(*(pool.close() for pool in self.pools.values()))
        for end in self.at_end:
            end()

    @contextmanager
    def talking(self) -> Iterator[None]:
        """Context in which the current task handles live speech. When `closing` is set, it should soon send the final transcript and
        end."""
        task = asyncio.current_task()
        assert task is not None, "within a task"
        self._talks.add(task)
        try:
            yield
        finally:
            self._talks.discard(task)

    async def drain(self) -> None:
        """Let live speech clients get their final transcripts, and end their sessions."""
        self.closing.set()
        if self._talks:
            await asyncio.wait(self._talks, timeout=self.settings.timeout)

    async def reload(self) -> None:
        """Load all runs again, while the present workers go on."""
        for pool in self.pools.values():
            await pool.reload()

    @property
    def is_ready(self) -> bool:
        """Whether every model has a worker."""
        return all(pool.is_ready for pool in self.pools.values())

    def check_key(self, given: str) -> None:
        """Raise RefusedError unless a request has the API key, if one is required. Takes equally long for every wrong key."""
        key = self.settings.api_key
        if key is not None and not hmac.compare_digest(given.encode("utf-8", "replace"), key.encode()):
            raise RefusedError(403, "The API key is missing or wrong. Send it as `Authorization: Bearer KEY`.")

    def cards(self) -> dict[str, Card]:
        """The description of each model."""
        return {name: pool.card for name, pool in self.pools.items() if pool.card is not None}

    def named(self, model: str | None) -> Pool:
        """The model with this name, or the first model where no name is given. Raises RefusedError when there is no such model."""
        if model is None:
            return next(iter(self.pools.values()))
        if model not in self.pools:
            known = list(self.pools)
            raise RefusedError(404, f"There is no model `{model}`; there are: {', '.join(known)}.{nearest(model, known)}")
        return self.pools[model]

    async def predict(
        self,
        model: str | None,
        records: Sequence[Mapping[str, Any]],
        search: Mapping[str, Any] | None = None,
        *,
        aligned: bool = False,
        timed: bool = False,
        suffix: str | None = None,
        brief: bool = False,
    ) -> list[dict[str, Any]]:
        """The predictions for records, as `antiphon predict` writes them into JSON lines; one for an unusable record has an `error`.

        Where records are rows of a table, there is one for each series in them. `aligned`, `timed` and `suffix` ask for more
        (`serving.worker.Asked`); `brief` leaves out all but what is said and its score, which is less work. Raises RefusedError.
        """
        pool = self.named(model)
        allowed = self._allowed(search or {})
        checked = await self._checked(pool, records)
        return await pool.ask(checked, allowed, aligned=aligned, timed=timed, suffix=suffix, brief=brief)

    async def stream(
        self,
        model: str | None,
        records: Sequence[Mapping[str, Any]],
        search: Mapping[str, Any] | None = None,
        *,
        aligned: bool = False,
        brief: bool = False,
    ) -> AsyncIterator[tuple[int, dict[str, Any]]]:
        """The predictions for records with their record numbers from 0, each as soon as it is made. Raises RefusedError."""
        pool = self.named(model)
        checked, allowed = await self._checked(pool, records), self._allowed(search or {})
        assert pool.card is not None, "started before"
        parts = [checked] if pool.card.is_table else [[record] for record in checked]
        tasks = [asyncio.create_task(pool.ask(part, allowed, aligned=aligned, brief=brief)) for part in parts]
        numbers = {task: number for number, task in enumerate(tasks)}
        try:
            waiting = set(tasks)
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in sorted(done, key=lambda one: numbers[one]):
                    for further, prediction in enumerate(await task):
                        yield numbers[task] + further, prediction
        finally:
            for task in tasks:
                task.cancel()

    async def seconds_of(self, sound: bytes) -> float:
        """The duration of a recording. Raises DataError when it cannot be read, RefusedError when it is longer than the operator allows."""
        found = await asyncio.to_thread(_seconds_of, sound)
        if found > self.settings.max_seconds:
            raise RefusedError(413, f"A recording may last {self.settings.max_seconds:g} seconds, but this one lasts {found:.1f}.")
        return found

    async def _checked(self, pool: Pool, records: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """The records. Raises RefusedError for too many records, for records that are too long, and for sound given by a path: clients may
        not read the server's files."""
        assert pool.card is not None, "started before"
        if not records:
            raise RefusedError(422, "`inputs` must hold at least one input.")
        count, most = pool.card.count(records), self.settings.max_records
        if count > most:
            what = "records" if pool.card.series is None else "series"
            raise RefusedError(413, f"A request may have {most} {what}, but this one has {count}.")
        column = pool.card.columns[0]
        if pool.card.hears and not all(isinstance(record.get(column), bytes) for record in records):
            raise RefusedError(422, f'`{column}` must hold the recording itself: {{"base64": ...}}.')
        for record in records if pool.card.hears else ():
            with suppress(DataError, MissingPackageError):  # which its prediction tells
                await self.seconds_of(record[column])
        return records

    def _allowed(self, search: Mapping[str, Any]) -> Mapping[str, Any]:
        for name in search:
            if name not in _ALLOWED:
                raise RefusedError(
                    422, f"`search.{name}` may not be set by a request.{nearest(name, _ALLOWED)} Allowed: {', '.join(_ALLOWED)}."
                )
        if "." in str(search.get("name", "")):
            raise RefusedError(422, "`search.name` must be a search of Antiphon's own.")
        levels = search.get("levels")
        if isinstance(levels, Sequence) and len(levels) > _MOST_LEVELS:
            raise RefusedError(422, f"`search.levels` may have {_MOST_LEVELS} levels, but has {len(levels)}.")
        for name in _WIDTHS:
            value = search.get(name, 0)
            if isinstance(value, int | float) and value > self.settings.max_beam:
                raise RefusedError(422, f"`search.{name}` must be at most {self.settings.max_beam} here, but is {value}.")
        return search


def _seconds_of(sound: bytes) -> float:
    recording = open_audio(sound)
    try:
        return recording.seconds
    finally:
        recording.close()
