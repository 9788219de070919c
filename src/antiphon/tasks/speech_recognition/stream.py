"""Live transcription: blocks of samples in, the text so far out.

Samples become frames as soon as a whole frame is there, frames go through a model that follows a recording (`encoder_only` or
`transducer` with `chunk`), and nothing is ever taken back. At the end the text is the one that `search: ctc` or `transducer` without a
beam finds in the whole recording.

Unusual here: what can be known of a frame must not depend on what comes later, so features that look at the whole recording are refused:
`normalization: utterance`, and Whisper's log-mel, which is cut off below the recording's loudest.
"""

from collections.abc import Callable
from typing import Any, final

import numpy as np
from jaxtyping import Float

from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Hypothesis, Prediction
from antiphon.data.audio_blocks import StreamResampler
from antiphon.data.audio_channels import Channel
from antiphon.errors import ConfigError
from antiphon.features.audio import AudioFeature
from antiphon.search.stream import Heard, StreamedSearch
from antiphon.tasks.growing_words import GrowingWords
from antiphon.tasks.speech_recognition.config import SpeechRecognitionConfig


@final
class SpeechStream:
    """One recording that is arriving: takes blocks of samples (N,) or (N, channels), and returns predictions of all so far.

    `details` of a prediction: `received` and `decided` are seconds; what is said is known for all that is decided. `latency` is the most
    seconds between them, without computing; `final` is true of the last prediction; `words` have times, and the last may go on.

    Raises ConfigError for a model or features that need the whole recording, DataError for a rate that is none.
    """

    def __init__(
        self,
        settings: SpeechRecognitionConfig,
        audio: AudioFeature,
        decode: Callable[[np.ndarray], str],
        model: Seq2SeqModel,
        sample_rate: int,
    ):
        _check(settings)
        self._frames = StreamedFrames(audio, sample_rate, settings.channel if isinstance(settings.channel, int) else "mix")
        self._search = StreamedSearch(model)
        delay = getattr(model, "latency", None)
        latency = None if delay is None else round(delay * audio.shift + audio.shortest / settings.sample_rate, 3)
        self._told = _Told(decode, audio.shift, model.stride, latency)

    def hear(self, block: np.ndarray) -> Prediction | None:
        """The prediction so far, after one more block; None if it completes no frame. Raises DataError for a block that is not audio."""
        frames = self._frames.add(block)
        return self._told.of(self._search.hear(frames)) if len(frames) else None

    def end(self) -> Prediction:
        """The final prediction, when the recording has ended."""
        frames = self._frames.end()
        if len(frames):
            self._search.hear(frames)
        return self._told.of(self._search.end())


@final
class StreamedFrames:
    """Turns blocks of samples into frames (S, C), as they become complete; together they are the frames of the whole recording."""

    def __init__(self, feature: AudioFeature, sample_rate: int, channel: Channel = "mix"):
        self.feature = feature
        self._resampler = StreamResampler(sample_rate, feature.sample_rate, channel)
        self._rest = np.zeros(0, dtype=np.float32)

    def add(self, block: np.ndarray) -> Float[np.ndarray, "S C"]:
        """The frames that a block completes."""
        return self._complete(self._resampler.add(block))

    def end(self) -> Float[np.ndarray, "S C"]:
        """The frames that the end completes."""
        return self._complete(self._resampler.end())

    def _complete(self, samples: Float[np.ndarray, " N"]) -> Float[np.ndarray, "S C"]:
        waveform = np.concatenate([self._rest, samples])
        shift = self.feature.framing.shift
        count = 0 if len(waveform) < self.feature.shortest else 1 + (len(waveform) - self.feature.shortest) // shift
        self._rest = waveform[count * shift :]
        if not count:
            return np.zeros((0, self.feature.spec.channels), dtype=np.float32)
        return self.feature.encode(waveform[: (count - 1) * shift + self.feature.shortest])


def _check(settings: SpeechRecognitionConfig) -> None:
    """Refuse features that need the whole recording, or that Antiphon does not compute."""
    if settings.features.kind == "precomputed":
        raise ConfigError(
            "`task.features.kind` must be `filter_banks` for a stream, but is `precomputed`: Antiphon"
            " does not compute such features from sound."
        )
    if settings.normalization == "utterance":
        raise ConfigError(
            "`task.normalization` must be `global` or `none` for a stream, but is `utterance`, which is over the whole recording. Train"
            " with another one."
        )
    if settings.features.kind == "whisper":
        raise ConfigError("`task.features.kind` must be `filter_banks` for a stream, but is `whisper`, which looks at the whole recording.")


@final
class _Told:
    """Predictions of what was recognized so far. Each word is reported once; the last one, which may continue, repeatedly."""

    def __init__(self, decode: Callable[[np.ndarray], str], shift: float, stride: int, latency: float | None):
        self.decode, self.shift, self.stride, self.latency = decode, shift, stride, latency
        self._words, self._told = GrowingWords(decode), list[dict[str, Any]]()

    def of(self, heard: Heard) -> Prediction:
        """The prediction so far; at the end, decoded as a whole."""
        spans = heard.spans * self.stride
        received, decided = round(heard.received * self.shift, 3), round(heard.frames * self.shift, 3)
        complete, last = self._words.extend(heard.elements)
        entries = [{"word": word.text} | word.lasts(spans, self.shift, received) for word in (*complete, *last)]
        self._told += entries[: len(complete)]
        details = {
            "received": received,
            "decided": decided,
            "latency": self.latency,
            "final": heard.final,
            "words": [*self._told, *entries[len(complete) :]],
        }
        text = self.decode(heard.elements) if heard.final else self._words.text
        return Prediction(text, Hypothesis(heard.elements, float("nan"), float("nan"), spans=spans), (), details)
