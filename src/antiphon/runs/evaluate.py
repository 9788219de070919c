"""Score a trained model on held-out records, with intervals; compare two models on the same records."""

import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from antiphon.contracts.abilities import baselines_of, details_of, items_of, shown
from antiphon.contracts.configuration import plain
from antiphon.contracts.sequences import Prediction, to_device
from antiphon.contracts.specs import TokenSpec
from antiphon.contracts.task import Task
from antiphon.data.batching import BatchingConfig, Sampler
from antiphon.data.collate import collate
from antiphon.data.corpus import MemoryCorpus
from antiphon.data.limits import cut_source
from antiphon.errors import ConfigError, DataError
from antiphon.losses.observed import counted
from antiphon.metrics.interface import Score
from antiphon.metrics.scoring import evaluate as evaluate_metrics
from antiphon.metrics.scoring import find_metrics
from antiphon.metrics.significance import Comparison, compare
from antiphon.prediction.predictor import Predictor
from antiphon.prediction.scoring import collapsed, group_references
from antiphon.recipe.assembly import build_losses, metric_names, read_given
from antiphon.store.checkpoint import find_checkpoint
from antiphon.training.decoder_inputs import inputs_to_measure


@dataclass(frozen=True)
class Item:
    """One scored record."""

    source: str
    references: tuple[str, ...]
    prediction: str
    score: float
    finish_reason: str


