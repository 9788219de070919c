"""Audio in Kaldi's archives, by a path that ends in the byte offset of a recording: `wav.ark:1234`, as in .scp files.

Two ways to store a sound are known: that of Kaldi's `wav-copy`, a WAV file as it is, and that of `kaldiio` and ESPnet, AUDIO with the
length of a file of any format. Numbers, such as features, begin otherwise and are refused.
"""

from pathlib import Path

from antiphon.data.byte_streams import check_file
from antiphon.errors import DataError

_STREAMED = 0x7FFFF000  # a WAV file that went through a pipe claims about the largest size instead of its own


def in_ark(path: Path) -> tuple[Path, int] | None:
    """(archive, byte) of a path such as `wav.ark:1234`; None for others, and if a file has this name."""
    name, colon, place = path.name.rpartition(":")
    if not (colon and name and place.isascii() and place.isdecimal()) or path.exists():
        return None
    return path.with_name(name), int(place)


def read_sound(archive: Path, place: int) -> bytes:
    """The audio file at a byte offset of an archive. Raises DataError when there is none, or it is cut off."""
    check_file(archive)
    with open(archive, "rb") as file:
        file.seek(place)
        head = file.read(8)
        if head[:4] == b"RIFF":
            size = int.from_bytes(head[4:8], "little")
            if not 0 < size < _STREAMED:
                raise DataError(
                    f"The sound in `{archive}` at byte {place:,} does not say how long it is, because it was written"
                    " through a pipe. Write the archive"
                    " again from files."
                )
            start, wanted = place, size + 8
        elif head[:5] == b"AUDIO":
            file.seek(place + 5)
            digits = int.from_bytes(file.read(1), "little")
            start, wanted = place + 6 + digits, int.from_bytes(file.read(digits), "little")
        else:
            what = "numbers, such as features," if head[:2] == b"\0B" else "something else"
            raise DataError(
                f"`{archive}` must have a sound at byte {place:,} (a WAV file, or AUDIO as kaldiio writes it), but has {what} there. Write"
                " the .scp file again together with the archive."
            )
        file.seek(start)
        content = file.read(wanted)
    if len(content) < wanted:
        raise DataError(
            f"`{archive}` is cut off: {len(content):,} of {wanted:,} bytes are there of the sound at byte {place:,}. Copy it again."
        )
    return content
