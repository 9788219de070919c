"""Audio from files, bytes, archives and arrays: one channel at the wanted sample rate, read block by block.

libsndfile (through soundfile) decodes WAV, FLAC, OGG with Vorbis or Opus, MP3 and AIFF; soxr resamples. Channels are averaged into one,
or one of them is heard.
A recording of hours is never decoded as a whole: `blocks` gives seconds at a time, `read` the part that is asked for.

Unusual here: what is wrong with a sound is found while it is read and said with its name: no samples, values that are no numbers, an end
that comes earlier than the header says.
"""

import base64
import io
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import suppress
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Float

from antiphon.data.audio_archives import in_archive, read_member
from antiphon.data.audio_channels import Channel, OneChannel
from antiphon.data.audio_mpeg import completed
from antiphon.data.audio_ogg import is_joined
from antiphon.data.byte_streams import check_file
from antiphon.data.kaldi_archives import in_ark, read_sound
from antiphon.errors import DataError, MissingPackageError

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".w64", ".au", ".caf", ".sph")
UNREADABLE_SUFFIXES = (".m4a", ".mp4", ".aac", ".wma", ".webm", ".mkv", ".mka", ".amr", ".3gp", ".mov")

_BLOCK_SECONDS = 10
_TOLERANCE = 0.1  # seconds by which a manifest's `end`, or a lossy format's header, may exceed what is there
_UNKNOWN_LENGTH = 1 << 62  # what libsndfile says when it does not know, is above
_VORBIS_PAGE = 255 * 4096  # samples at most: a page has up to 255 packets, a packet of Vorbis up to 4,096 samples
_STREAMED = 0x7FFFF000  # a program that writes to a pipe cannot know the size, and claims about the largest one
_CLAIM = re.compile(r"^\s*(?:data|SSND)\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE)


class Recording(ABC):
    """An open recording: `name` for messages, its own `sample_rate`, `channels`, and its length in samples; `channel` is the one that is
    read."""

    name: str
    sample_rate: int
    channels: int
    length: int
    channel: Channel = "mix"

    @property
    def seconds(self) -> float:
        """The length in seconds."""
        return self.length / self.sample_rate

    @abstractmethod
    def _samples(self, start: int, stop: int) -> Iterator[Float[np.ndarray, "N C"]]:
        """Samples of all channels between two positions, block by block."""

    def blocks(
        self, sample_rate: int, start: float = 0.0, end: float | None = None, heard: OneChannel | None = None
    ) -> Iterator[Float[np.ndarray, " N"]]:
        """One channel at `sample_rate`, float32, from `start` to `end` seconds, block by block.

        heard   makes one channel of all of them, for a caller that reads a sound in several parts and checks their mix as a whole

        Raises DataError when the bounds lie outside, a value is no number, the sound ends early, or the mix cancels the channels.
        """
        first, last = self.bounds(start, end)
        one = OneChannel(self.channel) if heard is None else heard
        resampler = None if sample_rate == self.sample_rate else resampler_between(self.sample_rate, sample_rate)
        done = 0
        for samples in self._samples(first, last):
            mono = one.of(samples)
            if not np.isfinite(mono).all():
                place = (first + done + int(np.argmin(np.isfinite(mono)))) / self.sample_rate
                raise DataError(f"{self.name} must hold numbers, but has NaN or infinity at {place:.3f} s. Repair it or leave it out.")
            done += len(mono)
            if resampler is not None:
                mono = resampler.resample_chunk(mono, last=done >= last - first)
            if len(mono):
                yield mono
        self._check_whole(done, last - first)
        if heard is None:
            one.check(self.name, self.sample_rate)
        if resampler is not None and done < last - first:  # within the tolerance: what the resampler still holds
            yield resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)

    def read(
        self, sample_rate: int, start: float = 0.0, end: float | None = None, heard: OneChannel | None = None
    ) -> Float[np.ndarray, " N"]:
        """One channel at `sample_rate`, float32, from `start` to `end` seconds. Raises DataError like `blocks`."""
        parts = list(self.blocks(sample_rate, start, end, heard))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def close(self) -> None:  # noqa: B027  an array needs no closing
        """Close the file."""

    def hear(self, channel: Channel) -> None:
        """Select a channel, or the mix. Raises DataError if the recording has fewer channels."""
        if channel != "mix" and channel > self.channels:
            least = f"{self.channels} channel{'s' if self.channels > 1 else ''}"
            raise DataError(f"{self.name} must have the channel {channel} that is asked for, but has {least}, counted from 1.")
        self.channel = channel

    def bounds(self, start: float, end: float | None) -> tuple[int, int]:
        """The first sample and the one after the last, at its own sample rate. Raises DataError when they lie outside."""
        if self.length == 0:
            raise DataError(f"{self.name} must hold sound, but has no samples. Leave it out.")
        stop = self.seconds if end is None else end
        if not 0 <= start < stop or stop > self.seconds + _TOLERANCE:
            raise DataError(
                f"`start` and `end` must lie within {self.name}, from 0 to {self.seconds:.2f} seconds, one before the other, but are"
                f" {start:g} and {stop:g}."
            )
        first, last = round(start * self.sample_rate), min(self.length, round(stop * self.sample_rate))
        if last <= first:
            raise DataError(f"The part of {self.name} from {start:g} to {stop:g} seconds has no samples. Leave it out.")
        return first, last

    def _check_whole(self, found: int, wanted: int) -> None:
        if (wanted - found) / self.sample_rate > _TOLERANCE or found == 0:
            raise DataError(
                f"{self.name} is cut off: {found / self.sample_rate:.2f} of {wanted / self.sample_rate:.2f} seconds could be read."
                " Copy or download it again."
            )


