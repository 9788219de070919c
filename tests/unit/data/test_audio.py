"""Every format and container in, one channel at the wanted rate out; and what is wrong with a sound is said."""

import base64
import io
import tarfile
import zipfile

import numpy as np
import pytest

from antiphon.data.audio import open_audio
from antiphon.errors import DataError
from tests.unit.data.sounds import FORMATS, tone, write


def loudest(samples, rate=16000):
    return np.argmax(np.abs(np.fft.rfft(samples))) * rate / len(samples)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_same_tone(tmp_path, suffix):
    path = write(tmp_path / f"tone.{suffix}", tone(3, rate=48000), 48000, **FORMATS[suffix])
    for value in (path, str(path), path.read_bytes(), {"bytes": path.read_bytes(), "path": None}, {"path": str(path)}):
        samples = open_audio(value).read(16000)
        assert samples.dtype == np.float32
        assert len(samples) == pytest.approx(48000, abs=2)
        assert loudest(samples) == pytest.approx(440, abs=1)
        assert np.abs(samples[1000:-1000]).max() == pytest.approx(0.4, abs=0.03)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_part_is_what_the_whole_has_there(tmp_path, suffix):
    noise = 0.1 * np.random.default_rng(0).standard_normal(16000 * 25).astype(np.float32)  # longer than a block
    path = write(tmp_path / f"noise.{suffix}", noise, 16000, **FORMATS[suffix])
    whole = open_audio(path).read(16000)
    recording = open_audio(path)
    for start, end in ((12.0, 14.5), (3.25, 4.0), (20.0, 25.0)):  # forwards and backwards
        np.testing.assert_allclose(recording.read(16000, start, end), whole[round(start * 16000) : round(end * 16000)], atol=1e-6)


def test_channels_are_averaged_and_rates_converted(tmp_path):
    path = write(tmp_path / "eight.wav", np.stack([tone(1, rate=192000)] * 7 + [-tone(1, rate=192000)], axis=1), 192000)
    recording = open_audio(path)
    assert (recording.channels, recording.sample_rate, recording.seconds) == (8, 192000, 1.0)
    samples = recording.read(16000)
    assert len(samples) == 16000
    assert np.abs(samples[1000:-1000]).max() == pytest.approx(0.4 * 6 / 8, abs=0.01)


def test_blocks_are_the_whole_in_parts(tmp_path):
    path = write(tmp_path / "long.flac", tone(25, rate=22050), 22050)
    blocks = list(open_audio(path).blocks(16000))
    assert len(blocks) >= 3
    assert max(map(len, blocks)) < 16000 * 11
    np.testing.assert_array_equal(np.concatenate(blocks), open_audio(path).read(16000))
    assert sum(map(len, blocks)) == pytest.approx(25 * 16000, abs=2)


def test_members_of_archives(tmp_path):
    content = write(tmp_path / "a.mp3", tone()).read_bytes()
    with zipfile.ZipFile(tmp_path / "clips.zip", "w") as file:
        file.writestr("deep/a.mp3", content)
    with tarfile.open(tmp_path / "clips.tar", "w") as file:
        file.add(tmp_path / "a.mp3", "./deep/a.mp3")
    for archive in ("clips.zip", "clips.tar"):
        np.testing.assert_array_equal(open_audio(tmp_path / archive / "deep/a.mp3").read(16000), open_audio(content).read(16000))
        with pytest.raises(DataError, match=r"no file `deep/b.mp3`.*Did you mean `deep/a.mp3`"):
            open_audio(tmp_path / archive / "deep/b.mp3")
    (tmp_path / "broken.zip").write_bytes(b"PK nothing")
    with pytest.raises(DataError, match="cannot be read as an archive"):
        open_audio(tmp_path / "broken.zip/a.mp3")
    with pytest.raises(DataError, match="There is no file"):
        open_audio(tmp_path / "none.zip/a.mp3")


