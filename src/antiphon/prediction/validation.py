"""Scores of a model during training: its loss on all validation records, and metrics of its outputs for some of them.

Which records are decoded, and how, is decided once and for all (see `validation_cost.py`), so that the scores of two validations compare.
When training has ended, the best checkpoint is scored once more, now on all records and with the recipe's own search.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, final

import torch

from antiphon.contracts.configuration import plain
from antiphon.contracts.corpus import StoredCorpus
from antiphon.contracts.limits import Limits
from antiphon.contracts.loss import Loss
from antiphon.contracts.model import Seq2SeqModel, StepwiseModel
from antiphon.contracts.search import Search
from antiphon.contracts.sequences import Example, Prediction
from antiphon.contracts.specs import TokenSpec
from antiphon.contracts.task import Task
from antiphon.data.limits import cut_source, fitting
from antiphon.data.mixing import MixedCorpus
from antiphon.errors import AntiphonError, ConfigError, TrainingError
from antiphon.metrics.interface import Score
from antiphon.prediction.decoding import decode_examples
from antiphon.prediction.memory import Say, silent
from antiphon.prediction.scoring import Decoded, Item, batches_of, decode_and_score, group_references, loss_scores, mean_loss
from antiphon.prediction.validation_cost import FIRST, Plan, ValidationCost, Work
from antiphon.recipe.assembly import build_search, needs_steps
from antiphon.recipe.recipe import Recipe
from antiphon.search.greedy import GreedyConfig
from antiphon.training.budget import VALIDATIONS
from antiphon.training.distributed import Ranks

_COLLAPSED = 3  # validations in a row: the first ones of a young model say nothing yet
_REMEDY = (
    "This is the third validation in a row that says so. If the loss still falls, it only needs more updates: lower"
    " `training.batching.target_tokens`, set `training.schedule.warmup_steps: auto`, or allow more time. If it does not, change"
    " `training.optimizer.learning_rate`, and look at the data with `antiphon inspect`."
)


@final
class Validation:
    """Computes the loss (and for symbols the perplexity) over all validation records, and metrics over a part of them, which is decoded.

    `work` is what training costs, `plan` what each validation does. All ranks call it together: each scores its share.
    """

    def __init__(
        self,
        recipe: Recipe,
        task: Task,
        corpora: list[StoredCorpus],
        measure: Loss,
        metrics: tuple[str, ...],
        ranks: Ranks,
        work: Work,
        say: Say = silent,
    ):
        self.recipe, self.task, self.measure, self.metrics, self.ranks = recipe, task, measure, metrics, ranks
        self.corpora, self.work, self.say = corpora, work, say
        self.corpus = corpora[0] if len(corpora) == 1 else MixedCorpus(corpora, [1.0] * len(corpora))
        self.search = search_to_validate(recipe, task)
        self._built = build_search(self.search, task)
        self.cost = ValidationCost(task, corpora, ranks.device)
        self.plan: Plan = self.cost.plan(recipe.training, work, self.search)
        self.items = self._items(self.plan.records)
        self._alike = 0  # validations in a row whose outputs were mostly one text

    def __call__(self, model: Seq2SeqModel) -> tuple[list[Score], list[tuple[str, str, str]]]:
        """Scores, and (source, reference, prediction) samples."""
        scores = self._loss(model)
        if needs_steps(self.search) and not isinstance(model, StepwiseModel):
            return scores, []
        try:
            decoded = self._decode(model, self._built, self.items)
        except (ConfigError, TrainingError):
            raise
        except AntiphonError as error:  # a model that is diverging cannot say anything; whether training goes on is not decided here
            return scores, [("", "", f"(nothing could be decoded: {error})")]
        count = len(decoded.shown)
        samples = [decoded.shown[place] for place in range(0, count, max(1, count // max(self.recipe.training.samples, 1)))]
        noted = [("", "", f"({decoded.collapsed})")] if decoded.collapsed else []
        self._watch(decoded.collapsed)
        return [*scores, *decoded.scores], [*noted, *samples]

    def _watch(self, collapsed: str | None) -> None:
        """Give advice, once, when nearly all outputs are the same text."""
        self._alike = self._alike + 1 if collapsed else 0
        if self._alike == _COLLAPSED and self.ranks.first:
            self.say(f"{collapsed} {_REMEDY}")

    def due(self, epoch: int) -> bool:
        """Whether to validate after this many epochs, where the recipe does not say how often."""
        return self.plan.due(epoch)

    def planned(self, updates: int) -> None:
        """Set the number of updates between two validations, where only the budget decides it; it determines how much may be decoded."""
        plan = self.cost.plan(self.recipe.training, self.work, self.search, updates)
        if plan != self.plan:
            self.plan, self.items = plan, self._items(plan.records)

    def final(self, model: Seq2SeqModel, updates: int) -> tuple[list[Score], str] | None:
        """Scores of the best model on all records with the recipe's search, and a sentence about it; None where the validations did the
        same. If that would take more than its share of the time after this many updates, fewer records are used."""
        search = self.recipe.search
        if not self.metrics or (needs_steps(search) and not isinstance(model, StepwiseModel)):
            return None
        every, most = self.cost.items, self.cost.at_the_end(self.recipe.training, self.work, updates, search)
        if most <= self.plan.records and plain(search) == plain(self.search):
            return None
        scores = self._loss(model)
        try:
            decoded = self._decode(model, build_search(search, self.task), self._items(most))
        except AntiphonError as error:  # training has ended well
            return scores, f"could not be decoded with search `{search.name}`: {error}"
        some = len(decoded.shown)
        which = f"all {every:,} records" if some >= every else f"{some:,} of {every:,} records, evenly spread,"
        return [*scores, *decoded.scores], f"on {which} with search `{search.name}`"

    @property
    def note(self) -> str:
        """A note for the log about what is decoded."""
        settings, records, every = self.recipe.training, self.plan.records, self.cost.items
        if settings.validate_every == "auto":
            return (
                f"Validation: {VALIDATIONS} times, evenly spread over the budget: loss of all {every:,} records; how many are decoded"
                " follows from how many updates are made until the first one."
            )
        how = "greedily" if self.search.name == "greedy" else f"with search `{self.search.name}`"
        share = settings.validation_share
        reasons = []
        if share is not None and (records < min(every, settings.validation_records or every) or self.plan.epochs > 1):
            reasons.append(f"so that it takes about {share:.0%} of the time (`training.validation_share`)")
        if records == settings.validation_records and records < every:
            reasons.append("as `training.validation_records` says")
        which = f"all {every:,} records" if records >= every else f"{records:,} of them, evenly spread"
        between = f" every {self.plan.epochs} epochs (after each of the first {FIRST})" if self.plan.epochs > 1 else ""
        return f"Validation{between}: loss of all {every:,} records; decoded are {which}, {', '.join([how, *reasons])}."

    def _loss(self, model: Seq2SeqModel) -> list[Score]:
        training = self.recipe.training
        batches = batches_of(self.corpus, self.task, training.batching, self.ranks)
        inputs, precision = training.decoder_inputs, training.precision
        loss = mean_loss(model, self.measure, batches, self.ranks, inputs=inputs, precision=precision, say=self.say)
        return loss_scores(loss, self.task)

    def _decode(self, model: Seq2SeqModel, search: Search, items: Sequence[Item]) -> Decoded:
        predict = partial(decode_records, self.recipe, self.task, model, search, self.ranks.device, say=self.say)
        return decode_and_score(predict, self.task, items, self.metrics, self.ranks)

    def _items(self, most: int) -> list[Item]:
        """This rank's share of at most `most` items, spread evenly over the data; only their records are read."""
        if self.recipe.evaluation.alternatives:  # which records belong together is seen only when all are read
            records = [self._record(index) for index in range(self.cost.items)]
            items = group_references(self.task, records, alternatives=True)
            return [items[place] for place in self._own(spread(len(items), most))]
        records = [self._record(index) for index in self._own(spread(self.cost.items, most))]
        return list(group_references(self.task, records, alternatives=False))

    def _own(self, places: Sequence[int]) -> Sequence[int]:
        return places[self.ranks.rank :: self.ranks.world]

    def _record(self, index: int) -> Any:
        for corpus in self.corpora:
            if index < len(corpus):
                return corpus.record(index)
            index -= len(corpus)
        raise IndexError(index)


