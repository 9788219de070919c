"""Scores a trained model on held-out records, with confidence intervals."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from antiphon.contracts.asking import baselines_of, details_of, remarks_of, shown
from antiphon.contracts.configuration import plain
from antiphon.contracts.sequences import Hypothesis, Padded, Request
from antiphon.contracts.task import Task
from antiphon.data.file_records import FILE, STATE, UNIT
from antiphon.data.limits import Tally, fitting, shortened
from antiphon.data.mapped import MemoryCorpus
from antiphon.errors import CheckpointError, ConfigError, DataError
from antiphon.metrics.grouped import scores_by
from antiphon.metrics.interface import Score
from antiphon.metrics.scoring import evaluate as evaluate_metrics
from antiphon.metrics.scoring import find_metrics
from antiphon.prediction.loading import open_predictor
from antiphon.prediction.memory import Say, silent
from antiphon.prediction.predictor import Predictor
from antiphon.prediction.remembering import remembering
from antiphon.prediction.scored_records import records_to_score
from antiphon.prediction.scoring import Decoded, batches_of, decode_and_score, group_references, loss_scores, mean_loss
from antiphon.recipe.assembly import build_losses, metric_names, open_splits
from antiphon.recipe.effects import EVALUATION
from antiphon.runs import stored_evaluations
from antiphon.runs.evaluation import Evaluation, Item
from antiphon.runs.validation_records import validation_source
from antiphon.search.ensemble import Average
from antiphon.training.distributed import Ranks

Progress = Callable[[int, int], object]
"""Takes how many of how many are done."""


def evaluate(
    run: Path | str | Predictor | Sequence[Path | str],
    data: Any = None,
    *,
    overrides: Sequence[str] = (),
    trust_code: bool = False,
    weights: Sequence[float] | None = None,
    average: Average | None = None,
    progress: Progress | None = None,
    say: Say = silent,
) -> Evaluation:
    """Decode records and score the predictions.

    run         a run, a checkpoint, several of them (an ensemble), or a Predictor
    data        a file, or records as `antiphon.train` takes them; None is the recipe's `data.test`, "validation" what it validates on
    overrides   recipe settings such as "search.beam_size=1"; a Predictor has had its own from `antiphon.load`
    trust_code  whether code outside Antiphon that the runs name may be imported
    weights     how much each run of an ensemble counts, as for `antiphon.load`
    average     what an ensemble averages, as for `antiphon.load`
    progress    called with the number of records decoded so far and of all
    say         called with a sentence when something had to be done otherwise, such as in smaller batches

    The evaluation is also written to `evaluations/` of the run, for the report: that of a checkpoint or of an ensemble under a name of its
    own, and an ensemble's in its first run. Raises DataError when there is nothing to score.
    """
    EVALUATION.check(overrides)
    opened = partial(open_predictor, overrides=overrides, trust_code=trust_code, weights=weights, average=average)
    predictor = remembering(_opened(run, overrides, weights, average) if isinstance(run, Predictor) else opened(run), say)
    recipe, task, (name, source) = predictor.recipe, predictor.task, _source(predictor, data)
    records, left_out = records_to_score(source, task, recipe.data.limits, predictor.model)
    if not records:
        raise DataError("There is nothing to evaluate on: the data has no records.")
    metrics, resamples, ranks = metric_names(recipe), recipe.evaluation.resamples, Ranks(0, 1, predictor.device)
    pairs = group_references(task, records, alternatives=recipe.evaluation.alternatives)
    items, references = [record for record, _ in pairs], [found for _, found in pairs]
    predictor = _telling(predictor, len(pairs), progress)
    tally = Tally()
    likelihood = _likelihood(predictor, records, ranks, say, tally)  # before what takes long, as it may find what stops the run
    decoded = decode_and_score(predictor.predict_items, task, pairs, metrics, ranks, resamples=resamples)
    for sentence in predictor.remarks:
        say(sentence)
    values, baselines = [prediction.value for prediction in decoded.predictions], baselines_of(task, items)
    scores = (*decoded.scores, *likelihood)
    evaluation = Evaluation(
        run=_shown_runs(run, weights, average),
        data=name,
        records=len(pairs),
        seconds=round(decoded.seconds, 3),
        search=plain(recipe.search),
        scores=scores,
        finish_reasons=dict(decoded.finish_reasons),
        baselines={name: _baseline_scores(said, references, metrics, resamples) for name, said in baselines.items()},
        remarks=(*left_out, *remarks_of(task, items), *_notes(metrics, references), *_of_loss(tally), *_remarks(decoded, scores)),
        details=_by_column(items, values, references, metrics) | details_of(task, items, decoded.predictions, references, baselines),
        items=tuple(_items(task, decoded, references)),
        values=tuple(values),
        actual=tuple(references),
        said_by=baselines,
    )
    if isinstance(run, Predictor):
        return evaluation
    return _stored(evaluation, [run] if isinstance(run, Path | str) else run, source, overrides)


def _baseline_scores(said: Sequence[Any], references: Sequence[Sequence[Any]], metrics: Sequence[str], resamples: int) -> tuple[Score, ...]:
    """The scores of a baseline, which says no more than points."""
    of_points = [metric.name for metric in find_metrics(metrics) if not metric.spread]
    return tuple(evaluate_metrics(of_points, said, references, resamples=resamples))


def _by_column(
    items: Sequence[Any], values: Sequence[Any], references: Sequence[Sequence[Any]], metrics: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Scores by file, and by state, if records are units of translation files."""
    if not all(isinstance(item, Mapping) and UNIT in item for item in items):
        return {}
    columns = [column for column in (FILE, STATE) if all(column in item for item in items)]
    return {
        f"{column}s": [
            {column: name, "units": count, **scores}
            for name, count, scores in scores_by([str(item[column]) for item in items], values, references, find_metrics(metrics))
        ]
        for column in columns
    }


