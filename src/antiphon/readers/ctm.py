"""CTM: a word per line, with recording, channel, start, duration, and confidence (NIST's SCTK, `doc/infmts.htm`).

Words become utterances, as nobody learns from words alone. Of alternatives the first one is read.
"""

from collections.abc import Iterator
from itertools import groupby

from antiphon.contracts.reader import Located, ReaderPlugin, Reading, Skip
from antiphon.data.byte_streams import read_lines
from antiphon.data.fields import check_columns
from antiphon.errors import DataError
from antiphon.readers.spoken_words import Spoken, channel_of_transcript, record_of, seconds, utterances


def read(reading: Reading) -> Located:
    """A record for each utterance; the recording lies beside the file, under its name with any audio suffix."""
    for (name, channel), found in groupby(_words(reading), key=lambda word: word[0]):
        words = [one for _, one in found]
        for skipped in words:
            if isinstance(skipped, int):
                yield skipped, Skip("other alternative of words")
        for said in utterances(one for one in words if isinstance(one, Spoken)):
            record = record_of(reading, name, said, channel, None)
            check_columns(record, reading.required, f"`{reading.path}`")
            yield said.line, record


def _words(reading: Reading) -> Iterator[tuple[tuple[str, int], Spoken | int]]:
    """((recording, channel), word), or the line number of a word in an alternative that is not the first."""
    alternative = 0
    for line, content in read_lines(reading.path, reading.file.encoding):
        cells, place = content.split(), f"{reading.path}:{line}"
        if not cells or content.startswith(";;"):
            continue  # a comment
        if len(cells) < 5:
            raise DataError(f"{place} must have recording, channel, start, duration and word, but is {content!r:.60}.")
        about = cells[0], channel_of_transcript(place, cells[1])
        mark = cells[4].upper()
        if mark in ("<ALT_BEGIN>", "<ALT>", "<ALT_END>"):
            alternative = 0 if mark == "<ALT_END>" else alternative + 1
        elif alternative > 1:
            yield about, line
        else:
            start, length = seconds(place, cells[2:4])
            yield about, Spoken(line, start, round(start + length, 6), cells[4])


plugin = ReaderPlugin(
    name="ctm",
    summary="NIST's CTM: words with recording, channel and times, joined until a pause",
    suffixes=(".ctm",),
    read=read,
    has_types=False,
    has_parts=True,
)
