"""Counts the frames of MP3 files: their length header may be missing, or describe only the first of several joined files.

libsndfile believes the header (`Xing` or `Info`), and without one takes the first frame's bit rate for that of all: a file of variable
rate is read in part, without a word. `completed` puts a header with the right count in front of the frames, so that the decoder reads all.

Unusual here: a header that tells of more frames than there are is left as it is, since it is how a file that is cut off is noticed.
"""

from collections.abc import Iterator
from functools import lru_cache
from mmap import mmap
from typing import NamedTuple

from antiphon.errors import DataError

_LAYER_3 = 0b01
_MPEG_1 = 0b11
_KILOBITS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # MPEG-1
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # MPEG-2 and 2.5
}
_RATES = {_MPEG_1: (44100, 48000, 32000), 0b10: (22050, 24000, 16000), 0b00: (11025, 12000, 8000)}
_SPACIOUS = 0x90  # a bit rate, in the bits of the third byte, whose frames hold a length header at every sample rate
_UNPROTECTED = 0x01  # the bit of the second byte that says that no checksum follows
_ROUNDED = 0.1  # seconds that a constant bit rate may be taken for more than is there, which no reader minds
_COUNTED = 0x1  # the flag of a length header that has the number of frames
_OPTIONAL = ((0x2, 4), (0x4, 100), (0x8, 4))  # the flags and bytes of its other fields: bytes of all, places, quality
_LAME_DELAY = 21  # bytes behind these: 12 bits of delay at the start and 12 of padding at the end, in samples, as LAME has it


class _Frame(NamedTuple):
    """The data in a frame's header: its size in bytes, its samples, its sample rate and channels, and where a length header would be."""

    size: int
    samples: int
    sound: tuple[int, int]
    inside: int


def completed(content: bytes | mmap, decoded: int, name: str, remedy: str) -> bytes | None:
    """A version of an MP3 file that a decoder reads completely; None if it does so with the file as it is, or if there are no MP3 frames.

    decoded   the samples that the decoder takes the file for

    Raises DataError, with the `remedy`, where the sample rate or the number of channels changes within the file.
    """
    sound, header, samples = list[tuple[int, _Frame]](), b"", 0
    for place, frame in _frames(content):
        if _is_header(content, place, frame):
            header = header or (b"" if sound else content[place : place + frame.size])
            continue
        if sound and frame.sound != sound[0][1].sound:
            raise DataError(
                f"{name} must have one sample rate and one number of channels, but goes from {_told(sound[0][1])} to {_told(frame)} after"
                f" {samples / sound[0][1].sound[0]:.2f} s, as if files were joined. Convert it: {remedy}"
            )
        sound.append((place, frame))
        samples += frame.samples
    if not sound:
        return None
    place, first = sound[0]
    count = _count(header)
    if (0 <= decoded - samples <= _ROUNDED * first.sound[0]) if count is None else count >= len(sound):
        return None
    header = _with_count(_new_header(content[place : place + 4]) if count is None else header, sound)
    return b"".join([header, *(content[place : place + frame.size] for place, frame in sound)])


def _frames(content: bytes | mmap) -> Iterator[tuple[int, _Frame]]:
    """(start, frame) of all complete frames; tags and other data between them are skipped."""
    place, sound = 0, None
    while 0 <= place <= len(content) - 4:
        frame = _parsed(content[place : place + 4])
        if frame is not None and (frame.sound == sound or _is_followed(content, place, frame)):
            if place + frame.size > len(content):
                return
            yield place, frame
            place, sound = place + frame.size, frame.sound
        else:
            tag = _tag_size(content[place : place + 16])
            place, sound = (place + tag if tag else content.find(b"\xff", place + 1)), None