def spread(count: int, most: int) -> list[int]:
    """At most `most` indices, spread evenly over `count`."""
    return [place * count // most for place in range(most)] if most < count else list(range(count))


def decode_records(
    recipe: Recipe, task: Task, model: Seq2SeqModel, search: Search, device: torch.device, records: Sequence[Any], *, say: Say = silent
) -> list[Prediction]:
    """Predictions for validation records, without access to their targets; they are truncated like training sources, and have no
    requests."""
    limits = fitting(recipe.data.limits, model)
    examples = [_example(limits, task, record, number) for number, record in enumerate(records)]
    requests = [task.request({name: value for name, value in record.items() if name not in _WISHES}) for record in records]
    return decode_examples(model, search, task, examples, requests, batch_size=recipe.evaluation.batch_size, device=device, say=say)


_WISHES = ("prefix", "required", "banned", "hot_words")


def _example(limits: Limits, task: Task, record: Any, number: int) -> Example:
    target = task.target_column if isinstance(task.target_spec, TokenSpec) else None
    known = record if target is None else {name: value for name, value in record.items() if name != target}
    return cut_source(task.encode(known, number), limits, task.source_spec)


def search_to_validate(recipe: Recipe, task: Task) -> Any:
    """The search settings during training: symbols are decoded greedily, within the limits of the recipe's search; real values and searches
    without steps as in the recipe."""
    if not isinstance(task.target_spec, TokenSpec) or not needs_steps(recipe.search):
        return recipe.search
    limits, processors = (getattr(recipe.search, name, None) for name in ("limits", "processors"))
    return GreedyConfig(**{name: value for name, value in (("limits", limits), ("processors", processors)) if value is not None})
