"""The speech section, for speech recognition runs: errors by kind, speaker and length, and the worst utterances, with picture and sound.

Counts come from the details that the newest evaluation stored (`tasks/speech_recognition/details.py`). For the worst utterances the
recordings are read again, recognized again with times, drawn, and put into the page as FLAC, up to a total size; what is left out is said.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from antiphon.contracts.abilities import Hears, Sound
from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Prediction
from antiphon.errors import AntiphonError, ConfigError
from antiphon.prediction.predictor import Predictor
from antiphon.recipe.assembly import read_given
from antiphon.report.attention import evaluated_data
from antiphon.report.markup import Markup, code, element, folded, join, note, paragraph, section, table
from antiphon.report.quantities import as_count, as_real, number, plural
from antiphon.report.run_record import Plain, RunRecord, as_list, as_mapping
from antiphon.report.speech_picture import spectrogram
from antiphon.report.speech_words import word_alignment

_SHOWN = 8  # utterances with picture and sound
_MOST_SECONDS = 20.0  # of a recording that is drawn
_MOST_BYTES = 3_000_000  # of sound in the page
_ROWS = 30  # speakers that are not folded away


@dataclass(frozen=True)
class _Utterance:
    """An utterance that was read and recognized again."""

    sound: Sound
    frames: Float[np.ndarray, "S C"]
    prediction: Prediction


def speech_section(record: RunRecord, predictor: Predictor | str, data: Any = None) -> Markup:
    """The section on speech. `predictor` is a sentence when the model could not be loaded; `data` is the evaluated data, if given."""
    if not record.evaluations:
        command = code(f"antiphon evaluate {record.folder}")
        return _section(note("No evaluation yet: ", command, " adds errors by speaker and by length, and the worst utterances."))
    details = record.evaluations[0].details
    if not details:
        command = code(f"antiphon evaluate {record.folder} --data {record.evaluations[0].data}")
        return _section(note("The newest evaluation was stored without details: ", command, " adds them."))
    return _section(
        _summary(as_mapping(details.get("errors"))),
        _errors("By speaker", "speaker", _mappings(details.get("speakers"))),
        _errors("By length", "seconds", _mappings(details.get("lengths"))),
        element("h3", None, "Utterances with the most wrong words"),
        _worst(record, predictor, _mappings(details.get("worst")), data),
    )


def _section(*parts: Markup | None) -> Markup:
    return section("speech", "Speech", *parts)


# ------------------------------------------------------------------------------------------------------------------ tables


def _summary(errors: Plain) -> Markup:
    words = as_count(errors.get("reference_words"))
    parts = (f"{as_count(errors.get(name)):,} {name}" for name in ("substitutions", "deletions", "insertions"))
    return paragraph(
        f"{plural(as_count(errors.get('utterances')), 'utterance')} with {plural(words, 'word')}, {_minutes(errors.get('seconds'))}: ",
        element("strong", None, f"word error rate {_rate(errors, 'word_error_rate')}"),
        f", character error rate {_rate(errors, 'character_error_rate')}; {', '.join(parts)}.",
    )


def _errors(title: str, first: str, rows: Sequence[Plain]) -> Markup | None:
    if not rows:
        return None
    header = (first, "WER", "CER", "substitutions", "deletions", "insertions", "words", "utterances")
    listed = [
        (
            f"{number(row.get('from', 0), 3)} to {number(row.get('to', 0), 3)}" if first == "seconds" else str(row.get(first, "")),
            _rate(row, "word_error_rate"),
            _rate(row, "character_error_rate"),
            *(f"{as_count(row.get(name)):,}" for name in ("substitutions", "deletions", "insertions", "reference_words", "utterances")),
        )
        for row in rows
    ]
    numeric = range(1, len(header))
    more = folded(f"{len(listed) - _ROWS:,} more", table(header, listed[_ROWS:], numeric=numeric)) if len(listed) > _ROWS else None
    return join([element("h3", None, title), table(header, listed[:_ROWS], numeric=numeric), more])


def _rate(row: Plain, name: str) -> str:
    value = as_real(row.get(name))
    return "" if value is None else f"{value:.1f} %"


def _minutes(seconds: object) -> str:
    found = as_real(seconds) or 0.0
    return f"{found / 60:.1f} minutes" if found >= 120 else f"{found:.0f} seconds"


# ------------------------------------------------------------------------------------------------------------------- worst


def _worst(record: RunRecord, predictor: Predictor | str, worst: Sequence[Plain], data: Any) -> Markup:
    """Cards of the worst utterances; the first few with picture and sound."""
    if not worst:
        return note("No utterance of the newest evaluation has a wrong word.")
    legend = note(
        "Above: what was said. Below: what was recognized. Marked: ",
        element("mark", {"class": "wrong"}, "substituted or inserted"),
        " and ",
        element("mark", {"class": "missed"}, "substituted or deleted"),
        ". The picture is the spectrogram that the model read, low tones at the bottom; shaded: where it heard each word.",
    )
    sounds: Mapping[int, _Utterance] = {}
    remark = predictor if isinstance(predictor, str) else ""
    if not isinstance(predictor, str):
        try:
            sounds = _sounds(record, predictor, worst[:_SHOWN], data)
        except AntiphonError as error:
            remark = f"The recordings cannot be read again: {error}"
    cards, spent, silent = [], 0, 0
    for place, one in enumerate(worst):
        sound = sounds.get(place)
        audio = None if sound is None or isinstance(predictor, str) else _player(sound.sound.waveform, sound.sound.sample_rate)
        if audio is not None and spent + len(audio) > _MOST_BYTES:
            audio, silent = None, silent + 1
        spent += 0 if audio is None else len(audio)
        cards.append(_card(one, sound, audio))
    missing = min(len(worst), _SHOWN) - len(sounds)
    left_out = [
        *([remark] if remark else []),
        *(
            [f"{missing} of the first {_SHOWN} have no picture: not found again, or longer than {_MOST_SECONDS:g} s."]
            if missing and not remark
            else []
        ),
        *([f"{silent} have no sound, since the page holds at most {_MOST_BYTES / 1e6:g} MB of it."] if silent else []),
        *([f"Of {len(worst)}, the first {_SHOWN} have pictures and sound."] if len(worst) > _SHOWN and sounds else []),
    ]
    return join([legend, note(" ".join(left_out)) if left_out else None, element("div", {"class": "utterances"}, *cards)])


def _card(one: Plain, sound: _Utterance | None, audio: Markup | None) -> Markup:
    said, heard = str(one.get("reference", "")), str(one.get("prediction", ""))
    counts = ", ".join(
        plural(as_count(one.get(name)), name.removesuffix("s")) for name in ("substitutions", "deletions", "insertions") if one.get(name)
    )
    name = str(one.get("audio", ""))
    where = element("span", {"title": name}, name.rpartition("/")[2])
    title = element("p", {"class": "quiet"}, where, f" · {counts} in {plural(as_count(one.get('reference_words')), 'word')}")
    changed = sound is not None and sound.prediction.text != heard
    again = note("Recognized again, it is: ", element("span", {"dir": "auto"}, sound.prediction.text)) if sound and changed else None
    return element("article", {"class": "card"}, title, word_alignment(said, heard), again, None if sound is None else _drawn(sound), audio)


def _drawn(sound: _Utterance) -> Markup:
    words = [
        {**word, **{side: float(word[side]) - sound.sound.start for side in ("start", "end") if side in word}}
        for word in sound.prediction.details.get("words", ())
    ]
    seconds = float(sound.prediction.details.get("seconds", 0.0))
    return spectrogram(sound.frames, seconds, words, sound.prediction.hypothesis.alignment, label=f"Spectrogram of {seconds:.1f} seconds")


def _player(waveform: Float[np.ndarray, " N"], rate: int) -> Markup:
    """The model's input audio (one channel, its sample rate), as a player in the page."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.clip(waveform, -1, 1), rate, format="FLAC", subtype="PCM_16")
    content = "data:audio/flac;base64," + base64.b64encode(file.getvalue()).decode("ascii")
    return element("audio", {"controls": True, "preload": "none", "src": content})


