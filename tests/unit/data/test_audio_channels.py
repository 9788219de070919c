"""One channel or the mix is heard, and a mix that cancels what was said is named."""

import numpy as np
import pytest

from antiphon.data.audio import open_audio
from antiphon.data.audio_blocks import StreamResampler
from antiphon.data.audio_channels import channel_of
from antiphon.errors import DataError
from tests.unit.data.sounds import tone, write


def two(*channels):
    return np.stack(channels, axis=1)


def test_channels_in_opposite_phase_are_no_silence(tmp_path):
    for level in (-1.0, -0.9):  # microphones are never quite as loud as each other
        path = write(tmp_path / "call.wav", two(tone(2), level * tone(2)))
        for value, name in ((path, "call.wav"), (path.read_bytes(), "The audio")):
            for start, end in ((0.0, None), (0.5, 1.0)):
                with pytest.raises(DataError, match=rf"{name}.*opposite phase.*`task.channel: 1`, or 1 in the column"):
                    open_audio(value).read(16000, start, end)
        recording = open_audio(path)
        for channel, sign in ((1, 1.0), (2, level)):
            recording.hear(channel)
            np.testing.assert_allclose(recording.read(16000), sign * tone(2), atol=1e-4)


def test_other_mixes_are_heard():
    noise = np.random.default_rng(0).standard_normal((16000, 2)).astype(np.float32)
    quiet = 1e-4 * tone()
    alike = tone()
    alike[:4000] *= -1
    for samples in (
        two(tone(), tone()),
        two(tone(), 0 * tone()),
        noise,
        two(quiet, -quiet),
        two(tone(), alike),
        two(tone(0.05), -tone(0.05)),
    ):
        np.testing.assert_allclose(open_audio(samples, 16000).read(16000), samples.mean(axis=1), atol=1e-6)


def test_a_channel_that_is_not_there_is_named():
    recording = open_audio(two(tone(), tone()), 16000)
    with pytest.raises(DataError, match="must have the channel 3 that is asked for, but has 2 channels, counted from 1"):
        recording.hear(3)
    with pytest.raises(DataError, match="but has 1 channel, "):
        open_audio(tone(), 16000).hear(2)


def test_channels_as_tables_tell_them():
    assert [channel_of(value, "side") for value in (2, "2", " 2 ", 2.0, "mix", "", None)] == [2, 2, 2, 2, "mix", "mix", "mix"]
    for wrong in (0, "A", 1.5, -1, "0", True):
        with pytest.raises(DataError, match="`side` must be a channel, counted from 1, or `mix`"):
            channel_of(wrong, "side")


def test_a_stream_hears_a_channel_and_tells_of_a_mix_that_cancels():
    calls = two(tone(12), -tone(12))
    blocks = [calls[start : start + 3700] for start in range(0, len(calls), 3700)]
    np.testing.assert_allclose(np.concatenate(list(StreamResampler(16000, 16000, 2).of(blocks))), -tone(12), atol=1e-6)
    stream = StreamResampler(16000, 16000).of(blocks)
    assert sum(len(next(stream)) for _ in range(43)) == 43 * 3700
    with pytest.raises(DataError, match=r"The stream.*opposite phase"):  # after ten seconds
        next(stream)
    with pytest.raises(DataError, match=r"The stream.*opposite phase"):
        list(StreamResampler(16000, 16000).of(blocks[:10]))
    with pytest.raises(DataError, match="Block 1 of the stream: The audio must have the channel 3"):
        next(StreamResampler(16000, 16000, 3).of(blocks))
    for rest in ([two(tone(4), tone(4))], [two(tone(4), 0 * tone(4))]):  # a beginning that cancels is no stream that does
        assert sum(map(len, StreamResampler(16000, 16000).of([*blocks[:5], *rest]))) == 5 * 3700 + 64000