def test_samples_of_python():
    sound = tone()
    for value in (sound, sound.tolist(), sound[:, None], sound.astype(np.float64), np.round(sound * 32768).astype(np.int16)):
        np.testing.assert_allclose(open_audio(value, 16000).read(16000), sound, atol=1e-4)
    np.testing.assert_array_equal(open_audio({"array": sound, "sampling_rate": 16000}).read(16000), sound)
    stored = {"base64": base64.b64encode(sound.tobytes()).decode(), "dtype": "<f4", "shape": [16000]}
    np.testing.assert_array_equal(open_audio(stored, 16000).read(16000), sound)
    assert len(open_audio(sound, 8000).read(16000)) == pytest.approx(32000, abs=2)
    for wrong, rate, said in (
        (sound, None, "`sample_rate` must stand beside samples"),
        (sound, 0, "above 0"),
        (np.zeros((2, 4000)), 16000, r"of shape \(2, 4000\)"),
        (np.array(["a"]), 16000, "must be numbers"),
        (None, None, "but is missing"),
        (3, None, "but is of type int"),
        ({"sound": 1}, None, "but has: sound"),
    ):
        with pytest.raises(DataError, match=said):
            open_audio(wrong, rate)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "aiff"])  # the pages of OGG do not say how many there are
def test_a_file_that_is_cut_off_is_never_a_shorter_recording(tmp_path, suffix):
    path = write(tmp_path / f"whole.{suffix}", 0.1 * np.random.default_rng(0).standard_normal(48000).astype(np.float32))
    content = path.read_bytes()
    for share in (0.3, 0.5, 0.8):
        cut = tmp_path / f"cut.{suffix}"
        cut.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(DataError, match=r"cut off|damaged|no samples") as raised:
            open_audio(cut).read(16000)
        assert str(cut) in str(raised.value)


def test_a_header_that_a_pipe_left_unfinished_is_read(tmp_path):
    content = bytearray(write(tmp_path / "a.wav", tone()).read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = content[4:8] = b"\xff" * 4
    assert len(open_audio(bytes(content)).read(16000)) == 16000


def test_what_is_wrong_with_a_sound_is_said_with_its_name_and_a_remedy(tmp_path):
    good = write(tmp_path / "good.wav", tone()).read_bytes()
    holes = tone()
    holes[8000] = np.nan
    write(tmp_path / "nan.wav", holes, 16000, subtype="FLOAT")
    write(tmp_path / "none.wav", np.zeros(0))
    files = {
        "header.wav": (good[:30], "header is damaged or cut off"),
        "text.wav": (b"This is no sound at all. " * 9, "is no WAV, FLAC, OGG, MP3 or AIFF"),
        "empty.wav": (b"", "is empty"),
        "talk.m4a": (b"\0\0\0\x20ftypM4A " + bytes(50), r"M4A/AAC.*not supported.*ffmpeg -i \".*talk.m4a\" -ac 1 \"talk.flac\""),
        "talk.aac": (b"\xff\xf1\x50\x80" + bytes(50), "AAC.*ffmpeg"),
        "talk.webm": (b"\x1a\x45\xdf\xa3" + bytes(50), "WebM.*ffmpeg"),
    }
    for name, (content, said) in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=said):
            open_audio(tmp_path / name).read(16000)
    with pytest.raises(DataError, match=r"nan.wav` must hold numbers, but has NaN or infinity at 0.500 s"):
        open_audio(tmp_path / "nan.wav").read(16000)
    with pytest.raises(DataError, match="no samples"):
        open_audio(tmp_path / "none.wav").read(16000)
    with pytest.raises(DataError, match=r"Did you mean `good.wav`"):
        open_audio(tmp_path / "goood.wav")
    with pytest.raises(DataError, match="is a folder"):
        open_audio(tmp_path)
    with pytest.raises(DataError, match="no bytes"):
        open_audio(b"")
    for start, end in ((0.5, 0.5), (0.0, 1.2), (-1.0, 0.5), (2.0, None)):
        with pytest.raises(DataError, match="must lie within"):
            open_audio(tmp_path / "good.wav").read(16000, start, end)
    assert len(open_audio(io.BytesIO(good).getvalue()).read(16000, 0.5, 1.05)) == 8000  # rounded a little beyond the end