def _source(predictor: Predictor, data: Any) -> tuple[str, Any]:
    """The data to evaluate on, and its name. Raises ConfigError when neither the caller nor the recipe names any."""
    if isinstance(data, str | Path) and str(data) == "validation" and not Path(data).exists():
        return "validation", validation_source(predictor.recipe, predictor.task)
    source = predictor.recipe.data.test if data is None else data
    if isinstance(source, int):
        return "test", open_splits(predictor.recipe, predictor.task)["test"].whole
    if source is None:
        raise ConfigError(
            "There is nothing to evaluate on: the recipe has no `data.test`. Name a file with `--data`; `--data validation` scores on the"
            " validation data, by which the checkpoint was chosen."
        )
    return stored_evaluations.data_name(source), source


def _opened(predictor: Predictor, overrides: Sequence[str], weights: Sequence[float] | None, average: Average | None) -> Predictor:
    """A predictor that is already open; overrides would come too late for it."""
    late = [name for name, value in (("weights", weights), ("average", average)) if value is not None]
    if overrides or late:
        given = ", ".join(f"`{override}`" for override in (*overrides, *late))
        raise ConfigError(f"A Predictor has its settings already: give {given} to `antiphon.load`.")
    return predictor


def _items(task: Task, decoded: Decoded, references: Sequence[Sequence[Any]]) -> Iterator[Item]:
    """Each record formatted for display, with its prediction."""
    for (source, _, said), found, prediction in zip(decoded.shown, references, decoded.predictions, strict=True):
        hypothesis = prediction.hypothesis
        yield Item(source, tuple(shown(task, one) for one in found), said, hypothesis.score, hypothesis.finish_reason)


def _stored(evaluation: Evaluation, runs: Sequence[Path | str], source: Any, overrides: Sequence[str]) -> Evaluation:
    """The evaluation, stored in the first run; if it cannot be stored there is only a remark, and the scores are returned all the same."""
    changes = [change for change in overrides if change.startswith(("task.", "task="))]
    try:
        stored_evaluations.store(evaluation.to_plain(items=True), runs, source, changes)
    except CheckpointError as error:
        return replace(evaluation, remarks=(*evaluation.remarks, str(error)))
    return evaluation


_ENCODED_TOGETHER = 1024  # records whose arrays are in memory at a time