@final
class _DecodedFile(Recording):
    """A file, or the bytes of one, decoded by libsndfile."""

    def __init__(self, file: Any, name: str):
        self.name, self._file, self._position = name, file, 0
        self.sample_rate, self.channels = int(file.samplerate), int(file.channels)
        self.length = int(file.frames)
        if self.length >= _UNKNOWN_LENGTH:
            raise DataError(f"{name} must say how long it is, but does not: it was not finished. Convert it: {_ffmpeg(name)}")
        if file.format in ("MP3", "OGG"):  # soundfile seeks after every read, which finds another place here (see `_found`)
            file.seekable = lambda: False
        claim = _CLAIM.search(file.extra_info)  # what libsndfile noted and went on without
        if claim is not None and int(claim[2]) < int(claim[1]) < _STREAMED:
            raise DataError(
                f"{name} is cut off: {int(claim[2]):,} of {int(claim[1]):,} bytes of sound are there. Copy or download it again."
            )

    def _samples(self, start: int, stop: int) -> Iterator[Float[np.ndarray, "N C"]]:
        import soundfile

        try:
            self._go_to(start)
            while start < stop:
                samples = self._next(stop - start)
                if len(samples) == 0:
                    return
                start += len(samples)
                yield samples
        except soundfile.SoundFileError as error:
            raise DataError(f"{self.name} is damaged at about {start / self.sample_rate:.2f} s: {_said(error)}. Copy it again.") from error

    def _next(self, most: int) -> Float[np.ndarray, "N C"]:
        samples = self._file.read(min(_BLOCK_SECONDS * self.sample_rate, most), dtype="float32", always_2d=True)
        self._position += len(samples)
        return np.asarray(samples)

    def _go_to(self, start: int) -> None:
        """Seek to a sample, by decoding from an earlier one that libsndfile can find."""
        found = self._found(start)
        if not found <= self._position <= start:
            self._position = found
            self._file.seek(found)
        while self._position < start and len(self._next(start - self._position)):
            pass

    def _found(self, start: int) -> int:
        """The sample nearest before `start` that a seek finds: libsndfile estimates positions in MP3 of variable bit rate, and in the last
        page of Vorbis is late by the encoder's padding."""
        if self._file.format == "MP3":
            return 0
        return min(start, max(0, self.length - _VORBIS_PAGE)) if self._file.subtype == "VORBIS" else start

    def close(self) -> None:
        """Close the file."""
        with suppress(Exception):
            self._file.close()


