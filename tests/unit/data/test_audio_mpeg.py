"""MP3 files are read as a whole, whatever their header says, or lacks."""

import io

import numpy as np
import pytest
import soundfile

from antiphon.data.audio import open_audio
from antiphon.data.audio_mpeg import completed
from antiphon.errors import DataError
from tests.unit.data.sounds import tone

TAG = b"ID3\x03\0\0\0\0\x02\x00" + b"\xff\xfb\x90\xc4" * 64  # a tag of 256 bytes that look like frames
OLD_TAG = b"TAG" + bytes(125)
APE_TAG = b"APETAGEX" + (2000).to_bytes(4, "little") + (5000).to_bytes(4, "little") + bytes(16) + b"\xff\xfb\x90\xc4" * 1250


def sound(seconds, rate=44100, channels=1):
    """Nearly silent, then loud, so that a variable bit rate varies."""
    samples = tone(seconds, 440, rate, 0.05)
    loud = samples[len(samples) // 3 :]
    loud += 0.2 * np.random.default_rng(0).standard_normal(len(loud)).astype(np.float32)
    return np.stack([samples] * channels, axis=1)


def mp3(seconds=6.0, rate=44100, channels=1, mode="VARIABLE"):
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate, channels, format="MP3", bitrate_mode=mode, compression_level=0.5) as opened:
        opened.write(sound(seconds, rate, channels))
    return file.getvalue()


def without_header(content):
    """What an encoder writes into a pipe: the same frames behind the one that holds the length."""
    kind = b"Xing" if b"Xing" in content[:60] else b"Info"
    assert kind in content[:60]
    return content[content.index(content[:2], 60) :]


@pytest.mark.parametrize(("rate", "channels"), [(44100, 1), (44100, 2), (16000, 1), (11025, 1), (8000, 2)])
def test_a_variable_rate_without_its_length_is_read_to_the_end(rate, channels):
    content = mp3(6, rate, channels)
    whole = open_audio(content).read(rate)
    assert len(whole) / rate == pytest.approx(6, abs=0.1)
    bare = open_audio(without_header(content))
    samples = bare.read(rate)
    assert len(samples) == bare.length
    assert bare.seconds == pytest.approx(6, abs=0.2)
    late = int(np.argmax(np.correlate(samples[rate * 3 : rate * 3 + 4000], whole[rate * 3 : rate * 3 + 2000], "valid")))
    assert late < 1500, "no more than the delay of encoder and decoder, which only the header tells"
    np.testing.assert_allclose(samples[rate + late : rate * 5 + late], whole[rate : rate * 5], atol=1e-4)
    np.testing.assert_allclose(bare.read(rate, 3.0, 4.0), samples[3 * rate : 4 * rate], atol=1e-6)


@pytest.mark.parametrize("mode", ["CONSTANT", "AVERAGE", "VARIABLE"])
def test_joined_files_are_read_to_the_end_of_the_last(tmp_path, mode):
    first, second = mp3(6, mode=mode), mp3(4, mode=mode)
    for content in (first + second, TAG + first + OLD_TAG + TAG + second + APE_TAG, without_header(first) + without_header(second)):
        (tmp_path / "joined.mp3").write_bytes(content)
        for value in (content, tmp_path / "joined.mp3"):
            recording = open_audio(value)
            assert recording.seconds == pytest.approx(10, abs=0.25)
            assert len(recording.read(44100)) == pytest.approx(recording.length, abs=4410)
    alone, joined = open_audio(first).read(44100), open_audio(first + second).read(44100)
    np.testing.assert_allclose(joined[: 5 * 44100], alone[: 5 * 44100], atol=1e-4)


def test_joined_files_of_other_rates_or_channels_are_refused_with_the_command_that_mends_them(tmp_path):
    others = {"rates": (mp3(2, 22050), "22,050 Hz and 1 channel"), "channels": (mp3(2, channels=2), "44,100 Hz and 2 channels")}
    for name, (second, said) in others.items():
        (tmp_path / f"{name}.mp3").write_bytes(mp3(3) + second)
        with pytest.raises(DataError, match=rf"goes from 44,100 Hz and 1 channel to {said} after 3\.0\d s.*ffmpeg -i \".*{name}.mp3\""):
            open_audio(tmp_path / f"{name}.mp3")


def test_a_file_that_its_header_tells_of_is_left_as_it_is():
    for mode in ("CONSTANT", "VARIABLE"):
        content = mp3(3, mode=mode)
        for same in (content, TAG + content + OLD_TAG, content + APE_TAG, content[: len(content) // 2]):
            assert completed(same, soundfile.SoundFile(io.BytesIO(same)).frames, "x", "") is None
    assert completed(b"", 0, "x", "") is None
    assert completed(b"\xff" * 1000, 0, "x", "") is None
    with pytest.raises(DataError, match="cut off"):
        open_audio(content[: len(content) // 2]).read(44100)


def test_a_length_by_fraunhofer_is_one():
    bare = without_header(mp3(6))
    header = bytearray(bare[:4] + bytes(32) + b"VBRI" + bytes(10) + (229).to_bytes(4, "big"))
    size = bare.index(bare[:2], 60)
    recording = open_audio(bytes(header).ljust(size, b"\0") + bare)
    assert recording.length == open_audio(bare).length
    np.testing.assert_allclose(recording.read(44100), open_audio(bare).read(44100), atol=1e-6)
