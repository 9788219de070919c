"""What tells encodings apart: a setting that changes what is encoded changes the fingerprint, whatever the feature or the task.

Encoded data is stored, and shared between runs; a fingerprint that misses a setting would serve them what was encoded under another.
"""

import json
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from antiphon.contracts import registry
from antiphon.contracts.asking import items_of
from antiphon.contracts.configuration import setting_fields, validate
from antiphon.contracts.limits import Limits
from antiphon.data.identity import contents_of
from antiphon.data.records import MemoryRecords
from antiphon.features.audio import AudioFeature, AudioFeaturesConfig
from antiphon.features.text import _LEARNING, TextFeature
from antiphon.features.text_config import TextConfig
from tests.unit.data.sounds import tone
from tests.unit.importers.foreign_models import whisper_tokenizer

TEXTS = ("Ein großer Hund, der bellt.", "Ｅin ﬁnes  Haus!", "Der Ha\u0308se läuft. Ein Hund", "x|y  z|é", "Der Hund <2de> im Haus")

# --------------------------------------------------------------------------------------------------------------- features

# Settings of texts: those that both have, those of the one, and those of the other. What is only for learning keeps the fingerprint where
# the same vocabulary comes of it.
TEXT_SETTINGS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "kind": ({}, {"kind": "word"}, {"kind": "character"}),
    "size": ({"kind": "word"}, {"size": 400}, {"size": 500}),
    "model": ({"kind": "byte_bpe"}, {"model": "one"}, {"model": "other"}),
    "run": ({}, {"run": "one"}, {"run": "other"}),
    "lossless": ({"kind": "character"}, {}, {"lossless": True}),
    "byte_fallback": ({"kind": "character"}, {}, {"byte_fallback": True}),
    "normalization": ({"kind": "character"}, {}, {"normalization": "nfkc"}),
    "lowercase": ({"kind": "word"}, {}, {"lowercase": True}),
    "min_frequency": ({"kind": "word"}, {}, {"min_frequency": 2}),
    "separator": ({"kind": "word"}, {}, {"separator": "|"}),
    "punctuation": ({"kind": "word"}, {}, {"punctuation": "split"}),
    "character_coverage": ({"kind": "bpe", "size": 320}, {}, {"character_coverage": 0.98}),
    "training_lines": ({"kind": "bpe", "size": 320}, {"training_lines": 10}, {"training_lines": 20}),
    "sampling": ({"kind": "bpe", "size": 320}, {}, {"sampling": 0.1}),
    "opening": ({"kind": "byte_bpe", "model": "one"}, {}, {"opening": ["<|en|>"]}),
    "prefix": ({"kind": "word"}, {}, {"prefix": "Hund "}),
    "tags": ({"kind": "word"}, {}, {"tags": ["<2de>"]}),
}
LANGUAGES = {"languages"}  # of a published tokenizer: tests/unit/features/test_pretrained_text.py


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """What the names of files in the settings above stand for: equal tokenizers, and equal vocabularies of runs, in two places."""
    found = {}
    for name in ("one", "other"):
        folder = tmp_path_factory.mktemp(name)
        learned = TextFeature(TextConfig(kind="word"))
        learned.fit(TEXTS)
        learned.save(folder / "features" / "source")
        tokenizer = folder / "tokenizer.json"
        tokenizer.write_text(json.dumps(whisper_tokenizer()), encoding="utf-8")
        found[name] = {"model": str(tokenizer), "run": str(folder)}
    return found


def text_feature(settings, named):
    placed = {key: named[value][key] if key in ("model", "run") else value for key, value in settings.items()}
    feature = TextFeature(validate(TextConfig, placed))
    feature.fit(TEXTS)
    return feature


@pytest.mark.parametrize("setting", TEXT_SETTINGS)
def test_a_setting_of_texts_changes_the_fingerprint_or_no_encoding(setting, named, tmp_path):
    both, *sides = TEXT_SETTINGS[setting]
    one, other = (text_feature(both | side, named) for side in sides)
    encodings = [[feature.encode(text).tolist() for text in TEXTS] for feature in (one, other)]
    if encodings[0] != encodings[1]:
        assert one.fingerprint != other.fingerprint
    else:
        assert one.fingerprint == other.fingerprint
        assert setting in _LEARNING, f"`{setting}` should be tried with a value that changes something"
    other.save(tmp_path)
    again = TextFeature(other.config)
    again.load(tmp_path)
    assert again.fingerprint == other.fingerprint


def test_every_setting_of_texts_is_tried():
    assert TEXT_SETTINGS.keys() | LANGUAGES == setting_fields(TextConfig).keys()


