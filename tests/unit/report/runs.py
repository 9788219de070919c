"""Runs made by hand: folders as training and evaluation leave them, without any training."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RECIPE = """\
task: {name: translation, source: word, target: sounds}
data:
  train: [{path: /data/train.tsv, weight: 2.0}, {source: /data/a.en, target: /data/a.de, weight: 1.0}]
  validation: 500
  test: null
model: {name: lstm, dim: 16, attention: dot}
training: {max_steps: 100, best: chrf, loss: {name: cross_entropy, label_smoothing: 0.1}}
"""

Event = Mapping[str, Any]


def train_event(step: int, loss: float | str) -> Event:
    return {
        "time": 1.7e9 + step,
        "kind": "train",
        "step": step,
        "epoch": step / 50,
        "seconds": step / 2,
        "loss": loss,
        "elements_per_second": 1000.0 + step,
        "gradient_norm": 0.5,
        "learning_rate": 1e-3 / step,
    }


def validation_event(step: int, loss: float, chrf: float, best: bool) -> Event:
    scores = {"loss": loss, "perplexity": 2.0, "chrf": chrf}
    return {"time": 1.7e9 + step, "kind": "validation", "step": step, "seconds": step / 2, "scores": scores, "best": best}


EVENTS: tuple[Event, ...] = (
    train_event(20, 4.0),
    train_event(40, "nan"),
    validation_event(50, 3.0, 20.0, True),
    {"time": 1.7e9 + 50, "kind": "sample", "step": 50, "source": "früh", "reference": "early", "prediction": "ear"},
    train_event(60, 2.0),
    validation_event(100, 2.5, 15.0, False),
    {"time": 1.7e9 + 100, "kind": "end", "step": 100, "message": "Done: 100 steps done. Best chrf: 20.0 at step 50."},
)


def item(source: str, prediction: str, references: Sequence[str], score: float = -1.0) -> dict[str, Any]:
    return {"source": source, "prediction": prediction, "references": list(references), "score": score, "finish_reason": "end"}


def score(name: str, value: float, *, higher: bool, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {"name": name, "value": value, "signature": f"signature-of-{name}", "higher_is_better": higher, "low": low, "high": high}


ITEMS = (
    item("a", "one two three four", ["one two three four"]),
    item("b", "one two three", ["one two six"]),
    item("c c c", "x", ["y y y y y", "z z z"]),
    item("d", "seven", ["seven"]),
    item("e", "", ["eight"]),
)
SCORES = (
    score("token_error_rate", 40.0, higher=False, low=30.0, high=50.0),
    score("exact_match", 40.0, higher=True, low=0.0, high=80.0),
    score("loss", 1.5, higher=False),
)


def evaluation(items: Sequence[Mapping[str, Any]] = ITEMS, scores: Sequence[Mapping[str, Any]] = SCORES) -> dict[str, Any]:
    return {
        "run": "runs/x",
        "data": "/data/test.tsv",
        "records": len(items),
        "seconds": 2.0,
        "search": {"name": "beam", "beam_size": 4, "limits": {"max_length": None}, "alignment": False},
        "scores": list(scores),
        "finish_reasons": {"end": 4, "length": 1},
        "items": list(items),
    }


def make_run(
    folder: Path,
    *,
    recipe: str = RECIPE,
    events: Sequence[Event] = EVENTS,
    evaluations: Mapping[str, Any] | None = None,
    audit: Mapping[str, Any] | None = None,
) -> Path:
    """A run's folder without a checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(recipe, encoding="utf-8")
    if events:
        (folder / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    for name, content in (evaluations or {}).items():
        (folder / "evaluations").mkdir(exist_ok=True)
        (folder / "evaluations" / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    if audit is not None:
        (folder / "audit.json").write_text(json.dumps(audit), encoding="utf-8")
    return folder
