"""Speech while it is spoken: the same frames and the same text as of the whole recording, whatever the blocks."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from antiphon.errors import ConfigError, DataError
from antiphon.search.stream import Heard
from antiphon.tasks.speech_recognition.stream import StreamedFrames
from tests.tiny_listener import RATE, sound
from tests.tiny_listener import listener as predictor


@pytest.mark.parametrize("size", [37, 800, 100_000])
def test_frames_are_those_of_the_whole_recording(size):
    model = predictor()
    samples = sound()
    blocks = [samples[start : start + size] for start in range(0, len(samples), size)]
    frames = StreamedFrames(model.task.audio, RATE)
    found = np.concatenate([*map(frames.add, blocks), frames.end()])
    np.testing.assert_allclose(found, model.task.audio.encode(samples), atol=1e-5)


def test_the_last_text_is_that_of_the_whole_recording_and_nothing_is_taken_back():
    model = predictor()
    samples = sound()
    heard = list(model.stream([samples[start : start + 500] for start in range(0, len(samples), 500)], RATE))
    whole = model.predict({"audio": samples, "sample_rate": RATE})
    assert len(whole.text) > 3, "seed 3 gives a model that says something"
    assert heard[-1].text == whole.text
    assert heard[-1].details["final"]
    assert not any(one.details["final"] for one in heard[:-1])
    for one, two in pairwise(heard):
        assert two.hypothesis.elements[: len(one.hypothesis.elements)].tolist() == one.hypothesis.elements.tolist()
    assert any(one.text for one in heard[:-1])


def test_a_transducer_is_followed_like_any_other():
    model = predictor(name="transducer", predictor={"dim": 8}, joiner_dim=8)
    with torch.no_grad():
        model.model.joiner.bias[0] += 1.0  # or it would say all that it may at each state
    samples = sound()
    heard = list(model.stream([samples[start : start + 500] for start in range(0, len(samples), 500)], RATE))
    whole = model.with_search({"spans": True}).predict({"audio": samples, "sample_rate": RATE})
    assert len(whole.text) > 3, "seed 3 gives a model that says something"
    assert heard[-1].text == whole.text
    assert heard[-1].hypothesis.spans.tolist() == whole.hypothesis.spans.tolist()
    for one, two in pairwise(heard):
        assert two.hypothesis.elements[: len(one.hypothesis.elements)].tolist() == one.hypothesis.elements.tolist()


def test_words_are_told_once_and_their_times_stay(monkeypatch):
    model = predictor()
    elements = model.task.target_text.encode("abc cab " * 150)
    spans = np.stack([3 * np.arange(len(elements)), 3 * np.arange(len(elements)) + 1], axis=1)

    class HeardSoFar:
        def __init__(self, _):
            self.count = -1

        def hear(self, _):
            self.count += 1
            count = self.count
            return Heard(elements[:count], spans[:count], 6 * count, 6 * count + 20, count == len(elements))

        def end(self):
            return self.hear(None)

    decoded, decode = 0, model.task.target_text.decode

    def counted(symbols):
        nonlocal decoded
        decoded += len(symbols)
        return decode(symbols)

    monkeypatch.setattr("antiphon.tasks.speech_recognition.stream.StreamedSearch", HeardSoFar)
    model.task.target_text.decode = counted
    told = list(model.stream([np.zeros(200, dtype=np.float32)] * len(elements), RATE))
    assert told[-1].details["final"]
    assert told[-1].text == decode(elements)
    assert decoded < 80 * len(elements), "the whole is not decoded again for each block"
    for one, two in pairwise(told):
        assert one.text == decode(one.hypothesis.elements)
        assert one.details["words"][:-1] == two.details["words"][: max(0, len(one.details["words"]) - 1)]
    words = told[-1].details["words"]
    assert [word["word"] for word in words] == ["abc", "cab"] * 150
    assert [word["start"] for word in words] == pytest.approx([0.01 * 2 * 3 * 4 * place for place in range(300)])
    assert words[1]["end"] == pytest.approx(0.01 * 2 * (3 * 6 + 1))


def test_latency_is_kept():
    model = predictor()
    samples = sound()
    heard = list(model.stream([samples[start : start + 80] for start in range(0, len(samples), 80)], RATE))
    assert heard[0].details["latency"] == pytest.approx((8 * 2 - 1) * 0.01 + 0.025)
    assert max(one.details["received"] - one.details["decided"] for one in heard) <= heard[0].details["latency"]


def test_other_rates_and_channels_are_brought_to_the_model():
    model = predictor()
    samples = sound(rate=16000)
    stereo = np.stack([samples, samples], axis=1)
    last = list(model.stream([stereo[start : start + 999] for start in range(0, len(samples), 999)], 16000))[-1]
    assert last.text == model.predict({"audio": samples, "sample_rate": 16000}).text


def test_what_needs_the_whole_recording_is_refused():
    for wrong, what in (
        ({"normalization": "utterance"}, "normalization"),
        ({"kind": "whisper", "normalization": "none"}, "whisper"),
        ({"kind": "precomputed", "normalization": "none"}, "Antiphon does not compute such features from sound"),
    ):
        with pytest.raises(ConfigError, match=what):
            next(predictor(**wrong).stream([sound()], RATE))
    with pytest.raises(ConfigError, match=r"model\.chunk"):
        next(predictor(chunk=None).stream([sound()], RATE))


def test_blocks_that_are_no_sound_are_named():
    broken = np.array([0.0, np.nan] * 200, dtype=np.float32)
    with pytest.raises(DataError, match="Block 2 of the stream"):
        list(predictor().stream([sound(), broken], RATE))
    with pytest.raises(DataError, match="sample_rate"):
        next(predictor().stream([sound()], 0))


def test_silence_and_nothing_are_no_error():
    model = predictor()
    assert [one.details["final"] for one in model.stream([], RATE)] == [True]
    assert list(model.stream([np.zeros(100, dtype=np.float32)], RATE))[-1].text == ""


@pytest.mark.parametrize("seconds", [0.1, 3.0, 29.0, 40.0])
def test_near_silence_is_not_decoded_whatever_its_length(seconds):
    model = predictor()
    noise = np.random.default_rng(2).normal(0, 1e-4, int(seconds * RATE)).astype(np.float32)
    loud = {"audio": 1000 * noise[: 3 * RATE], "sample_rate": RATE}
    quiet = {"audio": noise, "sample_rate": RATE}
    whole, silent = model.predict([loud, quiet])
    assert silent.text == ""
    assert silent.details["segments"] == []
    assert silent.hypothesis.finish_reason == "end"
    assert len(whole.details["segments"]) == 1