@final
class _Array(Recording):
    """Samples (N,) or (N, channels) in memory; integers are scaled by the range of their type."""

    def __init__(self, samples: Any, sample_rate: Any, name: str):
        values = np.asarray(samples)
        if isinstance(sample_rate, bool) or not isinstance(sample_rate, int | np.integer) or sample_rate < 1:
            raise DataError(f"`sample_rate` must stand beside samples, as a whole number above 0, but is {sample_rate!r}.")
        if values.ndim == 1:
            values = values[:, None]
        if values.ndim != 2 or values.dtype.kind not in "iuf" or values.shape[1] > 256:
            raise DataError(
                f"Samples must be numbers of shape (samples,) or (samples, channels), but are {values.dtype} of shape {np.shape(samples)}."
            )
        if values.dtype.kind in "iu" and values.dtype.itemsize < 8:  # a list of whole numbers, of 8 bytes, has no scale
            half = 2.0 ** (8 * values.dtype.itemsize - 1)
            values = (values.astype(np.float64) - (half if values.dtype.kind == "u" else 0.0)) / half
        self.name, self.sample_rate, self.channels, self.length = name, int(sample_rate), values.shape[1], len(values)
        self._values = values

    def _samples(self, start: int, stop: int) -> Iterator[Float[np.ndarray, "N C"]]:
        size = _BLOCK_SECONDS * self.sample_rate
        for begin in range(start, stop, size):
            yield self._values[begin : min(stop, begin + size)].astype(np.float32)


def open_audio(value: Any, sample_rate: Any = None) -> Recording:
    """Open audio in any supported form.

    value   a path, also of a member of an archive (`clips.zip/one.mp3`) or a place in one (`wav.ark:1234`); the bytes of a file; samples
            (N,) or (N, channels), with `sample_rate`; a mapping with `array` and `sampling_rate`, or `bytes`, or `path`, as data sets of
            Hugging Face have it; or one with `base64`, as corpora store bytes and arrays

    Raises DataError that names the sound and says what to do.
    """
    if isinstance(value, Recording):
        return value
    if isinstance(value, str | Path):
        return _open_path(Path(value).expanduser())
    if isinstance(value, bytes | bytearray | memoryview):
        return _decoded(io.BytesIO(value), bytes(value[:64]), "The audio", "")
    if isinstance(value, Mapping):
        return _open_mapping(value, sample_rate)
    if isinstance(value, list | tuple | np.ndarray) or hasattr(value, "__array__"):
        return _Array(value, sample_rate, "The audio")
    raise DataError(f"The audio must be a path, the bytes of a file, or samples with `sample_rate`, but is {_kind(value)}.")


def _open_mapping(value: Mapping[str, Any], sample_rate: Any) -> Recording:
    for key in ("array", "bytes"):  # as corpora store what is within a mapping
        if isinstance(value.get(key), Mapping):
            return open_audio(value[key], value.get("sampling_rate", value.get("sample_rate", sample_rate)))
    if value.get("array") is not None:
        return _Array(
            value["array"], value.get("sampling_rate", value.get("sample_rate", sample_rate)), str(value.get("path") or "The audio")
        )
    if value.get("bytes") is not None:
        return _decoded(io.BytesIO(value["bytes"]), bytes(value["bytes"][:64]), str(value.get("path") or "The audio"), "")
    if value.get("base64") is not None:
        content = base64.b64decode(value["base64"])
        if value.get("dtype") is None:
            return open_audio(content)
        return _Array(np.frombuffer(content, dtype=value["dtype"]).reshape(value["shape"]), sample_rate, "The audio")
    if value.get("path") is not None:
        return open_audio(str(value["path"]))
    raise DataError(
        f"The audio must have `array` with `sampling_rate`, or `bytes`, or `path`, but has: {', '.join(map(str, value)) or 'nothing'}."
    )


