"""Workers for tests of the page, one for each kind of model: they answer at once, in the forms that real ones do."""

import asyncio
import io
import wave
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from antiphon.serving.pool import Served, WorkerProcess
from antiphon.serving.worker import Answer, Asked, Card

BEAM = {"name": "beam", "beam_size": 4, "length_penalty": "average"}
ROLES = {"format": "long", "id": "store", "time": "day", "target": ["sold"], "known": [], "past": [], "static": []}
SALES = {**ROLES, "horizon": 3, "season": 7}
CARDS = {
    "en-de": Card("translation", ("source",), False, False, None, BEAM),
    "de-en": Card("translation", ("source",), False, False, None, BEAM),
    "tagged": Card("translation", ("source", "domain"), False, False, None, BEAM),
    "headlines": Card("summarization", ("document",), False, False, None, BEAM, about={"lengths": [2, 4]}),
    "digits": Card("speech_recognition", ("audio",), False, True, 8000, {"name": "ctc"}),
    "sales": Card(
        "forecasting", ("day", "sold", "store"), True, False, None, {"name": "direct"}, about={**ROLES, "horizon": 3, "season": 7}
    ),
    "plain": Card("summarization", ("document",), False, False, None, BEAM),
}


class PageWorker(WorkerProcess):
    """What it says is made of what it reads: a translation turns words around, a summary is the first words of its document."""

    asked: list[Asked] = []
    sounds: list[tuple[int, int, float]] = []
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
        if CARDS[self.name].is_table:
            return [forecast(one.records) for one in asked]
        say = {"translation": translated, "summarization": summarized, "speech_recognition": heard}[CARDS[self.name].task]
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


def heard(record: dict[str, Any]) -> dict[str, Any]:
    """Three words, one a second, of which the model is not sure of the last; and how long the WAV file was."""
    with wave.open(io.BytesIO(record["audio"])) as file:
        seconds = file.getnframes() / file.getframerate()
        PageWorker.sounds.append((file.getframerate(), file.getnchannels(), seconds))
    words = [
        {"word": word, "start": number, "end": number + 0.5, "confidence": 0.9 - 0.3 * number}
        for number, word in enumerate(("one", "two", "<three>"))
    ]
    return {"prediction": "one two <three>", "words": words, "segments": [{"start": 0, "end": seconds, "text": "one two <three>"}]}


def forecast(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each series the last value thrice, within an interval; none for a series that is called "wrong"."""
    found = []
    for name, own in groupby(rows, lambda row: row["store"]):
        last = list(own)[-1]
        if name == "wrong":
            found.append({"prediction": [], "error": "Series `wrong` must have at least 2 steps of history, but has 1."})
            continue
        steps = [{"store": name, "day": f"next {step}", "sold": last["sold"] + step} for step in (1, 2, 3)]
        found.append({"prediction": [{**step, "sold-lo-80": step["sold"] - 2, "sold-hi-80": step["sold"] + 2} for step in steps]})
    return found
