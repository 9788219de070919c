"""The settings of speech recognition, and the recipe that `antiphon new speech-recognition` writes."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from antiphon.contracts.configuration import config
from antiphon.data.audio_segments import SegmentsConfig
from antiphon.features.audio import AudioFeaturesConfig, Normalization
from antiphon.features.augmentation import AugmentationConfig
from antiphon.features.filter_banks import WHISPER_RATE
from antiphon.features.text_config import TextConfig


@config
class SpeechRecognitionConfig:
    """Which columns hold recordings and texts, and how both are encoded."""

    name: Literal["speech_recognition"] = "speech_recognition"
    """The name of this task."""
    audio: str = "audio"
    """Column with the name of the recording, relative to the table; `clips.zip/one.mp3` is a member of an archive. For precomputed
    features, the name of their matrix: `one.npy`, or an offset in a Kaldi archive, `feats.ark:1234`."""
    text: str = "text"
    """Column with the transcript."""
    weight: str | None = None
    """Column with the weight of each training record (such as a quality score): a number from 0 up; only the proportions matter. Null
    weights all equally."""
    speaker: str | None = None
    """Column with the speaker: held-out records then have speakers of their own, and scores are also given by speaker."""
    start: str | None = None
    """Column with the time in seconds at which the record begins within its recording; together with `end`."""
    end: str | None = None
    """Column with the time in seconds at which it ends."""
    channel: Annotated[int, Field(ge=1)] | str = "mix"
    """Which channel of a recording is used: `mix` is the mean of all, a number selects one, counted from 1; any other name is a column with
    either of these."""
    archive: Path | None = None
    """A .zip or .tar, relative to the table, that contains the files named in `audio`."""
    sample_rate: Annotated[int, Field(ge=4000, le=192000)] = 16000
    """The sample rate that every recording is converted to, in Hz."""
    features: AudioFeaturesConfig = AudioFeaturesConfig()
    """The features of a frame of 10 ms."""
    normalization: Normalization = "utterance"
    """The data over which each channel is normalized to mean 0 and deviation 1: the recording (`utterance`), the training data (`global`),
    or `none`. `cmvn` uses Kaldi's statistics of the speaker, or else of the utterance (`cmvn.scp`), for precomputed features."""
    augmentation: AugmentationConfig | None = None
    """How recordings are augmented in training; `{}` is SpecAugment, null is nothing."""
    vocabulary: TextConfig = TextConfig(kind="character")
    """How texts are encoded as symbols."""
    storage: Literal["float32", "float16"] = "float32"
    """How frames are stored for training; float16 needs half the space and differs by less than 0.1 %."""
    segments: SegmentsConfig = SegmentsConfig()
    """How recordings that are too long to be predicted at once are cut."""
    subtitles: Literal["none", "srt", "vtt", "textgrid", "ctm", "stm"] = "none"
    """Write predictions as subtitles, or as transcripts with times, if the suffix of `antiphon predict`'s output does not select a
    format."""

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other or have no effect."""
        if (self.start is None) != (self.end is None):
            raise ValueError("`start` and `end` go together: name both columns, or neither.")
        if self.features.kind == "whisper" and self.sample_rate != WHISPER_RATE:
            raise ValueError(f"`sample_rate` must be {WHISPER_RATE} for the features `whisper`, but is {self.sample_rate}.")
        if self.features.kind == "precomputed":
            self._check_precomputed()
        elif self.normalization == "cmvn":
            raise ValueError("`normalization: cmvn` needs `features.kind: precomputed`: Kaldi's statistics are of its own features.")
        if self.normalization == "utterance" and self.augmentation is not None and self.augmentation.volume is not None:
            raise ValueError("`augmentation.volume` has no effect under `normalization: utterance`, which removes it again. Leave it out.")
        padded, longest = self.features.padded_seconds, self.segments.longest
        if padded is not None and (longest is None or longest > padded):
            raise ValueError(f"`segments.longest` must be at most `features.padded_seconds` ({padded:g}), but is {longest}.")
        if self.vocabulary.prefix:
            raise ValueError("`vocabulary.prefix` must be left out: a text is what is said.")

    def _check_precomputed(self) -> None:
        """Refuse settings that need the audio."""
        if self.augmentation is not None and self.augmentation.changes_waveforms:
            raise ValueError(
                "`augmentation.speeds`, `volume` and `noise` must be left out with precomputed features, of which the sound is not known;"
                " masks of frequency and time are there."
            )
        defaults = {"sample_rate": 16000, "channel": "mix", "segments": SegmentsConfig()}
        idle = next((name for name, default in defaults.items() if getattr(self, name) != default), None)
        if idle is not None:
            raise ValueError(f"`{idle}` must be left out with precomputed features, which are neither heard nor cut at silence.")


FRAMES = 12_000  # of a batch: 2 minutes of sound, since a few hours of speech are learned from by many updates, not by large ones


# A text has fewer symbols than a recording has frames: 40 characters a second are twice what fast speakers say.
LIMITS = {"max_ratio": 0.4, "max_offset": 10}


def recipe_defaults(settings: SpeechRecognitionConfig, stepwise: bool) -> dict[str, Any]:
    """Batches are sized by frames, since the audio, not its text, limits memory; texts may be as long as speech can be."""
    defaults: dict[str, Any] = {"training": {"batching": {"source_tokens": FRAMES, "target_tokens": FRAMES // 2}}}
    return {**defaults, "search": {"name": "beam", "limits": LIMITS}} if stepwise else defaults


TEMPLATE = """\
# Speech to text. Point `data` at a table with the columns `audio` (a file name) and `text`, or at a folder of recordings with
# their texts beside them (one.flac, one.txt). Needs: pip install '.[audio]'. Then:
#   antiphon inspect {file}        look at the data before you train
#   antiphon train {file} --out runs/speech
#   antiphon predict runs/speech talk.mp3
task:
  name: speech_recognition
  audio: audio                   # WAV, FLAC, OGG, MP3 or AIFF of any rate; relative to the table
  text: text
  # archive: clips.zip           # where the recordings are inside a .zip or .tar beside the table
  # speaker: speaker             # held-out records then have speakers of their own
  # start: start                 # where records are parts of longer recordings, in seconds
  # end: end
  # channel: channel             # a column with numbers from 1, or one number for all; channels are averaged otherwise
  sample_rate: 16000
  features: {{kind: filter_banks, bins: 80}}     # or whisper: log-mel equal to Whisper's
  normalization: utterance       # or global, none
  augmentation: {{frequency_masks: 2, time_masks: 2}}   # SpecAugment; also speeds: [0.9, 1.0, 1.1], noise: {{kind: white}}
  vocabulary: {{kind: character, lowercase: true}}      # unigram and bpe are there too
  segments: {{longest: 20}}        # when predicting, longer recordings are cut at silence

