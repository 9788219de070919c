"""Detects OGG files with several recordings in sequence, as joined files have: libsndfile only reads the first."""

from mmap import mmap

_HEADER = 27  # bytes of a page in front of the sizes of its segments
_FIRST = 0x02  # the flag of a page that begins a stream


def is_joined(content: bytes | mmap) -> bool:
    """Whether a stream begins after the pages of another one."""
    place, begun = 0, False
    while content[place : place + 4] == b"OggS" and place + _HEADER <= len(content):
        first = bool(content[place + 5] & _FIRST)
        if first and begun:
            return True
        begun = begun or not first
        segments = content[place + _HEADER : place + _HEADER + content[place + _HEADER - 1]]
        place += _HEADER + len(segments) + sum(segments)
    return False
