"""Features equal those of the published extractors."""

import numpy as np
import pytest

from antiphon.features.filter_banks import kaldi_filter_banks, kaldi_framing, whisper_log_mel

transformers = pytest.importorskip("transformers")


def waveform(samples, seed=0):
    generator = np.random.default_rng(seed)
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(samples) / 16000)
    return (0.1 * generator.standard_normal(samples) + tone).astype(np.float32)


@pytest.mark.parametrize("samples", [401, 5000, 16000, 48077])
@pytest.mark.parametrize("bins", [80, 128])
def test_log_mel_is_that_of_whisper(samples, bins):
    sound = waveform(samples)
    extractor = transformers.WhisperFeatureExtractor(feature_size=bins)
    theirs = extractor(sound, sampling_rate=16000, padding="do_not_pad", return_tensors="np").input_features[0].T
    ours = whisper_log_mel(sound, bins)
    assert ours.dtype == np.float32
    assert ours.shape == theirs.shape == (samples // 160, bins)
    np.testing.assert_allclose(ours, theirs, atol=2e-7)


def test_log_mel_of_thirty_seconds_is_that_of_whisper():
    sound = waveform(20000)
    theirs = transformers.WhisperFeatureExtractor()(sound, sampling_rate=16000, return_tensors="np").input_features[0].T
    np.testing.assert_allclose(whisper_log_mel(np.pad(sound, (0, 480000 - 20000)), 80), theirs, atol=2e-7)


@pytest.mark.parametrize("samples", [400, 5000, 48077])
def test_filter_banks_are_those_of_kaldi(samples):
    # SpeechToText without torchaudio computes Kaldi's features in numpy, in double precision
    sound = waveform(samples)
    theirs = transformers.Speech2TextFeatureExtractor(num_mel_bins=80)._extract_fbank_features(sound)
    ours = kaldi_filter_banks(sound, 80, 16000)
    assert ours.dtype == np.float32
    assert ours.shape == (1 + (samples - 400) // 160, 80)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-4)


@pytest.mark.parametrize(
    ("rate", "frame", "shift"),
    [(8000, 200, 80), (8280, 206, 82), (11025, 275, 110), (16000, 400, 160), (22050, 551, 220), (44100, 1102, 441)],
)
def test_frames_are_cut_as_kaldi_cuts(rate, frame, shift):
    assert kaldi_framing(rate) == (frame, shift)
    for more, frames in ((0, 1), (shift - 1, 1), (shift, 2)):
        assert len(kaldi_filter_banks(waveform(frame + more), 23, rate)) == frames


def test_filter_banks_at_11025_hertz_are_those_of_kaldi():
    # kaldi-native-fbank 1.23.0 without dither: FbankOptions with samp_freq 11025 and 5 bins, samples at the scale of 16 bits
    theirs = [
        [24.8269, 23.8769, 9.2914, 25.7225, 25.952],
        [24.8269, 23.8769, 9.0581, 25.7225, 25.952],
        [24.8269, 23.8769, 8.9681, 25.7225, 25.952],
    ]
    time = np.arange(600) / 11025
    sound = (0.3 * np.sin(2 * np.pi * 440 * time) + 0.1 * np.sin(2 * np.pi * 3000 * time)).astype(np.float32)
    np.testing.assert_allclose(kaldi_filter_banks(sound, 5, 11025), theirs, atol=1e-3)


@pytest.mark.parametrize("rate", [8000, 11025, 44100])
def test_filter_banks_have_a_frame_every_ten_milliseconds_at_any_rate(rate):
    frames = kaldi_filter_banks(waveform(2 * rate), 23, rate)
    assert len(frames) == pytest.approx(198, abs=2)
    assert np.isfinite(frames).all()


def test_the_same_sound_gives_the_same_features_and_silence_finite_ones():
    sound = waveform(4000)
    np.testing.assert_array_equal(kaldi_filter_banks(sound, 40, 16000), kaldi_filter_banks(sound, 40, 16000))
    silence = np.zeros(4000, dtype=np.float32)
    assert np.isfinite(kaldi_filter_banks(silence, 40, 16000)).all()
    assert np.isfinite(whisper_log_mel(silence, 80)).all()
