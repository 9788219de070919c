"""Bounds of masks, and that everything is a function of the generator."""

import numpy as np
import pytest

from antiphon.features.augmentation import AugmentationConfig, NoiseConfig, add_noise, change_speed, spec_augment, vary_waveform


def frames(steps=200, channels=40, seed=1):
    return np.random.default_rng(seed).standard_normal((steps, channels)).astype(np.float32)


@pytest.mark.parametrize("seed", range(20))
def test_masks_are_no_wider_than_the_settings_allow(seed):
    settings = AugmentationConfig(frequency_masks=1, frequency_width=7, time_masks=1, time_width=30, time_share=0.1)
    source = frames()
    masked = spec_augment(source, settings, np.random.default_rng(seed))
    hidden = masked != source
    channels, steps = hidden.all(axis=0), hidden.all(axis=1)
    assert channels.sum() <= 7
    assert steps.sum() <= 20  # a tenth of 200, which is less than 30
    for flags in (channels, steps):
        assert np.abs(np.diff(flags.astype(int))).sum() <= 2, "a mask is one band"
    assert not hidden[~steps][:, ~channels].any()
    assert set(np.unique(masked[hidden])) <= {source.mean()}
    np.testing.assert_array_equal(source, frames())  # the original is left alone, as it may be a view of a file


def test_masks_are_drawn_over_their_whole_range():
    settings = AugmentationConfig(frequency_masks=1, frequency_width=3, time_masks=0)
    source = frames()
    widths, places = set(), set()
    for seed in range(300):
        hidden = (spec_augment(source, settings, np.random.default_rng(seed)) != source).all(axis=0)
        widths.add(int(hidden.sum()))
        places.update(np.flatnonzero(hidden).tolist())
    assert widths == {0, 1, 2, 3}
    assert places == set(range(40))


def test_a_short_utterance_keeps_something():
    settings = AugmentationConfig(frequency_masks=0, time_masks=2, time_width=100, time_share=0.2)
    for seed in range(50):
        masked = spec_augment(frames(10), settings, np.random.default_rng(seed))
        assert (masked == frames(10)).all(axis=1).sum() >= 6


def test_the_same_seed_varies_alike_and_another_differently():
    settings = AugmentationConfig(speeds=(0.9, 1.0, 1.1), volume=(-6, 6), noise=NoiseConfig(share=1.0))
    sound = frames(4000, 1)[:, 0]
    one, same, other = (vary_waveform(sound, 16000, settings, np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, same)
    assert one.shape != other.shape or not np.array_equal(one, other)
    assert one.dtype == np.float32
    masked, again = (spec_augment(frames(), AugmentationConfig(), np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(masked, again)


@pytest.mark.parametrize("speed", [0.9, 1.1])
def test_speed_changes_length_and_pitch(speed):
    sound = np.sin(2 * np.pi * 500 * np.arange(16000) / 16000).astype(np.float32)
    changed = change_speed(sound, 16000, speed)
    assert len(changed) == pytest.approx(16000 / speed, abs=2)
    loudest = np.argmax(np.abs(np.fft.rfft(changed))) * 16000 / len(changed)
    assert loudest == pytest.approx(500 * speed, abs=2)


@pytest.mark.parametrize("ratio", [0.0, 10.0])
def test_noise_has_the_ratio_asked_for(ratio):
    sound, noise = frames(20000, 1, 2)[:, 0], frames(20000, 1, 3)[:, 0] * 7
    added = add_noise(sound, noise, ratio) - sound
    assert 10 * np.log10(np.mean(sound**2) / np.mean(added**2)) == pytest.approx(ratio, abs=0.01)
    silence = np.zeros(100, dtype=np.float32)
    np.testing.assert_array_equal(add_noise(silence, noise[:100], ratio), silence)


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="lowest, highest"):
        AugmentationConfig(volume=(6, -6))
    with pytest.raises(ValueError, match="`folder` goes with"):
        NoiseConfig(kind="folder")
