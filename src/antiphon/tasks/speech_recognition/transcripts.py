"""Writes transcripts with times in the formats of other programs: subtitles, Praat's TextGrid, and CTM and STM for NIST's scoring tools.

CTM has a line for each word, STM one for each segment (NIST's SCTK, `doc/infmts.htm`); both hold any number of recordings. A TextGrid has
tiers of intervals that cover the whole recording (Boersma and Weenink, Praat's manual, "TextGrid file formats"). Where words have no times,
a segment's time is shared out by characters.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from antiphon.tasks.speech_recognition.places import Heard
from antiphon.tasks.speech_recognition.subtitles import cues, shared, written

FORMATS: Mapping[str, bool] = {".srt": False, ".vtt": False, ".textgrid": False, ".ctm": True, ".stm": True}
"""Suffixes, and whether a file has room for several recordings."""

_SHORTEST = 0.001  # seconds of an interval, of which Praat refuses empty ones

Segments = Sequence[Mapping[str, Any]]


class _Span(NamedTuple):
    start: float
    end: float
    text: str


def transcript(details: Mapping[str, Any], heard: Heard, suffix: str) -> str:
    """A prediction's `segments` and `words` in the format with this suffix; ends with a line end, unless it is empty."""
    segments: Segments = details.get("segments", ())
    words: Segments = details.get("words", ())
    if suffix == ".ctm":
        return _ctm(segments, words, heard)
    if suffix == ".stm":
        return _stm(segments, heard)
    if suffix == ".textgrid":
        return _textgrid(segments, words)
    return written(cues(segments, words), "vtt" if suffix == ".vtt" else "srt")


def _ctm(segments: Segments, words: Segments, heard: Heard) -> str:
    """recording, channel, start, duration, word, confidence."""
    begin = f"{_one(heard.name)} {heard.channel}"
    timed = _timed(segments, words)
    sure = [word.get("confidence") for word in words] if len(timed) == len(words) else [None] * len(timed)
    rows = (
        f"{begin} {word.start:.3f} {word.end - word.start:.3f} {_one(word.text)}{'' if one is None else f' {one:.4f}'}\n"
        for word, one in zip(timed, sure, strict=True)
    )
    return "".join(rows)


def _stm(segments: Segments, heard: Heard) -> str:
    """recording, channel, speaker, start, end, text."""
    begin = f"{_one(heard.name)} {heard.channel} {_one(heard.speaker or 'unknown')}"
    rows = (f"{begin} {segment['start']:.3f} {segment['end']:.3f} {' '.join(str(segment['text']).split())}" for segment in segments)
    return "".join(f"{row.rstrip()}\n" for row in rows)


def _textgrid(segments: Segments, words: Segments) -> str:
    """Two tiers: segments, and their words."""
    said = [_Span(float(one["start"]), float(one["end"]), str(one["text"])) for one in segments]
    tiers = {"segments": list(_covering(said)), "words": list(_covering(_timed(segments, words)))}
    last = max([span.end for spans in tiers.values() for span in spans], default=_SHORTEST)
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {last:.3f}", "tiers? <exists>"]
    lines += [f"size = {len(tiers)}", "item []:"]
    for number, (name, spans) in enumerate(tiers.items(), 1):
        end = spans[-1].end if spans else 0.0
        whole = [*spans, _Span(end, last, "")] if end < last else spans
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f"        name = {_quoted(name)}", "        xmin = 0"]
        lines += [f"        xmax = {last:.3f}", f"        intervals: size = {len(whole)}"]
        for place, span in enumerate(whole, 1):
            lines += [f"        intervals [{place}]:", f"            xmin = {span.start:.3f}", f"            xmax = {span.end:.3f}"]
            lines += [f"            text = {_quoted(span.text)}"]
    return "\n".join(lines) + "\n"


def _covering(spans: Sequence[_Span]) -> Iterator[_Span]:
    """Consecutive intervals from 0 on, with empty ones between the segments; none is shorter than Praat allows."""
    last = 0.0
    for span in spans:
        start = max(round(span.start, 3), last)
        if start > last:
            yield _Span(last, start, "")
        last = max(round(span.end, 3), round(start + _SHORTEST, 3))
        yield _Span(start, last, span.text)


def _timed(segments: Segments, words: Segments) -> list[_Span]:
    """The words with their times, or the segments divided into words, which share their time."""
    if words and all("start" in word for word in words):
        return [_Span(float(word["start"]), float(word["end"]), str(word["word"])) for word in words]
    pieces = (piece for one in segments for piece in shared(str(one["text"]), float(one["start"]), float(one["end"])))
    return [_Span(piece.start, piece.end, piece.text.strip()) for piece in pieces]


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _one(text: str) -> str:
    """A name or a word without blanks, which would separate columns."""
    return "_".join(text.split())