def _sounds(record: RunRecord, predictor: Predictor, worst: Sequence[Plain], data: Any) -> Mapping[int, _Utterance]:
    """The utterances that can be found again, by their index among the worst."""
    task = predictor.task
    evaluated = evaluated_data(predictor, record) if data is None else data
    if not isinstance(task, Hears) or evaluated is None:
        return {}
    wanted = {str(one.get("audio", "")): place for place, one in enumerate(worst)}
    found: dict[int, Record] = {}
    for _, one in read_given(evaluated, task, with_targets=True)():
        place = wanted.get(task.source_of(one))
        if place is not None and place not in found and as_mapping(worst[place]).get("reference") == task.reference(one):
            found[place] = one
    heard = {place: task.sound(one) for place, one in found.items()}
    chosen = [place for place, one in heard.items() if one.end - one.start <= _MOST_SECONDS]
    predictions = _with_times(predictor, [found[place] for place in chosen])
    return {
        place: _Utterance(heard[place], task.frames(heard[place].waveform), prediction)
        for place, prediction in zip(chosen, predictions, strict=True)
    }


def _with_times(predictor: Predictor, records: Sequence[Record]) -> Sequence[Prediction]:
    """Predictions with the times of words, as precise as the model and its search can give them: by CTC, by attention, or not at all."""
    bare = [{key: value for key, value in one.items() if key not in predictor.task.columns[1:2]} for one in records]
    for settings in ({"spans": True, "alignment": True}, {"spans": True}, {"alignment": True}):
        try:
            return predictor.with_search(settings).predict(bare)
        except ConfigError:
            continue
    return predictor.predict(bare)


def _mappings(value: object) -> list[Plain]:
    return [item for item in as_list(value) if isinstance(item, Mapping)]
