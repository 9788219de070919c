"""Praat's TextGrid, long and short: tiers of labelled intervals, beside the recording of the same name.

Praat itself looks only for numbers, quoted texts and flags that stand by themselves, in this order, whatever words are around them
(Boersma and Weenink, Praat's manual, "TextGrid file formats"); so does this reader.
"""

import re
from pathlib import Path
from typing import NamedTuple

from antiphon.contracts.reader import Located, ReaderPlugin, Reading, Skip
from antiphon.data.byte_streams import COMPRESSIONS, read_lines
from antiphon.data.fields import check_columns
from antiphon.errors import DataError, nearest
from antiphon.readers.spoken_words import Spoken, record_of, utterances

_TOKEN = re.compile(
    r'(?P<comment>(?<!\S)!.*)|"(?P<text>(?:[^"]|"")*)"|(?<!\S)<(?P<flag>exists|absent)>(?!\S)'
    r"|(?<!\S)(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?!\S)"
)
_SILENCES = ("", "<eps>", "sp", "sil", "spn")  # of forced aligners, among words
_PHONES = ("phones", "phonemes", "phone")


class _Tier(NamedTuple):
    name: str
    intervals: list[Spoken]
    points: list[int]
    """The lines of points, in a tier of these."""


def read(reading: Reading) -> Located:
    """A record for each interval with text, of all tiers but those of phones, or those in `columns`; words are joined until a pause."""
    tiers = _Tokens(reading.path, reading.file.encoding).tiers()
    name = next((reading.path.stem for end in COMPRESSIONS if reading.path.suffix == end), reading.path.name).rpartition(".")[0]
    for tier in _chosen(reading, tiers):
        spoken = [one._replace(text=" ".join(one.text.split())) for one in tier.intervals]
        for line in tier.points:
            yield line, Skip("point")
        speaker = tier.name
        if tier.name.casefold().endswith("words"):
            speaker = re.sub(r"[\s_-]*words$", "", tier.name, flags=re.IGNORECASE)
            spoken = list(utterances(one for one in spoken if one.text not in _SILENCES))
        for said in spoken:
            if not said.text:
                continue  # what is between intervals with texts
            record = record_of(reading, name, said, None, speaker or None)
            check_columns(record, reading.required, f"`{reading.path}`")
            yield said.line, record


def _chosen(reading: Reading, tiers: list[_Tier]) -> list[_Tier]:
    names = [tier.name for tier in tiers]
    for name in reading.file.columns:
        if name not in names:
            raise DataError(f"`{reading.path}` has no tier {name!r}; it has: {', '.join(names)}.{nearest(name, names)}")
    if reading.file.columns:
        return [tier for tier in tiers if tier.name in reading.file.columns]
    return [tier for tier in tiers if not tier.name.casefold().endswith(_PHONES)] or tiers


class _Tokens:
    """The tokens of a TextGrid in order, each with its line."""

    def __init__(self, path: Path, encoding: str):
        self._path, self._line, self._at = path, 1, 0
        self._content = "".join(line for _, line in read_lines(path, encoding, with_ends=True))
        self._matches = _TOKEN.finditer(self._content)

    def tiers(self) -> list[_Tier]:
        """All tiers. Raises DataError for another kind of Praat file, and for one that is cut off."""
        kind, what = self._text(), self._text()
        if not kind.startswith("ooTextFile") or what != "TextGrid":
            raise DataError(f"`{self._path}` must be a TextGrid, but is {kind} {what}. Save it as a text file in Praat.")
        self._number(), self._number()
        if self._next("flag") != "exists":
            return []
        return [self._tier() for _ in range(int(self._number()))]

    def _tier(self) -> _Tier:
        kind, name = self._text(), self._text()
        self._number(), self._number()
        tier = _Tier(name, [], [])
        for _ in range(int(self._number())):
            start = self._number()
            if kind == "IntervalTier":
                end, text = self._number(), self._text()
                tier.intervals.append(Spoken(self._line, start, end, text))
            else:
                self._text()
                tier.points.append(self._line)
        return tier

    def _next(self, kind: str) -> str:
        match = next((match for match in self._matches if match.lastgroup != "comment"), None)
        if match is None or match.lastgroup != kind:
            found = "the file ends" if match is None else f"{match[0]!r:.40} is there"
            raise DataError(f"{self._path}:{self._line} must be followed by a {kind} of a TextGrid, but {found}. It is cut off or damaged.")
        self._line += self._content.count("\n", self._at, match.start())
        self._at = match.start()
        return str(match[kind])

    def _text(self) -> str:
        return self._next("text").replace('""', '"')

    def _number(self) -> float:
        return float(self._next("number"))


plugin = ReaderPlugin(
    name="textgrid",
    summary="Praat's TextGrid: intervals with texts, beside a recording of the same name; `columns` names tiers",
    suffixes=(".textgrid",),
    read=read,
    recognizes=lambda opening: opening.startswith(b'File type = "ooTextFile') and b'"TextGrid"' in opening[:100],
    settings=frozenset({"encoding", "columns"}),
    has_types=False,
    has_parts=True,
)