@dataclass(frozen=True)
class Evaluation:
    """Scores of a model on a set, with every prediction.

    `items` show predictions and references as texts; `values` and `actual` are what metrics compare, in the same order. `baselines`
    are the scores of simple methods on the same records, by name; `details` what the task has to say beside scores; `remarks` what a
    reader of the scores should know, one sentence each.
    """

    run: str
    data: str
    records: int
    seconds: float
    search: dict[str, Any]
    scores: tuple[Score, ...]
    finish_reasons: dict[str, int]
    baselines: dict[str, tuple[Score, ...]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    details: dict[str, Any] = field(repr=False, default_factory=dict)
    items: tuple[Item, ...] = field(repr=False, default=())
    values: tuple[Any, ...] = field(repr=False, default=())
    actual: tuple[Sequence[Any], ...] = field(repr=False, default=())

    def to_plain(self, *, items: bool = False) -> dict[str, Any]:
        """Plain values, for JSON; with `items` also every prediction and the details."""
        shown = asdict(replace(self, values=(), actual=()))
        del shown["values"], shown["actual"]
        if not items:
            del shown["items"], shown["details"]
        return shown

    def __getitem__(self, name: str) -> float:
        """The value of a score by name."""
        return next(score.value for score in self.scores if score.name == name)


def evaluate(run: Path | str | Predictor | Sequence[Path | str], data: Any = None, *, overrides: Sequence[str] = ()) -> Evaluation:
    """Decode records and score the predictions.

    run         a run, a checkpoint, several of them (an ensemble), or a Predictor
    data        a file, or records as `antiphon.train` takes them; None is the recipe's `data.test`
    overrides   recipe settings such as "search.beam_size=1"

    The evaluation is also written to `evaluations/` of a run, for the report. Raises DataError when there is nothing to score.
    """
    from antiphon.prediction.predictor import load

    predictor = run if isinstance(run, Predictor) else load(run, overrides=overrides)
    recipe, task = predictor.recipe, predictor.task
    source = recipe.data.test if data is None else data
    if source is None:
        raise ConfigError("There is nothing to evaluate on: the recipe has no `data.test`. Name a file with `--data`.")
    records = list(items_of(task, read_given(source, task, with_targets=True), scored=True))
    if not records:
        raise DataError("There is nothing to evaluate on: the data has no records.")
    metrics, resamples = metric_names(recipe), recipe.evaluation.resamples
    pairs = group_references(task, records, alternatives=recipe.evaluation.alternatives)
    items = [record for record, _ in pairs]
    began = time.monotonic()
    predictions = predictor.predict_items(items)
    seconds = time.monotonic() - began
    values = [prediction.value for prediction in predictions]
    references = [found for _, found in pairs]
    scores, baselines = evaluate_metrics(metrics, values, references, resamples=resamples), baselines_of(task, items)
    of_points = [metric.name for metric in find_metrics(metrics) if not metric.spread]  # a baseline says no more than points
    evaluation = Evaluation(
        run=_shown_runs(run),
        data=_name_of(source),
        records=len(pairs),
        seconds=round(seconds, 3),
        search=plain(recipe.search),
        scores=(*scores, *_likelihood(predictor, task, records)),
        finish_reasons=_count(predictions),
        baselines={name: tuple(evaluate_metrics(of_points, said, references, resamples=resamples)) for name, said in baselines.items()},
        remarks=tuple(_remarks(predictions, values, references)),
        details=details_of(task, items, predictions, references, baselines),
        items=tuple(
            Item(
                str(task.source_of(record)),
                tuple(shown(task, one) for one in found),
                shown(task, prediction.value),
                prediction.hypothesis.score,
                prediction.hypothesis.finish_reason,
            )
            for (record, found), prediction in zip(pairs, predictions, strict=True)
        ),
        values=tuple(values),
        actual=tuple(references),
    )
    if isinstance(run, Path | str):
        _store(evaluation, Path(run))
    return evaluation


def compare_evaluations(one: Evaluation, two: Evaluation, metrics: Sequence[str], *, resamples: int = 1000) -> list[Comparison]:
    """Paired significance of the difference between two models on the same records."""
    if [item.source for item in one.items] != [item.source for item in two.items]:
        remedy = " Set `task.backtest` and `task.horizon` alike for both." if "steps" in one.details or "steps" in two.details else ""
        raise DataError(f"Two models can only be compared on the same records in the same order.{remedy}")
    first, second = one.values, two.values
    return [compare(metric, first, second, one.actual, resamples=resamples) for metric in find_metrics(metrics)]


_ENCODED_TOGETHER = 1024  # records whose arrays are in memory at a time


def _likelihood(predictor: Predictor, task: Task, records: Sequence[Any]) -> tuple[Score, ...]:
    """Loss of the references under the model; of symbols also the perplexity."""
    _, measure = build_losses(predictor.recipe, task)
    total, count = 0.0, 0
    batching = predictor.recipe.training.batching
    budgets = BatchingConfig(target_tokens=batching.target_tokens, source_tokens=batching.source_tokens)
    together = partial(collate, source=task.source_spec, target=task.target_spec)
    for start in range(0, len(records), _ENCODED_TOGETHER):
        some = enumerate(records[start : start + _ENCODED_TOGETHER], start)
        examples = [task.encode(record, index) for index, record in some]
        corpus = MemoryCorpus([cut_source(example, predictor.recipe.data.limits, task.source_spec) for example in examples])
        with torch.inference_mode():
            for rows in Sampler(corpus, budgets, 0).in_order():
                batch = to_device(together([corpus.example(int(row)) for row in rows]), predictor.device)
                inputs = inputs_to_measure(predictor.recipe.training.decoder_inputs, predictor.model, batch.inputs)
                losses = measure(predictor.model(batch.source, inputs), batch.labels)
                total += float((losses.double() * batch.labels.mask).sum())
                count += int(counted(batch.labels, predictor.model.target).sum())
    loss = total / max(count, 1)
    scores = [Score("loss", loss, "mean per target element", higher_is_better=False)]
    if isinstance(task.target_spec, TokenSpec):
        scores.append(Score("perplexity", math.exp(min(loss, 700)), "exp(loss)", higher_is_better=False))
    return tuple(scores)


def _remarks(predictions: Sequence[Prediction], values: Sequence[Any], references: Sequence[Sequence[Any]]) -> Iterator[str]:
    cut = sum("source_cut" in prediction.details for prediction in predictions)
    if cut:
        yield f"{cut:,} of {len(predictions):,} sources were cut, as `data.limits` says: their ends were not read."
    repeated = collapsed(values, [alternatives[0] for alternatives in references])
    if repeated:
        yield repeated


def _count(predictions: Sequence[Prediction]) -> dict[str, int]:
    names, counts = np.unique([prediction.hypothesis.finish_reason for prediction in predictions], return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}


def _shown_runs(run: Path | str | Predictor | Sequence[Path | str]) -> str:
    if isinstance(run, Predictor):
        return ""
    return str(run) if isinstance(run, Path | str) else " + ".join(map(str, run))


def _name_of(source: Any) -> str:
    if isinstance(source, str | Path):
        return str(source)
    if isinstance(source, tuple):
        return ", ".join(str(file.path or file.source) for file in source)
    return "records"


def _store(evaluation: Evaluation, run: Path) -> None:
    """Keep the newest evaluation of each data set in the run, for the report."""
    if not (run / "recipe.yaml").is_file():
        return
    find_checkpoint(run)
    folder = run / "evaluations"
    folder.mkdir(exist_ok=True)
    name = (
        "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in Path(evaluation.data.split(",")[0]).name) or "records"
    )
    (folder / f"{name}.json").write_text(json.dumps(evaluation.to_plain(items=True), ensure_ascii=False, indent=1), encoding="utf-8")
