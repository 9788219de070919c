"""A worker for tests of services, in the test's own process: it shouts, waits while its gate is closed, and dies over the word "poison"."""

import asyncio
from dataclasses import replace
from typing import Any

from antiphon.serving.pool import LostError, Served, WorkerProcess
from antiphon.serving.turns import Heard, Turn
from antiphon.serving.worker import Answer, Asked, Card

CARD = Card("translation", ("source",), False, False, None, {"name": "beam", "beam_size": 4})


class Toy(WorkerProcess):
    """One of the workers that were made since `reset`, which all wait at one gate and serve one model."""

    made: list["Toy"] = []
    gate: asyncio.Event
    known: Card = CARD

    @classmethod
    def reset(cls, *, is_open: bool = False, card: Card = CARD, is_table: bool = False) -> None:
        """Begin anew, within a loop."""
        cls.made, cls.gate, cls.known = [], asyncio.Event(), replace(card, is_table=is_table or card.is_table)
        if is_open:
            cls.gate.set()

    def __init__(self, served: Served, threads: int):
        self.batches: list[list[Any]] = []
        self.asked: list[Asked] = []
        self.closed = False
        Toy.made.append(self)

    async def card(self) -> Card:
        return Toy.known

    async def ask(self, asked: list[Asked]) -> list[Answer]:
        column = Toy.known.columns[0]
        words = [record[column] for one in asked for record in one.records]
        self.batches.append(words)
        self.asked.extend(asked)
        await Toy.gate.wait()
        if "poison" in words:
            raise LostError
        return [[_said(record[column]) for record in one.records] for one in asked]

    async def listen(self, turns: list[Turn]) -> list[Heard]:
        self.batches.append([(turn.kind, turn.speaker) for turn in turns])
        await Toy.gate.wait()
        if any(getattr(turn.content, "dtype", None) == "<U6" for turn in turns):  # "poison"
            raise LostError
        said: dict[str, Any] = {"received": 0.0, "decided": 0.0, "words": []}
        return [{**said, "text": turn.kind} if turn.kind in ("hear", "end") else None for turn in turns]

    def close(self) -> None:
        self.closed = True

    def wait(self) -> None:
        assert self.closed

    def kill(self) -> None:
        self.closed = True


def _said(source: object) -> dict[str, Any]:
    if source == "":
        return {"prediction": "", "score": None, "error": "the source is empty."}
    return {"prediction": f"{len(source)} bytes" if isinstance(source, bytes) else str(source).upper(), "score": -0.5}
