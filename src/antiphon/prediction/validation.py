"""Scores of a model while it is trained: its loss on all validation records, and metrics of what it says for some of them."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any, final

import numpy as np
import torch

from antiphon.contracts.abilities import shown as shown_by
from antiphon.contracts.corpus import StoredCorpus
from antiphon.contracts.loss import Loss
from antiphon.contracts.model import Seq2SeqModel, StepwiseModel
from antiphon.contracts.sequences import Example, to_device
from antiphon.contracts.specs import TokenSpec
from antiphon.contracts.task import Task
from antiphon.data.batching import BatchingConfig, Sampler
from antiphon.data.collate import collate
from antiphon.data.corpus import MixedCorpus
from antiphon.data.limits import cut_source
from antiphon.data.loader import Loader
from antiphon.errors import AntiphonError, ConfigError
from antiphon.losses.observed import counted
from antiphon.metrics.interface import Score
from antiphon.metrics.scoring import evaluate
from antiphon.prediction.decoding import decode_examples
from antiphon.recipe.assembly import build_search, needs_steps
from antiphon.recipe.recipe import Recipe
from antiphon.search.greedy import GreedyConfig
from antiphon.training.decoder_inputs import inputs_to_measure
from antiphon.training.distributed import Ranks
from antiphon.training.step import autocast


@final
class Validation:
    """The loss (of symbols also the perplexity) over all validation records; metrics over some of them, decoded."""

    def __init__(self, recipe: Recipe, task: Task, corpora: list[StoredCorpus], measure: Loss, metrics: tuple[str, ...], ranks: Ranks):
        self.recipe, self.task, self.measure, self.metrics, self.ranks = recipe, task, measure, metrics, ranks
        self.corpus = corpora[0] if len(corpora) == 1 else MixedCorpus(corpora, [1.0] * len(corpora))
        self.references = _references(task, corpora, alternatives=recipe.evaluation.alternatives, most=recipe.training.validation_records)
        self.search_settings = _search_to_validate(recipe, task)
        self.search = build_search(self.search_settings, task)

    def __call__(self, model: Seq2SeqModel) -> tuple[list[Score], list[tuple[str, str, str]]]:
        """Scores, and (source, reference, prediction) samples."""
        scores = [self._loss(model)]
        if isinstance(self.task.target_spec, TokenSpec):
            scores.append(Score("perplexity", float(np.exp(min(scores[0].value, 700))), "exp(loss)", higher_is_better=False))
        if needs_steps(self.search_settings) and not isinstance(model, StepwiseModel):
            return scores, []
        items = self.references
        examples = [self._example(record) for record, _ in items]
        requests = [self.task.request({name: value for name, value in record.items() if name not in _WISHES}) for record, _ in items]
        size, device = self.recipe.evaluation.batch_size, self.ranks.device
        try:
            predictions = decode_examples(model, self.search, self.task, examples, requests, batch_size=size, device=device)
        except ConfigError:
            raise
        except AntiphonError as error:  # a model that is diverging cannot say anything; whether training goes on is not decided here
            return scores, [("", "", f"(nothing could be decoded: {error})")]
        values = [prediction.value for prediction in predictions]
        scores += evaluate(self.metrics, values, [references for _, references in items], resamples=0)
        spread = range(0, len(items), max(1, len(items) // max(self.recipe.training.samples, 1)))
        shown = partial(shown_by, self.task)
        samples = [(str(self.task.source_of(items[i][0])), shown(items[i][1][0]), shown(values[i])) for i in spread]
        repeated = collapsed(values, [references[0] for _, references in items])
        return scores, [("", "", f"({repeated})"), *samples] if repeated else samples

    def _example(self, record: Any) -> Example:
        """What is decoded knows nothing of its target, and is cut as training sources are."""
        target = self.task.target_column if isinstance(self.task.target_spec, TokenSpec) else None
        example = self.task.encode({name: value for name, value in record.items() if name != target} if target else record)
        return cut_source(example, self.recipe.data.limits, self.task.source_spec)

    @torch.inference_mode()
    def _loss(self, model: Seq2SeqModel) -> Score:
        batching = self.recipe.training.batching
        settings = BatchingConfig(target_tokens=batching.target_tokens, source_tokens=batching.source_tokens)
        together = partial(collate, source=self.task.source_spec, target=self.task.target_spec)
        total, count = 0.0, 0
        for batch in Loader(self.corpus, Sampler(self.corpus, settings, 0), together, seed=0).in_order():
            assert batch is not None
            here = to_device(batch, self.ranks.device)
            with autocast(self.recipe.training.precision, self.ranks.device):
                inputs = inputs_to_measure(self.recipe.training.decoder_inputs, model, here.inputs)
                losses = self.measure(model(here.source, inputs), here.labels)
            total += float((losses.double() * here.labels.mask).sum())
            count += int(counted(here.labels, model.target).sum())
        return Score("loss", total / max(count, 1), "mean per target element", higher_is_better=False)


def _search_to_validate(recipe: Recipe, task: Task) -> Any:
    """Symbols are decoded greedily, within the limits of the recipe's search; values, and what needs no steps, as the recipe says."""
    if not isinstance(task.target_spec, TokenSpec) or not needs_steps(recipe.search):
        return recipe.search
    limits, processors = (getattr(recipe.search, name, None) for name in ("limits", "processors"))
    return GreedyConfig(**{name: value for name, value in (("limits", limits), ("processors", processors)) if value is not None})


_WISHES = ("prefix", "required", "banned")


def _references(task: Task, corpora: list[StoredCorpus], *, alternatives: bool, most: int | None) -> list[tuple[Any, list[Any]]]:
    """(record, references) of the validation items, evenly spread over the data when there are more than `most`."""
    records = [corpus.record(index) for corpus in corpora for index in range(len(corpus))]
    items = group_references(task, records, alternatives=alternatives)
    if most is None or len(items) <= most:
        return items
    return [items[index * len(items) // most] for index in range(most)]


def group_references(task: Task, records: Sequence[Any], *, alternatives: bool) -> list[tuple[Any, list[Any]]]:
    """(record, references) per item; with `alternatives`, records with the same source are one item."""
    if not alternatives:
        return [(record, [task.reference(record)]) for record in records]
    items: dict[Any, tuple[Any, list[Any]]] = {}
    for record in records:
        items.setdefault(task.source_of(record), (record, []))[1].append(task.reference(record))
    return list(items.values())


def collapsed(values: Sequence[Any], references: Sequence[Any], share: float = 0.5) -> str | None:
    """A sentence, when most outputs are one and the same text though their references differ: the sign of a model that has collapsed."""
    if len(values) < 10 or not all(isinstance(value, str) for value in values):
        return None
    said, count = Counter(values).most_common(1)[0]
    alike = Counter(references).most_common(1)[0][1]
    if count < share * len(values) or count < 2 * alike:
        return None
    return f"{count:,} of {len(values):,} outputs are the same text, {said!r:.60}: the model has collapsed, or not learned yet."
