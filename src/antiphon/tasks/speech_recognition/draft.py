"""Proposals for speech: the roles of columns, the lengths of recordings, and whether texts are spelt or consist of a few words."""

import numpy as np

from antiphon.contracts.drafting import ColumnFacts, Draft, Look, Proposal
from antiphon.data.audio import open_audio
from antiphon.errors import AntiphonError, ConfigError, DataError
from antiphon.tasks.column_names import RECORDINGS, SPEAKERS, TRANSCRIPTS, check_asked, named, unknown

_HEARD = 40  # recordings that are opened
_FEW_WORDS = 100  # different ones, said often: commands, digits
_TELEPHONE = 8000
_FEW_HOURS = 2.0  # of speech
_SPEEDS = [0.85, 0.9, 1.0, 1.1, 1.15]


def draft(look: Look) -> Draft:
    """Propose settings for speech recognition."""
    columns = list(look.columns)
    audio = look.asked.get("task.audio") or _recordings(look)
    text = look.asked.get("task.text") or named([name for name in columns if name != audio and look.columns[name].is_text], TRANSCRIPTS)
    texts = [name for name in columns if name != audio and look.columns[name].is_text]
    if text is None and len(texts) == 1:
        text = texts[0]
    if columns == [audio]:  # a folder or an archive
        raise ConfigError(
            "The data are recordings without their texts. Give a table with a column of file names and one of texts; a recording inside an"
            " archive is named as `clips.zip/one.wav` there."
        )
    if audio is None or text is None:
        raise unknown(look, "speech recognition", *(("audio",) if audio is None else ()), *(("text",) if text is None else ()))
    check_asked(look, "audio", audio)
    said = look.columns[check_asked(look, "text", text)]
    seconds, rate = _heard(look, audio, text)
    bins = 40 if rate <= _TELEPHONE else 80
    settings = {
        "task.audio": Proposal(audio, f"recordings of about {np.mean(seconds):.1f} s"),
        "task.text": Proposal(text, f"about {said.words / max(said.filled, 1):.1f} words"),
        "task.sample_rate": Proposal(rate, "that of the recordings" if rate < 16000 else "what speech needs"),
        "task.features": Proposal({"kind": "filter_banks", "bins": bins}, "bands of pitch, every 10 ms"),
        "task.normalization": Proposal("global", "how loud each band is tells something, too; `utterance` where loudness differs much"),
        "task.vocabulary": _vocabulary(said),
        "task.augmentation": _augmentation(bins, float(np.mean(seconds)) * look.records / 3600),
        "data.limits": Proposal(
            {"max_source_length": int(np.ceil(max(seconds) * 1.5 + 1)) * 100, "max_target_length": 400}, "frames of 10 ms, and symbols"
        ),
        "training.optimizer": Proposal({"name": "adamw", "learning_rate": 2e-3}, "what narrow models learn fastest with"),
        "training.loss": Proposal({"name": "ctc"}, "adds up all ways to align, so nobody needs to know which word is when"),
        "search": Proposal({"name": "ctc", "beam_size": 4}, "the beam search that goes with it"),
    }
    speaker = named([name for name in columns if name not in (audio, text)], SPEAKERS)
    if speaker is not None and look.columns[speaker].distinct > 2:
        settings["task.speaker"] = Proposal(speaker, f"{look.columns[speaker].distinct:,} speakers: those held out are not learned from")
    dropped = tuple(
        f"model.{name}" for name in ("dim", "heads", "feed_forward_dim", "encoder_layers", "decoder_layers", "ctc", "subsampling")
    )
    dropped = (*dropped, *(f"search.{name}" for name in ("name", "beam_size", "ctc_weight")))
    settings["model.name"] = Proposal("encoder_only", "an encoder with CTC, which learns soonest; `conformer` also has a decoder")
    guessed = f"Learns to write `{text}` for `{audio}`{f', speakers in `{speaker}`' if 'task.speaker' in settings else ''}."
    return Draft(settings=settings, models=_sizes(), dropped=dropped, said=(guessed,))


def _recordings(look: Look) -> str | None:
    """The column with values like names of recordings, or with a usual name."""
    sounds = [name for name, facts in look.columns.items() if facts.filled and facts.sounds >= 0.9 * facts.filled]
    return sounds[0] if len(sounds) == 1 else named(sounds or list(look.columns), RECORDINGS)


def _vocabulary(said: ColumnFacts) -> Proposal:
    few = said.vocabulary is not None and len(said.vocabulary) <= _FEW_WORDS and said.words >= 10 * len(said.vocabulary)
    if few:
        return Proposal({"kind": "word"}, f"{len(said.vocabulary or ())} different words, each said often; `character` learns to spell")
    return Proposal({"kind": "character", "lowercase": True}, "spells what it hears; unigram and bpe are there too")


def _augmentation(bins: int, hours: float) -> Proposal:
    """Masks that keep most of a short recording; for few hours also speed perturbation, which imitates other voices (Ko et al. 2015)."""
    masks = {"frequency_masks": 1, "frequency_width": bins // 5, "time_masks": 1, "time_width": 20}
    if hours >= _FEW_HOURS:
        return Proposal(masks, "SpecAugment, mild: there is little time")
    return Proposal({**masks, "speeds": _SPEEDS}, f"mild masks, and other speeds, which are like other voices: only {hours:.1f} hours")


def _sizes() -> list[dict[str, Proposal]]:
    def encoder(dim: int, layers: int) -> Proposal:
        return Proposal({"name": "conformer", "dim": dim, "layers": layers, "heads": 4, "feed_forward_dim": 2 * dim}, "{passes}")

    width = Proposal(16, "maps of the convolutions that make one state of four frames")
    return [{"encoder": encoder(dim, layers), "subsampling_width": width} for dim, layers in ((64, 3), (96, 4), (144, 8))]


def _heard(look: Look, audio: str, text: str) -> tuple[list[float], int]:
    """The lengths of some recordings in seconds, and a suitable sample rate. Raises DataError when none can be opened."""
    seconds, rates, last = list[float](), list[int](), None
    step = max(1, look.records // _HEARD)
    for number, (_, record) in enumerate(look.reopened({"audio": audio, "text": text})()):
        if number % step or len(seconds) >= _HEARD:
            continue
        try:
            recording = open_audio(record.get(audio), record.get("sample_rate"))
            seconds.append(recording.seconds)
            rates.append(recording.sample_rate)
        except AntiphonError as error:
            last = error
    if not seconds:
        raise DataError(f"None of the recordings in `{audio}` can be heard: {last}")
    return seconds, min(16000, int(np.median(rates)))
