"""Clients who speak, within the worker that listens to them: what each has said so far lives here, and nowhere else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

from antiphon.errors import AntiphonError

if TYPE_CHECKING:
    from antiphon.contracts.following import FollowedSource
    from antiphon.contracts.sequences import Prediction
    from antiphon.prediction.predictor import Predictor


@dataclass(frozen=True)
class Turn:
    """What is said to a worker for the speaker of a number.

    kind      `open` a speaker begins, `hear` goes on, `end` has said all, `close` has gone
    content   of `open` the samples a second, of `hear` a block of samples (N,) or (N, channels)
    """

    speaker: int
    kind: Literal["open", "hear", "end", "close"]
    content: Any = None


Heard = dict[str, Any] | str | None
"""What is said so far: `text`, `received` and `decided` in seconds, and of the last one `words` with times; None where it is what it was,
and a sentence where it cannot be told."""


@final
class Speakers:
    """All who speak to one model. What one of them says changes nothing for the others."""

    def __init__(self, predictor: "Predictor"):
        self._predictor = predictor
        self._known: dict[int, FollowedSource] = {}
        self._texts: dict[int, str] = {}

    def answers(self, turns: Sequence[Turn]) -> list[Heard]:
        """What is said, turn by turn."""
        return [self._answer(turn) for turn in turns]

    def _answer(self, turn: Turn) -> Heard:
        try:
            return self._taken(turn)
        except AntiphonError as error:
            self._forget(turn.speaker)
            return str(error)

    def _taken(self, turn: Turn) -> Heard:
        speaker = turn.speaker
        if turn.kind == "open":
            self._known[speaker] = self._predictor.follow(turn.content)
            self._texts[speaker] = ""
        elif turn.kind == "close":
            self._forget(speaker)
        elif speaker not in self._known:
            return "The session has ended."
        elif turn.kind == "end":
            source = self._known[speaker]
            self._forget(speaker)
            return _told(source.end(), final=True)
        else:
            said = self._known[speaker].hear(turn.content)
            if said is not None and said.text != self._texts[speaker]:
                self._texts[speaker] = said.text
                return _told(said, final=False)
        return None

    def _forget(self, speaker: int) -> None:
        self._known.pop(speaker, None)
        self._texts.pop(speaker, None)


def _told(said: "Prediction", *, final: bool) -> dict[str, Any]:
    """Words are told at the end alone: with each block, they would grow without end."""
    names = ("received", "decided", *(("words",) if final else ()))
    return {"text": said.text, **{name: said.details[name] for name in names}}


def streams(predictor: "Predictor", sample_rate: int | None) -> tuple[bool, str]:
    """Whether a model can follow speech, and why it cannot."""
    try:
        predictor.follow(sample_rate or 16000)
    except AntiphonError as error:
        return False, str(error)
    return True, ""
