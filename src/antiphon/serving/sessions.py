"""Sessions of live speech. Each has one worker, which alone keeps the transcript so far, until the session ends.

What they say waits for their worker in the order in which it came, and so does what others ask: whatever is older goes first, so a session
keeps nobody waiting, and nobody keeps it waiting for more than one batch. What several speakers say meanwhile goes to the worker at once.
"""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, final

from antiphon.serving.refused import RefusedError
from antiphon.serving.turns import Heard, Turn

if TYPE_CHECKING:
    import numpy as np

    from antiphon.serving.pool import WorkerProcess

_LOST = "The model's process has ended, and with it what was said so far. Begin anew."


@dataclass(eq=False)
class Waiting:
    """A message to the worker that waits for its turn, and the future of its answer."""

    turn: Turn
    answer: "asyncio.Future[Heard]"
    born: float = field(default_factory=time.monotonic)


@final
class Session:
    """One live speech session. After an error, or its end, it accepts nothing more."""

    def __init__(self, sessions: "Sessions", worker: "WorkerProcess", number: int):
        self._sessions, self.worker, self.number = sessions, worker, number
        self.waiting: deque[Waiting] = deque()
        self.is_open = True

    async def open(self, sample_rate: int) -> None:
        """Open the session. Raises RefusedError."""
        await self._say("open", sample_rate)

    async def hear(self, samples: "np.ndarray") -> dict[str, Any] | None:
        """The transcript so far (`text`, and the seconds `received` and `decided`), after one more block of samples (N,) or (N, channels).

        None where the text is what it was. Raises RefusedError for what is no sound, and when it takes too long or is lost.
        """
        return await self._say("hear", samples)

    async def end(self) -> dict[str, Any]:
        """The final transcript: `text`, and `words` with times. Raises RefusedError."""
        found = await self._say("end")
        assert found is not None, "the last is always told"
        self.close()
        return found

    async def _say(self, kind: Literal["open", "hear", "end"], content: Any = None) -> dict[str, Any] | None:
        if not self.is_open:
            raise RefusedError(503, _LOST)
        try:
            found = await self._sessions.say(self, Turn(self.number, kind, content))
        except BaseException:  # also when the client leaves
            self.close()
            raise
        if isinstance(found, str):
            self.close()
            raise RefusedError(422, found)
        return found

    def close(self) -> None:
        """Discard the session; may be called at any time."""
        if self.is_open:
            self.is_open = False
            self._sessions.leave(self)

    def lose(self) -> None:
        """Handle the death of the worker."""
        self.is_open = False
        for one in self.waiting:
            if not one.answer.done():
                one.answer.set_exception(RefusedError(503, _LOST))
        self.waiting.clear()


@final
class Sessions:
    """All sessions of one model. `pump` is called when there is new work for a worker."""

    def __init__(self, most: int, timeout: float, pump: Callable[[], None]):
        self._most, self._timeout, self._pump = most, timeout, pump
        self._numbers = itertools.count()
        self._of: dict[WorkerProcess, list[Session]] = {}
        self._leaving: dict[WorkerProcess, list[Waiting]] = {}

    @property
    def count(self) -> int:
        """The number of sessions."""
        return sum(map(len, self._of.values()))

    def at(self, worker: "WorkerProcess") -> int:
        """The number of sessions at this worker, including those whose end it has not heard of yet."""
        return len(self._of.get(worker, ())) + len(self._leaving.get(worker, ()))

    def open(self, name: str, workers: "set[WorkerProcess]") -> Session:
        """Open a session at the worker that has the fewest. Raises RefusedError when there are too many sessions, or no worker."""
        if self.count >= self._most:
            raise RefusedError(429, f"{self.count} clients speak to {name} already, which is the limit. Try again later.", 5.0)
        if not workers:
            raise RefusedError(503, f"{name} is not ready. Try again later.", 5.0)
        worker = min(workers, key=self.at)
        session = Session(self, worker, next(self._numbers))
        self._of.setdefault(worker, []).append(session)
        return session

    async def say(self, session: Session, turn: Turn) -> Heard:
        """The worker's answer for a session. Raises RefusedError when that takes too long, or the worker dies."""
        one = Waiting(turn, asyncio.get_running_loop().create_future())
        session.waiting.append(one)
        self._pump()
        try:
            async with asyncio.timeout(self._timeout):
                return await one.answer
        except TimeoutError as error:
            raise RefusedError(503, f"There was no answer within {self._timeout:g} seconds.") from error

    def leave(self, session: Session) -> None:
        """End a session; its answers still outstanding are dropped."""
        for one in session.waiting:
            one.answer.cancel()
        session.waiting.clear()
        own = self._of.get(session.worker, [])
        if session in own:
            own.remove(session)
            gone = Waiting(Turn(session.number, "close"), asyncio.get_running_loop().create_future())
            self._leaving.setdefault(session.worker, []).append(gone)
            self._pump()

    def oldest(self, worker: "WorkerProcess") -> float | None:
        """The arrival time of the oldest message that waits for this worker; None where none waits."""
        born = [session.waiting[0].born for session in self._of.get(worker, ()) if session.waiting]
        born += [one.born for one in self._leaving.get(worker, ())]
        return min(born, default=None)

    def take(self, worker: "WorkerProcess") -> list[Waiting]:
        """The messages that wait for this worker, the oldest of each session."""
        found = [*self._leaving.pop(worker, ()), *(one.waiting.popleft() for one in self._of.get(worker, ()) if one.waiting)]
        return [one for one in found if not one.answer.done()]

    def lose(self, worker: "WorkerProcess", turns: Sequence[Waiting]) -> None:
        """Handle the death of a worker, over some turns or over something else."""
        self._leaving.pop(worker, None)
        for one in turns:
            if not one.answer.done():
                one.answer.set_exception(RefusedError(503, _LOST))
                one.answer.exception()  # nobody may wait for it
        for session in self._of.pop(worker, []):
            session.lose()