def _open_path(path: Path) -> Recording:
    inside = in_archive(path)
    if inside is not None:
        content = read_member(*inside)
        return _decoded(io.BytesIO(content), content[:64], f"`{path}`", path.suffix.lower())
    if (at := in_ark(path)) is not None:
        content = read_sound(*at)
        return _decoded(io.BytesIO(content), content[:64], f"`{path}`", "")
    check_file(path)
    with open(path, "rb") as file:
        head = file.read(64)
    return _decoded(str(path), head, f"`{path}`", path.suffix.lower())


def _decoded(file: Any, head: bytes, name: str, suffix: str) -> Recording:
    """A file opened by libsndfile. Raises DataError with the reason if that fails."""
    if isinstance(file, io.BytesIO) and not head:
        raise DataError(f"{name} is empty: it has no bytes.")
    _refuse_foreign(head, name, suffix)
    try:
        import soundfile
    except ImportError as error:
        raise MissingPackageError("Reading audio", "soundfile", "audio") from error
    try:
        opened = soundfile.SoundFile(file)
        whole = _completed(file, opened, name) if opened.format in ("MP3", "OGG") else None
        return _DecodedFile(opened if whole is None else soundfile.SoundFile(io.BytesIO(whole)), name)
    except soundfile.SoundFileError as error:
        known = head[:4] in (b"RIFF", b"RIFX", b"RF64", b"FORM", b"fLaC", b"OggS", b"riff", b".snd", b"caff", b"NIST") or head[:3] == b"ID3"
        what = "its header is damaged or cut off" if known else "it is no WAV, FLAC, OGG, MP3 or AIFF"
        raise DataError(
            f"{name} cannot be read as audio, since {what} ({_said(error)}). Copy it again, or convert it: {_ffmpeg(name)}"
        ) from error


def _completed(file: str | io.BytesIO, opened: Any, name: str) -> bytes | None:
    """The complete bytes of an MP3 file that libsndfile would only read in part; None if it reads all. Raises DataError if that cannot be
    repaired."""
    if isinstance(file, str):
        with open(file, "rb") as source, mmap(source.fileno(), 0, access=ACCESS_READ) as content:
            return _whole(content, opened, name)
    return _whole(file.getvalue(), opened, name)


def _whole(content: bytes | mmap, opened: Any, name: str) -> bytes | None:
    if opened.format == "MP3":
        return completed(content, opened.frames, name, _ffmpeg(name))
    if is_joined(content):
        raise DataError(f"{name} must hold one recording, but holds several, as if files were joined. Convert it: {_ffmpeg(name)}")
    return None


def _refuse_foreign(head: bytes, name: str, suffix: str) -> None:
    """Refuse formats that libsndfile does not support, recognized by their first bytes, or else by their suffix."""
    kind = ""
    if head[4:8] == b"ftyp":
        kind = "M4A/AAC (or another MP4)"
    elif len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        kind = "AAC"
    elif head[:4] == b"\x1a\x45\xdf\xa3":
        kind = "WebM or Matroska"
    elif head[:4] == b"\x30\x26\xb2\x75":
        kind = "WMA"
    elif head[:5] == b"#!AMR":
        kind = "AMR"
    elif suffix in UNREADABLE_SUFFIXES:
        kind = suffix.removeprefix(".").upper()
    if kind:
        raise DataError(f"{name} must be WAV, FLAC, OGG, MP3 or AIFF, but is {kind}, which is not supported. Convert it: {_ffmpeg(name)}")


def _ffmpeg(name: str) -> str:
    path = name.strip("`") if name.startswith("`") else "IN"
    return f'ffmpeg -i "{path}" -ac 1 "{Path(path).stem}.flac"'


def _said(error: Exception) -> str:
    """libsndfile's message, without the name of the file, which we add ourselves."""
    return str(getattr(error, "error_string", "") or error).rstrip(".")


def resampler_between(have: int, wanted: int) -> Any:
    """A soxr.ResampleStream of one channel. Raises MissingPackageError without soxr."""
    try:
        import soxr
    except ImportError as error:
        raise MissingPackageError(f"Resampling audio from {have} to {wanted} Hz", "soxr", "audio") from error
    return soxr.ResampleStream(have, wanted, 1, dtype="float32")


def _kind(value: Any) -> str:
    return "missing" if value is None else f"of type {type(value).__name__}"
