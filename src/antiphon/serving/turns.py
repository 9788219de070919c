"""Live speech sessions inside their worker process: the decoder state of each session exists only here."""

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
    """A message to a worker for the session with this number.

    kind      `open` a speaker begins, `hear` goes on, `end` has said all, `close` has gone
    content   of `open` the samples a second, of `hear` a block of samples (N,) or (N, channels)
    """

    speaker: int
    kind: Literal["open", "hear", "end", "close"]
    content: Any = None


Heard = dict[str, Any] | str | None
"""The transcript so far: `text`, `received` and `decided` in seconds, and at the end `words` with times; None where it has not changed, and
a sentence where there is an error."""


@final
class Speakers:
    """All live speech sessions of one model in this worker. They do not affect each other."""

    def __init__(self, predictor: "Predictor"):
        self._predictor = predictor
        self._known: dict[int, FollowedSource] = {}
        self._texts: dict[int, str] = {}

    def answers(self, turns: Sequence[Turn]) -> list[Heard]:
        """The answers to messages, turn by turn."""
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
    """The transcript, with words only at the end: sent with each block, they would grow without limit."""
    names = ("received", "decided", *(("words",) if final else ()))
    return {"text": said.text, **{name: said.details[name] for name in names}}


def streams(predictor: "Predictor", sample_rate: int | None) -> tuple[bool, str]:
    """Whether a model can transcribe live speech, and if not, why."""
    try:
        predictor.follow(sample_rate or 16000)
    except AntiphonError as error:
        return False, str(error)
    return True, ""