def _likelihood(predictor: Predictor, records: Sequence[Any], ranks: Ranks, say: Say, tally: Tally) -> list[Score]:
    """Loss of the references under the model; for symbols also the perplexity. `tally` counts what does not fit into the model."""
    recipe, task = predictor.recipe, predictor.task
    _, measure = build_losses(recipe, task)
    limits = fitting(recipe.data.limits.of_sources(), predictor.model)

    def encoded(start: int) -> MemoryCorpus:
        numbered = enumerate(records[start : start + _ENCODED_TOGETHER], start)
        tally.read += len(records[start : start + _ENCODED_TOGETHER])
        found = (
            shortened(task.encode(record, index), limits, task.source_spec, task.target_spec, tally, f"Record {index}")
            for index, record in numbered
        )
        return MemoryCorpus([example for example in found if example is not None])

    starts = range(0, len(records), _ENCODED_TOGETHER)
    batches = chain.from_iterable(batches_of(encoded(start), task, recipe.training.batching, ranks) for start in starts)
    return loss_scores(mean_loss(predictor.model, measure, batches, ranks, inputs=recipe.training.decoder_inputs, say=say), task)


def _of_loss(tally: Tally) -> Iterator[str]:
    """The records on which the loss, unlike the metrics, was not measured."""
    for fate, counts in (("left out of", tally.dropped), ("cut for", tally.truncated)):
        for reason, count in counts.items():
            if (fate, reason) != ("cut for", "source too long"):  # which the predictions, too, say
                verb = "was" if count == 1 else "were"
                yield f"{count:,} of {tally.read:,} records {verb} {fate} the loss, as `data.limits.too_long` says: {reason} for the model."


def _notes(metrics: Sequence[str], references: Sequence[Sequence[Any]]) -> Iterator[str]:
    """What readers should know about the metrics besides their signatures."""
    return filter(None, (metric.suited(references).note for metric in find_metrics(metrics)))


def _remarks(decoded: Decoded, scores: Sequence[Score]) -> Iterator[str]:
    cut = sum("source_cut" in prediction.details for prediction in decoded.predictions)
    if cut:
        yield f"{cut:,} of {len(decoded.predictions):,} sources were cut, as `data.limits` says: their ends were not read."
    if decoded.collapsed:
        yield decoded.collapsed
    partly: dict[int, list[str]] = {}
    for score in scores:
        if score.items is not None and 0 < score.items < len(decoded.predictions):
            partly.setdefault(score.items, []).append(f"`{score.name}`")
    for count, names in partly.items():
        yield (
            f"{count:,} of {len(decoded.predictions):,} forecasts took part in {', '.join(names)}: the others have nothing to divide by"
            " (their history repeats itself, or is too short), or nothing of their future was observed."
        )
    undefined = [f"`{score.name}`" for score in scores if not math.isfinite(score.value)]
    if undefined:
        verb = "is" if len(undefined) == 1 else "are"
        yield f"On these records {', '.join(undefined)} {verb} no number: nothing counts, or the model diverged."


def _shown_runs(run: Path | str | Predictor | Sequence[Path | str], weights: Sequence[float] | None, average: Average | None) -> str:
    """The runs as a weighted sum; with the kind of average, if it was set."""
    if isinstance(run, Predictor):
        return ""
    runs = [str(run)] if isinstance(run, Path | str) else list(map(str, run))
    shown = runs if weights is None else [f"{weight:g} {one}" for weight, one in zip(weights, runs, strict=True)]
    return " + ".join(shown) + (f" ({average})" if average is not None else "")


def _telling(predictor: Predictor, total: int, progress: Progress | None) -> Predictor:
    """The predictor, whose search reports after each batch how many of all sources are done."""
    if progress is None:
        return predictor
    search, done = predictor.search, 0

    def counting(model: Any, source: Padded, requests: Sequence[Request] | None = None) -> list[list[Hypothesis]]:
        nonlocal done
        found = search(model, source, requests)
        done = min(total, done + len(found))  # a long source may be cut, and its parts are sources, too
        progress(done, total)
        return found

    other = copy.copy(predictor)
    other.search = counting
    return other
