"""Speech recognition: transcribes recordings.

A source is frames of log-mel features, one every 10 ms, or of precomputed ones; a target is symbols of the text between the start and the
end symbol. Frames are stored once, as for any task; where the waveform itself is varied in training, they are computed anew each time.

Unusual here: a recording that is longer than what the model learned from is one input all the same. It is cut at silence, its parts are
decoded side by side, and `joined` makes one prediction of them, with the times of its segments.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
from jaxtyping import Float

from antiphon.contracts.abilities import OwnFile, Sound
from antiphon.contracts.feature import Feature
from antiphon.contracts.files import FileConfig
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.records import Record, Records
from antiphon.contracts.sequences import Example, Hypothesis, Prediction, Request, one_behind_another
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.data.audio_records import AudioColumns, open_audio_records
from antiphon.data.audio_segments import cut_at_silence, is_silent
from antiphon.errors import DataError
from antiphon.features.audio import AudioFeature, Sounding
from antiphon.features.augmentation import Noise, spec_augment, vary_waveform
from antiphon.features.pretrained_text import PretrainedText
from antiphon.features.text import TextFeature
from antiphon.tasks.example_per_record import ExamplePerRecord
from antiphon.tasks.speech_recognition.config import SpeechRecognitionConfig
from antiphon.tasks.speech_recognition.details import speech_details
from antiphon.tasks.speech_recognition.noise import folder_noise
from antiphon.tasks.speech_recognition.places import Part, called, channel_column, heard_in, opened, without_part
from antiphon.tasks.speech_recognition.precomputed import given_frames
from antiphon.tasks.speech_recognition.stream import SpeechStream
from antiphon.tasks.speech_recognition.text import concatenated
from antiphon.tasks.speech_recognition.transcripts import FORMATS, transcript
from antiphon.tasks.speech_recognition.words import words_of
from antiphon.tasks.text_requests import text_request

_CHANNEL = "channel"  # what tables of calls name the column of channels


@dataclass(frozen=True)
class SpeechContext:
    """The start and end of an example in its recording, in seconds."""

    start: float
    end: float


@final
class SpeechRecognition(ExamplePerRecord):
    """Records with a recording and its text."""

    name = "speech_recognition"
    block = 64  # frames take much more room than symbols
    # In the features: sound and vocabulary. In the records: the archive. In each corpus: the storage. The others matter to what is varied
    # in training, to what is held out, or to predictions.
    not_encoded = frozenset(
        {"features", "normalization", "vocabulary", "archive", "storage", "augmentation", "speaker", "segments", "subtitles"}
    )

    def __init__(self, settings: SpeechRecognitionConfig):
        self.settings: SpeechRecognitionConfig = settings
        self.audio = AudioFeature(settings.features, settings.normalization, settings.sample_rate)
        self.target_text: TextFeature | PretrainedText
        if settings.vocabulary.kind == "pretrained":
            self.target_text = PretrainedText(str(settings.vocabulary.model), "target", settings.vocabulary.languages)
        else:
            self.target_text = TextFeature(settings.vocabulary)
        self._notes: tuple[str, ...] = ()

    # ------------------------------------------------------------------------------------------------------ what it is

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that training records must have."""
        settings = self.settings
        more = (settings.speaker, settings.start, settings.end, channel_column(settings))
        return (settings.audio, settings.text, *(name for name in more if name is not None))

    @property
    def source_columns(self) -> tuple[str, ...]:
        """The column of the recording; a plain text is the path of one."""
        return (self.settings.audio,)

    @property
    def source_spec(self) -> ValueSpec:
        """Channels of a frame."""
        return self.audio.spec

    @property
    def target_spec(self) -> TokenSpec:
        """The vocabulary."""
        return self.target_text.spec

    @property
    def features(self) -> tuple[Feature, ...]:
        """The audio and the text features."""
        return (self.audio, self.target_text)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know after fitting."""
        return (*self._notes, *self.target_text.notes)

    @property
    def samples_encodings(self) -> bool:
        """Whether waveforms are augmented, or segmentations of texts are sampled."""
        varies = self.settings.augmentation is not None and self.settings.augmentation.changes_waveforms
        return varies or self.target_text.sampling > 0

    @property
    def half_precision(self) -> bool:
        """Whether frames are stored in 16 bits."""
        return self.settings.storage == "float16"

    @property
    def augments(self) -> bool:
        """Whether frames are masked."""
        return self.settings.augmentation is not None and self.settings.augmentation.masks

    def augment(self, example: Example, seed: int) -> Example:
        """The example with masked frames and channels (SpecAugment)."""
        if self.settings.augmentation is None:
            return example
        masked = spec_augment(example.source, self.settings.augmentation, np.random.default_rng((seed, 2)))
        return replace(example, source=masked)

    # ---------------------------------------------------------------------------------------------------- records to learn from

    def open_file(self, file: FileConfig, base: Path, required: Sequence[str]) -> Records:
        """The records of a table of recordings, of a folder or an archive of them, or of one."""
        settings = self.settings
        names = (settings.audio, settings.text, settings.archive, settings.start, settings.end, channel_column(settings))
        return open_audio_records(file, base, required, AudioColumns(*names, precomputed=self.audio.precomputed))

    def fit(self, records: Iterable[Record]) -> None:
        """Learn the vocabulary, and for `global` normalization mean and deviation. `records` must be iterable several times."""
        self._note_channels(next(iter(records), {}))
        self.target_text.fit(self.reference(record) for record in records)
        if self.audio.needs_fit:
            self._fit_audio(records)

    def _note_channels(self, record: Record) -> None:
        """Note that the data has several channels which the recipe does not distinguish."""
        if self.settings.channel == "mix" and not self.audio.precomputed and _CHANNEL in record:
            self._notes = (
                f"The data has a column `{_CHANNEL}`, but the mix of all channels is heard: name it, `task.channel: {_CHANNEL}`.",
            )

    def _fit_audio(self, records: Iterable[Record]) -> None:
        """Learn mean and deviation. Raises DataError naming a recording that cannot be used."""
        name = ""

        def values() -> Iterator[Sounding]:
            nonlocal name
            for record in records:
                name = ""  # what is wrong with reading it says so itself
                value, _, name = self._read(record)
                yield value

        try:
            self.audio.fit(values())
        except DataError as error:
            raise DataError(f"{name}: {error}" if name else str(error)) from error

    @property
    def kept_together(self) -> tuple[str, ...]:
        """Speakers, if known; or else the recordings, or parts of them."""
        settings = self.settings
        if settings.speaker is not None:
            return (settings.speaker,)
        return (settings.audio, *(column for column in (settings.start, settings.end) if column is not None))

    # -------------------------------------------------------------------------------------------------------- one record

    def encode(self, record: Record, index: int = -1, *, seed: int | None = None) -> Example:
        """Frames (S, C), and symbols (T,) when the record has a text. With a seed the waveform is augmented, if the settings ask for it."""
        value, context, name = self._read(record)
        augmentation = self.settings.augmentation
        if seed is not None and augmentation is not None and augmentation.changes_waveforms:
            generator = np.random.default_rng((seed, 1))
            value = vary_waveform(value, self.settings.sample_rate, augmentation, generator, self._noise)
        try:
            frames = self.audio.encode(value)
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
        target = None
        if record.get(self.settings.text) is not None:
            symbols = self.target_text.encode(self.reference(record), seed=None if seed is None else seed + 1)
            target = np.concatenate([[self.target_spec.start], symbols, [self.target_spec.end]]).astype(np.int64)
        return Example(frames, target, index, context)

    @property
    def sample_rate(self) -> int:
        """The sample rate of the model's input, in Hz."""
        return self.settings.sample_rate

    def sound(self, record: Record) -> Sound:
        """The audio that the model reads for a record, and its place in the recording. Raises DataError for precomputed features."""
        if self.audio.precomputed:
            raise DataError("There is no sound to be heard: features are precomputed (`task.features.kind`).")
        waveform, context, _ = self._heard(record)
        return Sound(waveform, self.settings.sample_rate, context.start, context.end)

    def frames(self, waveform: Float[np.ndarray, " N"]) -> Float[np.ndarray, "S C"]:
        """Log-mel frames, not normalized."""
        return self.audio.extract(waveform)

    @property
    def source_fingerprint(self) -> str:
        """A hash that changes whenever a recording would give other frames."""
        return self.audio.fingerprint

    def follow(self, model: Seq2SeqModel, sample_rate: int) -> SpeechStream:
        """Start a recording that is arriving."""
        return SpeechStream(self.settings, self.audio, self.target_text.decode, model, sample_rate)

    def _read(self, record: Record) -> tuple[Sounding, SpeechContext, str]:
        """The waveform of a record, or its precomputed features; its place in the recording, and a name for messages."""
        if not self.audio.precomputed:
            return self._heard(record)
        frames, start, name = given_frames(record, self.settings)
        return frames, SpeechContext(start, start + len(frames) * self.audio.shift), name

    def _heard(self, record: Record) -> tuple[Float[np.ndarray, " N"], SpeechContext, str]:
        """The waveform of a record, its place in the recording, and the recording's name."""
        recording, start, stop = opened(record, self.settings)
        if isinstance(record.get(self.settings.audio), Part):
            return recording.read(self.settings.sample_rate, start, stop), SpeechContext(start, float(stop or 0.0)), recording.name
        try:
            waveform = recording.read(self.settings.sample_rate, start, stop)
        finally:
            recording.close()
        return waveform, SpeechContext(start, start + len(waveform) / self.settings.sample_rate), recording.name

    @cached_property
    def _noise(self) -> Noise | None:
        """Random cuts of the files in the noise folder; None if the noise is white, or there is none."""
        settings = self.settings.augmentation.noise if self.settings.augmentation is not None else None
        if settings is None or settings.folder is None:
            return None
        return folder_noise(settings.folder, self.settings.sample_rate)

    def parts(self, record: Record) -> Sequence[Record]:
        """The record, or if its recording is too long, the parts with speech; empty if it is silent.

        Raises DataError when it must begin with something, or something must be said, which cannot be asked of every part.
        """
        if self.audio.precomputed:
            return (record,)
        longest = self.settings.segments.longest
        recording, start, end = opened(record, self.settings)
        first, last = recording.bounds(start, end)
        seconds = (last - first) / recording.sample_rate
        asked = next((field for field in ("prefix", "required") if record.get(field)), None)
        if longest is None or seconds <= longest:
            has_frames = seconds >= self.audio.shortest / self.settings.sample_rate  # encoding refuses what has none
            silent = asked is None and has_frames and is_silent(recording, start, end)
            recording.close()
            return () if silent else (record,)
        if asked is not None:
            raise DataError(
                f"`{asked}` must be left out of a recording that is cut at silence, since it is longer than `segments.longest`"
                f" ({longest:g} s). Cut it yourself, with `start` and `end`."
            )
        found = cut_at_silence(recording, self.settings.segments, start, end)
        return [{**record, self.settings.audio: Part(recording, *bounds)} for bounds in found]

    def request(self, record: Record) -> Request:
        """The request from the optional fields `prefix`, `required`, `banned` and `hot_words`; a published model's outputs begin as in its
        training."""
        opening = self.target_text.opening
        asked = text_request(record, lambda _: self.target_text.phrase, self.target_spec.unknown, opening)
        return replace(asked, given=len(opening))

    # -------------------------------------------------------------------------------------------------------- predictions

    def decode(self, hypotheses: Sequence[Hypothesis], example: Example) -> Prediction:
        """The best hypothesis as text, with its segment and words; the others as alternatives."""
        best, *others = hypotheses
        context = example.context or SpeechContext(0.0, len(example.source) * self.audio.shift)
        text = self.target_text.decode(best.elements)
        padded = self.settings.features.padded_seconds
        filled = context.end if padded is None else context.start + padded
        words = words_of(best, self.target_text.decode, context.start, context.end, self.audio.shift, filled)
        segment = {"start": round(context.start, 3), "end": round(context.end, 3), "text": text}
        details = self._details([segment], words)
        if best.alignment is not None:
            shown = np.linspace(context.start, filled, best.alignment.shape[1], endpoint=False)
            details["source_pieces"] = [f"{second:.2f}" for second in shown]
            details["target_pieces"] = self.target_text.pieces(best.elements)
        alternatives = tuple(Prediction(self.target_text.decode(other.elements), other) for other in others)
        return Prediction(text, best, alternatives, details)

    def joined(self, predictions: Sequence[Prediction], record: Record) -> Prediction:
        """One prediction from those of a recording's parts, with the recording's name; an empty one if there is no speech."""
        found = [prediction.hypothesis for prediction in predictions]
        segments = [segment for prediction in predictions for segment in prediction.details["segments"]]
        words = [word for prediction in predictions for word in prediction.details["words"]]
        if len(predictions) == 1:
            whole = predictions[0]
        else:
            text = concatenated([segment["text"] for segment in segments])
            whole = Prediction(text, one_behind_another(found), (), self._details(segments, words))
        whole = replace(whole, details={"audio": self.source_of(record), **whole.details})
        if self.writes_files:
            whole.details["subtitles"] = self.written_as(whole, record, f".{self.settings.subtitles}")
        return whole

    @staticmethod
    def _details(segments: list[dict[str, Any]], words: list[dict[str, Any]]) -> dict[str, Any]:
        seconds = segments[-1]["end"] - segments[0]["start"] if segments else 0.0
        return {"seconds": round(seconds, 3), "segments": segments, "words": words}

    @property
    def writes_files(self) -> bool:
        """Whether predictions are written as subtitles."""
        return self.settings.subtitles != "none"

    def file_of(self, prediction: Prediction) -> OwnFile | None:
        """Subtitles, named after their recording."""
        subtitles, kind = prediction.details.get("subtitles"), self.settings.subtitles
        name = without_part(str(prediction.details.get("audio")))
        return None if subtitles is None else OwnFile(f"{Path(name).stem}.{'TextGrid' if kind == 'textgrid' else kind}", subtitles)

    def formats(self) -> Mapping[str, bool]:
        """Subtitles and transcripts with times."""
        return FORMATS

    def written_as(self, prediction: Prediction, record: Record, suffix: str) -> str:
        """A prediction as a file of subtitles, or in CTM or STM as the lines for a recording."""
        speaker = None if self.settings.speaker is None else record.get(self.settings.speaker)
        return transcript(prediction.details, heard_in(record, self.settings, speaker), suffix)

    def details(
        self, items: Sequence[Any], predictions: Sequence[Prediction], references: Sequence[Sequence[Any]], baselines: Any
    ) -> dict[str, Any]:
        """The details: errors by kind, by speaker and by length, and the worst utterances."""
        column = self.settings.speaker
        speakers = None if column is None else [str(item.get(column)) for item in items]
        return speech_details([self.source_of(item) for item in items], speakers, predictions, references)

    def source_of(self, record: Record) -> str:
        """The recording's path, with the part in question."""
        return called(record, self.settings)

    def reference(self, record: Record) -> str:
        """The transcript."""
        value = record.get(self.settings.text)
        if not isinstance(value, str):
            raise DataError(f"`{self.settings.text}` must be a text, but is {'missing' if value is None else repr(value)}.")
        return value

    def pieces(self, side: Literal["source", "target"], array: np.ndarray) -> list[str]:
        """The symbols of a text. For a recording only its length, since single frames mean nothing to people."""
        if side == "source":
            what = "precomputed features" if self.audio.precomputed else "sound"
            return [f"{len(array) * self.audio.shift:.2f} s of {what} ({len(array):,} frames)"]
        return self.target_text.pieces(array)

    def save(self, folder: Path) -> None:
        """Write the vocabulary and the audio statistics."""
        self.audio.save(folder / "source")
        (folder / "target").mkdir()
        self.target_text.save(folder / "target")

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        self.audio.load(folder / "source")
        self.target_text.load(folder / "target")
