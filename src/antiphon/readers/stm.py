"""STM: a segment per line, with recording, channel, speaker, first and last second, and text, as used by NIST's SCTK (`doc/infmts.htm`).

The text stands as it is, also where it has alternatives in braces.
"""

import re

from antiphon.contracts.reader import Located, ReaderPlugin, Reading, Skip
from antiphon.data.byte_streams import read_lines
from antiphon.data.fields import check_columns
from antiphon.errors import DataError
from antiphon.readers.spoken_words import Spoken, channel_of_transcript, record_of, seconds

_LABEL = re.compile(r"^<(?:[^<>\s]*,[^<>\s]*|O|NA)>\s*", re.IGNORECASE)  # by which scores are given: <O>, <F0,M>


def read(reading: Reading) -> Located:
    """A record for each line; the recording lies beside the file, under its name with any audio suffix."""
    for line, content in read_lines(reading.path, reading.file.encoding):
        cells, place = content.split(maxsplit=5), f"{reading.path}:{line}"
        if not cells or content.startswith(";;"):
            continue  # a comment
        if len(cells) < 5:
            raise DataError(f"{place} must have recording, channel, speaker, start, end and text, but is {content!r:.60}.")
        name, channel, speaker = cells[:3]
        start, end = seconds(place, cells[3:5])
        text = cells[5].strip() if len(cells) > 5 else ""
        text = _LABEL.sub("", text)
        if text.upper() == "IGNORE_TIME_SEGMENT_IN_SCORING":
            yield line, Skip("segment that is to be ignored")
        elif end <= start:
            yield line, Skip("segment without length")
        else:
            said = Spoken(line, start, end, text)
            record = record_of(reading, name, said, channel_of_transcript(place, channel), speaker)
            check_columns(record, reading.required, f"`{reading.path}`")
            yield line, record


plugin = ReaderPlugin(
    name="stm",
    summary="NIST's STM: segments with recording, channel, speaker and times",
    suffixes=(".stm",),
    read=read,
    has_types=False,
    has_parts=True,
)