def test_every_setting_of_sounds_changes_the_fingerprint():
    settings = AudioFeaturesConfig()
    changes: dict[str, Any] = {"kind": "whisper", "bins": 40, "padded_seconds": 2.0}
    assert changes.keys() | {"frame_shift"} == {field.name for field in fields(settings)}
    made = [AudioFeature(replace(settings, **{name: value}), "none", 16000) for name, value in changes.items()]
    made += [AudioFeature(settings, "none", 16000), AudioFeature(settings, "utterance", 16000), AudioFeature(settings, "none", 8000)]
    for frequencies in ((200, 300), (400, 500)):
        made.append(AudioFeature(settings, "global", 16000))
        made[-1].fit([tone(0.5, frequency) for frequency in frequencies])
    encodings = {feature.encode(tone(0.5, 200)).tobytes() for feature in made}
    assert len(encodings) == len({feature.fingerprint for feature in made}) == len(made)
    given = [AudioFeature(AudioFeaturesConfig(kind="precomputed", frame_shift=shift), "none", 16000) for shift in (0.01, 0.02)]
    assert len({feature.fingerprint for feature in (*made, *given)}) == len(made) + 2, "parts in seconds are other frames"


# ------------------------------------------------------------------------------------------------------------------ tasks

WORDS = {"kind": "word"}
PAIRS = [
    {
        "source": text,
        "target": text[::-1],
        "other_source": text.upper(),
        "other_target": text[:5],
        "kind": f"k{number % 2}",
        "quality": 0.5 + number,
        "links": "0-0",
        "pos": " ".join("NV"[len(word) % 2] for word in text.split()),
    }
    for number, text in enumerate(TEXTS)
]
SERIES = [
    {
        "unique_id": name,
        "other_id": f"{name}{day // 7}",
        "ds": f"2024-01-{day + 1:02}",
        "other_ds": f"2024-02-{day + 1:02}",
        "y": None if day == 9 else (day * 7 + ord(name)) % 10 + 1,
        "y2": day + 1,
        "p": day % 3,
        "k": day % 4,
        "s": name,
        "n": ord(name),
    }
    for name in "abc"
    for day in range(14)
]
SERIES.append({**SERIES[0], "y": 50})
HOURLY = [{"ds": f"2024-01-01T{hour:02}:00+00:00", "y": row["y2"]} for hour, row in enumerate(SERIES[:14])]
ONE_SERIES = [{"ds": row["ds"], "y": row["y2"]} for row in SERIES[:14]]

TEXT_PAIRS: dict[str, dict[str, Any]] = {
    "source": {"source": "other_source"},
    "target": {"target": "other_target"},
    "vocabulary": {"vocabulary": {"kind": "character"}},
    "source_vocabulary": {"vocabulary": None, "source_vocabulary": {"kind": "character"}, "target_vocabulary": WORDS},
    "target_vocabulary": {"vocabulary": None, "source_vocabulary": WORDS, "target_vocabulary": {"kind": "character"}},
    "source_prefix": {"source_prefix": "Hund "},
    "target_prefix": {"target_prefix": "Hund "},
    "tags": {"tags": ["kind"]},
    "open_words": {"open_words": 3},
    "weight": {"weight": "quality"},
    "alignment": {"alignment": "links"},
    "source_factors": {"source_factors": {"pos": {}}},
}
# What each task is tried with: records, settings that all trials share, and for each setting another value, with what that asks for.
TASKS: dict[str, tuple[list[dict[str, Any]], dict[str, Any], dict[str, dict[str, Any]]]] = {
    "translation": (
        PAIRS,
        {"vocabulary": {"kind": "word", "size": 12}},
        {**TEXT_PAIRS, "lines": {"lines": "together"}, "context": {"context": {}}, "matches": {"matches": {}}},
    ),
    "summarization": (
        [{**record, "document": record["source"], "summary": record["target"]} for record in PAIRS],
        {"source": "source", "target": "target", "vocabulary": {"kind": "word", "size": 12}, "open_words": 0},
        {
            **TEXT_PAIRS,
            "length_classes": {"length_classes": 2},
            "length": {"length_classes": 2, "length": 3},
            "baselines": {"baselines": []},
        },
    ),
    "language_modeling": (
        PAIRS,
        {"text": "source", "vocabulary": WORDS},
        {"text": {"text": "target"}, "vocabulary": {"vocabulary": {"kind": "character"}}, "weight": {"weight": "quality"}},
    ),
    "denoising": (
        PAIRS,
        {"text": "source", "vocabulary": {"kind": "character"}, "density": 0.3},
        {
            "text": {"text": ["source", "target"]},
            "scheme": {"scheme": "infilling"},
            "density": {"density": 0.6},
            "mean_span_length": {"mean_span_length": 1.0},
            "whole_words": {"whole_words": True},
            "permute_sentences": {"scheme": "infilling", "permute_sentences": True},
            "masks": {"masks": 2},
            "mask_name": {"mask_name": "hidden"},
            "vocabulary": {"vocabulary": WORDS},
            "weight": {"weight": "quality"},
        },
    ),
    "speech_recognition": (
        [
            {
                "audio": np.stack([tone(0.4, 200 + 50 * number), tone(0.4, 900)], axis=1),
                "other_audio": tone(0.4, 700),
                "sample_rate": 16000,
                "text": text,
                "other_text": text[:4],
                "who": f"w{number}",
                "quality": number,
                "from": 0.1,
                "to": 0.3,
            }
            for number, text in enumerate(TEXTS)
        ],
        {"features": {"bins": 20}, "normalization": "none"},
        {
            "audio": {"audio": "other_audio"},
            "text": {"text": "other_text"},
            "weight": {"weight": "quality"},
            "speaker": {"speaker": "who"},
            "start": {"start": "from", "end": "to"},
            "end": {"start": "from", "end": "to"},
            "channel": {"channel": 2},
            "archive": {"archive": "clips.zip"},
            "sample_rate": {"sample_rate": 8000},
            "features": {"features": {"bins": 30}},
            "normalization": {"normalization": "utterance"},
            "augmentation": {"augmentation": {}},
            "vocabulary": {"vocabulary": {"kind": "character", "lowercase": True}},
            "storage": {"storage": "float16"},
            "segments": {"segments": {"longest": 5}},
            "subtitles": {"subtitles": "srt"},
        },
    ),
    "forecasting": (
        SERIES,
        {"horizon": 2, "context_length": 4, "missing": "previous", "duplicates": "mean", "frequency": "1d"},
        {
            "horizon": {"horizon": 3},
            "context_length": {"context_length": 5},
            "shortest_context": {"shortest_context": 2},
            "id": {"id": "other_id"},
            "time": {"time": "other_ds", "calendar": ["yearday"]},
            "target": {"target": "y2"},
            "format": {"format": "wide"},
            "frequency": {"frequency": "12h"},
            "season": {"season": 3},
            "past": {"past": ["p"]},
            "known": {"known": ["k"]},
            "static": {"static": ["s"]},
            "categorical": {"static": ["n"], "categorical": ["n"]},
            "calendar": {"calendar": ["weekday"]},
            "time_zone": {"time_zone": "Asia/Tokyo"},
            "scaling": {"scaling": {"name": "mean", "over": "series"}},
            "transform": {"transform": "log"},
            "counts": {"counts": True},
            "missing": {"missing": "linear"},
            "observed_mask": {"observed_mask": True},
            "duplicates": {"duplicates": "last"},
            "decoding": {"decoding": "direct"},
            "stride": {"stride": 2},
            "weighting": {"weighting": "series"},
            "backtest": {"backtest": {"windows": 2}},
            "intervals": {"intervals": [80]},
            "baselines": {"baselines": ["naive"]},
            "combine": {"combine": ["naive"]},
        },
    ),
}
# Settings that need another beside them, which both sides of the comparison then have; and records of their own.
ASKS_FOR: dict[tuple[str, str], dict[str, Any]] = {
    ("summarization", "length"): {"length_classes": 2},
    ("denoising", "permute_sentences"): {"scheme": "infilling"},
    ("forecasting", "time"): {"calendar": ["yearday"]},
    ("forecasting", "categorical"): {"static": ["n"]},
    ("forecasting", "format"): {"id": None},
    ("forecasting", "time_zone"): {"id": None, "frequency": "1h", "calendar": ["hour"]},
}
RECORDS = {("forecasting", "format"): ONE_SERIES, ("forecasting", "time_zone"): HOURLY}
# Settings that count although nothing is encoded differently here: these records do not show it.
UNSEEN = {("denoising", "mask_name"), ("forecasting", "season"), ("forecasting", "format"), ("forecasting", "shortest_context")}


