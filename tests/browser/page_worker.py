"""Workers for tests of the page, one for each kind of model: they answer at once, in the forms that real ones do."""

import asyncio
from typing import Any

from antiphon.serving.pool import Served, WorkerProcess
from antiphon.serving.worker import Answer, Asked, Card

BEAM = {"name": "beam", "beam_size": 4, "length_penalty": "average"}
CARDS = {
    "en-de": Card("translation", ("source",), False, False, None, BEAM),
    "de-en": Card("translation", ("source",), False, False, None, BEAM),
    "headlines": Card("summarization", ("document",), False, False, None, BEAM, about={"lengths": [2, 4]}),
    "plain": Card("summarization", ("document",), False, False, None, BEAM),
}


class PageWorker(WorkerProcess):
    """What it says is made of what it reads: a translation turns words around, a summary is the first words of its document."""

    asked: list[Asked] = []
    gate: asyncio.Event | None = None  # while it is there, nobody is answered until it is set

    def __init__(self, served: Served, threads: int):
        self.name = served.name

    async def card(self) -> Card:
        """What the model is."""
        return CARDS[self.name]

    async def ask(self, asked: list[Asked]) -> list[Answer]:
        """An answer for each."""
        PageWorker.asked.extend(asked)
        if PageWorker.gate is not None:
            await PageWorker.gate.wait()
        say = translated if CARDS[self.name].task == "translation" else summarized
        return [[say(record) for record in one.records] for one in asked]

    def close(self) -> None:
        """Nothing to end."""

    def wait(self) -> None:
        """Nothing to wait for."""

    def kill(self) -> None:
        """Nothing to end."""


def translated(record: dict[str, Any]) -> dict[str, Any]:
    """The words in capitals, the last first; with alternatives."""
    if "poison" in record["source"]:
        return {"prediction": "", "score": None, "error": "the source is poison."}
    words = record["source"].split()
    said = [word.upper() for word in reversed(words)]
    links = " ".join(f"{len(words) - 1 - number}-{number}" for number in range(len(words)))
    others = [{"prediction": " ".join([*said[:-1], f"ANOTHER{number}"]), "word_alignment": links} for number in (1, 2)]
    return {"prediction": " ".join(said), "word_alignment": links, "alternatives": others}


def summarized(record: dict[str, Any]) -> dict[str, Any]:
    """As many words as are wished, of which all but the first are copied."""
    words = record["document"].split()[: record.get("length", 3)]
    copied = [{"word": number, "source_word": number, "probability": 0.9} for number in range(1, len(words))]
    return {"prediction": " ".join(["New", *words[1:]]), "copied_words": copied, "word_alignment": "0-0"}