data:
  train: train.tsv               # tsv, csv, jsonl, parquet, a folder; or a corpus of Kaldi, NeMo, Lhotse, Common Voice ...
  validation: 100                # a file, or so many records split off the training data
  # test: test.tsv
  limits: {{max_source_length: 2000, max_target_length: 400}}   # frames of 10 ms, and symbols

model:
  name: conformer                # or lstm, transformer; encoder_only (CTC alone), transducer
  preset: tiny                   # small and base for hours or a GPU; any setting may be overridden
  subsampling: 4
  ctc: true                      # learns alignments sooner; joint scoring below

training:
  max_minutes: 10                # validations included; `antiphon inspect` says what fits into them. Or max_steps, max_epochs
  validate_every: auto           # ten times, evenly spread
  loss: {{name: joint_ctc}}
  batching: {{source_tokens: 3000}}              # frames of a batch; many more from a hundred hours on
  optimizer: {{name: adamw, learning_rate: 2e-3}}   # 1e-3 for wide models
  schedule: {{name: cosine, warmup_steps: auto}}   # rises for a tenth of the budget, then falls to 0
  best: word_error_rate

search:
  name: beam
  beam_size: 5
  ctc_weight: 0.3                # what the encoder says by itself has a say

evaluation:
  metrics: [wer_normalized, word_error_rate, character_error_rate]
"""