def observed(task, records: Iterable[Any], folder):
    """Everything that is stored of the records, and what each of them is encoded as."""
    corpus = task.build_corpus(MemoryRecords(lambda: records), folder, limits=Limits(), keep_records=False)
    last = {item.get("unique_id", number): item for number, item in enumerate(items_of(task, records, scored=True))}  # of each series
    arrays = [array for item in map(task.encode, last.values()) for array in (item.source, item.target) if array is not None]
    return contents_of(folder, corpus.manifest), [(array.shape, np.asarray(array).tobytes()) for array in arrays]


TRIALS = [(name, setting) for name, (_, _, changes) in TASKS.items() for setting in changes]


@pytest.mark.parametrize(("name", "setting"), TRIALS, ids=[".".join(trial) for trial in TRIALS])
def test_a_setting_of_a_task_changes_the_fingerprint_or_no_encoding(name, setting, tmp_path):
    plugin, (records, shared, changes) = registry.find("tasks", name), TASKS[name]
    records, shared = RECORDS.get((name, setting), records), shared | ASKS_FOR.get((name, setting), {})
    tasks, seen = [], []
    for number, settings in enumerate((shared, shared | changes[setting])):
        task = plugin.build(validate(plugin.Config, settings))
        task.fit(MemoryRecords(lambda: records))
        tasks.append(task)
        seen.append(observed(task, records, tmp_path / str(number)))
    same = tasks[0].fingerprint == tasks[1].fingerprint
    if (name, setting) in UNSEEN:
        assert not same
    elif setting in plugin.build(validate(plugin.Config, shared)).not_encoded and same:
        assert seen[0] == seen[1] or setting == "storage", "what changes an encoding must change the fingerprint"
    else:
        assert not same
        assert seen[0] != seen[1], f"`{setting}` should be tried with a value that changes something"


@pytest.mark.parametrize("name", registry.names("tasks"))
def test_every_setting_of_a_task_is_tried(name):
    assert TASKS[name][2].keys() == setting_fields(registry.find("tasks", name).Config).keys() - {"name"}
