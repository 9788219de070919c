"""Normalization of frames, padding, and what is saved of it."""

import json

import numpy as np
import pytest

from antiphon.errors import CheckpointError, DataError
from antiphon.features.audio import AudioFeature, AudioFeaturesConfig


def waveform(samples=8000, seed=0, level=0.1):
    return (level * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def test_an_utterance_has_mean_0_and_deviation_1_in_each_channel():
    frames = AudioFeature(AudioFeaturesConfig(bins=20), "utterance", 16000).encode(waveform())
    assert frames.dtype == np.float32
    np.testing.assert_allclose(frames.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(frames.std(axis=0), 1, atol=1e-3)


def test_normalizing_an_utterance_takes_off_its_level():
    feature = AudioFeature(AudioFeaturesConfig(bins=20), "utterance", 16000)
    np.testing.assert_allclose(feature.encode(waveform()), feature.encode(3 * waveform()), atol=2e-3)


def test_silence_stays_zero_instead_of_being_blown_up():
    assert np.abs(AudioFeature(AudioFeaturesConfig(bins=20), "utterance", 16000).encode(np.zeros(8000, dtype=np.float32))).max() < 1e-3


def test_global_normalization_is_that_of_all_frames_and_survives_saving(tmp_path):
    settings = AudioFeaturesConfig(bins=20)
    sounds = [waveform(seed=seed, level=0.1 * (seed + 1), samples=4000 + 1000 * seed) for seed in range(3)]
    feature = AudioFeature(settings, "global", 16000)
    feature.fit(sounds)
    together = np.concatenate([feature.encode(sound) for sound in sounds])
    np.testing.assert_allclose(together.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(together.std(axis=0), 1, atol=1e-3)
    feature.save(tmp_path)
    other = AudioFeature(settings, "global", 16000)
    other.load(tmp_path)
    np.testing.assert_array_equal(other.encode(sounds[0]), feature.encode(sounds[0]))
    assert other.fingerprint == feature.fingerprint
    with pytest.raises(CheckpointError, match="other settings"):
        AudioFeature(settings, "global", 8000).load(tmp_path)
    (tmp_path / "audio.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        other.load(tmp_path)


def test_padding_gives_every_recording_the_same_length():
    feature = AudioFeature(AudioFeaturesConfig(kind="whisper", padded_seconds=2), "none", 16000)
    assert feature.encode(waveform()).shape == (200, 80)
    assert feature.encode(waveform(40000)).shape == (250, 80), "what is longer stays so: limits say what becomes of it"
    assert feature.spec.length == 200


def test_too_short_for_a_frame_is_an_error_that_says_how_long_it_must_be():
    with pytest.raises(DataError, match=r"400 samples \(25 ms\), but has 399"):
        AudioFeature(AudioFeaturesConfig(), "none", 16000).encode(waveform(399))
    assert AudioFeature(AudioFeaturesConfig(), "none", 16000).encode(waveform(400)).shape == (1, 80)


def test_what_was_trained_with_rounded_frames_keeps_them(tmp_path):
    settings = AudioFeaturesConfig(bins=20)
    new = AudioFeature(settings, "none", 11025)
    assert (new.shortest, len(new.encode(waveform(275)))) == (275, 1)
    new.save(tmp_path / "new")
    # what was written for 11,025 Hz when frames had 276 samples
    fingerprint = "3ac4211c65240792ddc79a0fb07540f48045d90e8e9a1ed09b94d83870c7ebc0"
    content = {"fingerprint": fingerprint, "normalization": "none", "mean": None, "deviation": None}
    (tmp_path / "audio.json").write_text(json.dumps(content), encoding="utf-8")
    for folder, samples in ((tmp_path / "new", 275), (tmp_path, 276)):
        loaded = AudioFeature(settings, "none", 11025)
        loaded.load(folder)
        assert loaded.shortest == samples
        assert loaded.encode(waveform(samples)).shape == (1, 20)
    assert loaded.fingerprint == fingerprint != new.fingerprint
    assert AudioFeature(settings, "none", 16000).fingerprint == "4c18695286e9c1848f3e4db4d8d20999610eae0f87ab670cb587dea2a808c295", (
        "what is cached at usual rates stays so"
    )