@lru_cache(maxsize=1024)
def _parsed(head: bytes) -> _Frame | None:
    """The layer III frame that begins with these four bytes; None if they begin none."""
    if head[0] != 0xFF or head[1] & 0xE0 != 0xE0 or (head[1] >> 1) & 0b11 != _LAYER_3:
        return None
    version, bits, rate = (head[1] >> 3) & 0b11, head[2] >> 4, (head[2] >> 2) & 0b11
    if version not in _RATES or bits in (0, 15) or rate == 3:  # 0 is a rate of one's own, which does not say how long a frame is
        return None
    first, sample_rate, channels = version == _MPEG_1, _RATES[version][rate], 1 if head[3] >> 6 == 0b11 else 2
    samples = 1152 if first else 576
    size = samples // 8 * _KILOBITS[first][bits] * 1000 // sample_rate + ((head[2] >> 1) & 1)
    side = (17 if channels == 1 else 32) if first else (9 if channels == 1 else 17)
    return _Frame(size, samples, (sample_rate, channels), 4 + side + (0 if head[1] & _UNPROTECTED else 2))


def _is_followed(content: bytes | mmap, place: int, frame: _Frame) -> bool:
    """Whether another such frame, a tag or the end follows a frame: four bytes may look like one by chance."""
    behind = place + frame.size
    rest = content[behind : behind + 16]
    after = _parsed(rest[:4]) if len(rest) >= 4 else None
    return len(rest) < 4 or (after is not None and after.sound == frame.sound) or _tag_size(rest) > 0


def _tag_size(head: bytes) -> int:
    """The size in bytes of a tag with this beginning (ID3v2, ID3v1, APE); 0 if there is none."""
    if head[:3] == b"ID3" and len(head) >= 10:
        return 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    if head[:3] == b"TAG":
        return 128
    return 32 + int.from_bytes(head[12:16], "little") if head[:8] == b"APETAGEX" else 0


def _is_header(content: bytes | mmap, place: int, frame: _Frame) -> bool:
    """Whether a frame holds no audio but a length header, as encoders write it (`VBRI` is Fraunhofer's)."""
    inside = place + frame.inside
    if content[inside : inside + 4] in (b"Xing", b"Info"):
        return not any(content[inside - 8 : inside])  # of 9 bytes of side information at least
    return content[place + 36 : place + 40] == b"VBRI" and not any(content[place + 6 : place + 36])


def _count(header: bytes) -> int | None:
    """The number of frames in a length header; None without one."""
    frame = _parsed(header[:4]) if header else None
    if frame is None or header[frame.inside : frame.inside + 4] not in (b"Xing", b"Info"):
        return None
    fields = header[frame.inside + 4 : frame.inside + 12]
    return int.from_bytes(fields[4:], "big") if fields[3] & _COUNTED else None


def _new_header(head: bytes) -> bytes:
    """A frame with the given beginning and an empty length header."""
    made = bytes([head[0], head[1] | _UNPROTECTED, (head[2] & 0b1100) | _SPACIOUS, head[3]])
    frame = _parsed(made)
    assert frame is not None, "it differs from a frame in its bit rate and checksum"
    return (made + bytes(frame.inside - 4) + b"Xing" + bytes([0, 0, 0, _COUNTED])).ljust(frame.size, b"\0")


def _with_count(header: bytes, sound: list[tuple[int, _Frame]]) -> bytes:
    """The length header with the count of these frames, and without the end padding of the first of joined files."""
    frame, made = _parsed(header[:4]), bytearray(header)
    assert frame is not None, "it is a frame"
    fields = frame.inside + 4
    flags, fields = made[fields + 3], fields + 4
    made[fields : fields + 4] = len(sound).to_bytes(4, "big")
    fields += 4
    if flags & 0x2:
        made[fields : fields + 4] = (len(header) + sum(size for _, (size, *_) in sound)).to_bytes(4, "big")
    fields += sum(size for flag, size in _OPTIONAL if flags & flag) + _LAME_DELAY
    if len(made) > fields + 2:
        made[fields + 1] &= 0xF0
        made[fields + 2] = 0
    return bytes(made)


def _told(frame: _Frame) -> str:
    sample_rate, channels = frame.sound
    return f"{sample_rate:,} Hz and {channels} channel{'s' if channels > 1 else ''}"
