"""Scores by name, what every text metric has in common, and what is refused."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import antiphon.metrics
from antiphon.contracts import registry
from antiphon.errors import ConfigError, DataError
from antiphon.metrics.interface import Metric
from antiphon.metrics.items import check_items
from antiphon.metrics.scoring import evaluate

TEXT_METRICS = [
    "bleu",
    "bleu_zh",
    "character_error_rate",
    "chrf",
    "chrf_plus",
    "exact_match",
    "rouge1",
    "rouge2",
    "rouge2_stem",
    "rouge_l",
    "rouge_lsum",
    "ter",
    "token_accuracy",
    "token_error_rate",
    "word_error_rate",
]


def test_scores_come_in_the_order_of_the_names() -> None:
    scores = evaluate(["exact_match", "bleu", "word_error_rate"], ["a b c d", "x"], [["a b c d"], ["y", "z"]])
    assert [(score.name, score.value) for score in scores] == [
        ("exact_match", 50),
        ("bleu", pytest.approx(100 * 0.8**0.25)),
        ("word_error_rate", 20),
    ]
    assert scores[0].signature == "nrefs:var|bs:1000|seed:12345|norm:none|ref:any"
    assert all(score.low is not None and score.high is not None and score.low <= score.value <= score.high for score in scores)
    without = evaluate(["exact_match"], ["a"], [["a"]], resamples=0)[0]
    assert (without.signature, without.low, without.high) == ("nrefs:1|norm:none|ref:any", None, None)


@pytest.mark.parametrize("name", TEXT_METRICS)
def test_a_metric_keeps_the_contract(name: str) -> None:
    metric: Metric = registry.find("metrics", name)
    assert metric.name == name
    assert metric.summary
    assert metric.signature
    perfect = metric.statistics(["a b c d", "e f g h"], [["a b c d"], ["x", "e f g h"]])
    assert perfect.dtype == np.float64
    assert perfect.shape[0] == 2
    assert np.isfinite(perfect).all()
    assert float(metric.aggregate(perfect.sum(axis=0))) == pytest.approx(100 if metric.higher_is_better else 0)
    wrong = metric.statistics(["z", ""], [["a b c d"], ["e f g h"]])
    assert float(metric.aggregate(wrong.sum(axis=0))) == pytest.approx(0 if metric.higher_is_better else 100)


@pytest.mark.parametrize("name", TEXT_METRICS)
@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ([], [], "at least one prediction"),
        (["a", "b"], [["a"]], "each of the 2 predictions, but there are 1"),
        (["a", "b"], [["a"], []], "Item 2 must have at least one reference"),
        (["a", "b"], ["a", "b"], "references of item 1 must be a list, but are the text 'a'"),
        (["a", None], [["a"], ["b"]], "prediction of item 2 must be a text, but is None"),
        (["a", "b"], [["a"], ["b", 3]], "references of item 2 must be texts, but one is 3"),
        ("ab", [["a"], ["b"]], "must be lists"),
    ],
)
def test_what_cannot_be_scored_is_refused(name: str, predictions: Any, references: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        evaluate([name], predictions, references)
    with pytest.raises(DataError, match=message):
        registry.find("metrics", name).statistics(predictions, references)


def test_a_missing_list_of_references_is_refused() -> None:
    with pytest.raises(DataError, match="Item 2 must have at least one reference"):
        check_items(["a", "b"], [["a"], None])


def test_unknown_and_repeated_names_are_refused() -> None:
    with pytest.raises(ConfigError, match="Did you mean `bleu`"):
        evaluate(["blue"], ["a"], [["a"]])
    with pytest.raises(ConfigError, match="once"):
        evaluate(["bleu", "bleu"], ["a"], [["a"]])


def test_metrics_import_no_torch() -> None:
    """In a process of its own, and all files there are: scoring files must start fast and work without torch."""
    modules = [f"antiphon.metrics.{path.stem}" for path in Path(antiphon.metrics.__path__[0]).glob("*.py")]
    assert len(modules) > 15
    code = f"import importlib, sys\nfor name in {modules!r}: importlib.import_module(name)\nprint('torch' in sys.modules)"
    environment_path = str(Path(antiphon.metrics.__path__[0]).parents[1])
    finished = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {environment_path!r})\n{code}"], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip() == "False"
