"""Builds the parts that a recipe names: task, model, losses, search (`splits.py` opens records), and loads all of them from a
checkpoint."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.contracts import registry
from antiphon.contracts.abilities import ReadsInOrder, WritesText
from antiphon.contracts.asking import load_calibration, supervision
from antiphon.contracts.configuration import plain
from antiphon.contracts.loss import Loss, LossOfBatch
from antiphon.contracts.model import Seq2SeqModel, StepwiseModel
from antiphon.contracts.search import Search
from antiphon.contracts.specs import Spec, TokenSpec
from antiphon.contracts.task import Task
from antiphon.contracts.trust import FOREIGN, Trust
from antiphon.errors import CheckpointError, ConfigError, DataError
from antiphon.heads.choice import head_name
from antiphon.metrics.scoring import find_metrics
from antiphon.recipe.contradictions import check_context
from antiphon.recipe.exported import open_exported
from antiphon.recipe.recipe import Recipe, recipe_from, recipe_of_engine, with_overrides
from antiphon.recipe.splits import Given, Split, build_corpora, corpus_folder, keeps_records, mixed, open_split, open_splits, read_given
from antiphon.search.arpa import read_arpa
from antiphon.search.fusion import LanguageModel, LanguageModelConfig, NeuralLanguageModel, check_same_symbols
from antiphon.search.hot_words import Phrases
from antiphon.search.mbr import MinimumBayesRiskSearch, Utility, candidate_settings, text_utility
from antiphon.search.ngram import ngrams
from antiphon.search.scorers import TakesHelp
from antiphon.store import checkpoint
from antiphon.store.revisions import upgraded, upgraded_settings
from antiphon.version import __version__


def resolved(recipe: Recipe, earlier: Recipe | None = None) -> Recipe:
    """The recipe, completed with what its architecture must record about weights from elsewhere; the `earlier` recipe of a resumed run has
    it already."""
    resolve = registry.find("models", recipe.model.name).resolve
    if resolve is None:
        return recipe
    same = earlier is not None and earlier.model.name == recipe.model.name
    return replace(recipe, model=resolve(recipe.model, earlier.model if earlier is not None and same else None))


def build_task(recipe: Recipe) -> Task:
    """The recipe's task, unfitted."""
    task: Task = registry.find("tasks", recipe.task.name).build(recipe.task)
    return task


def fit_task(task: Task, train: Split) -> None:
    """Fit the task's features on the training records. Raises DataError or ConfigError, whose message names `data.train`."""
    try:
        task.fit(train.whole)
    except (DataError, ConfigError) as error:
        raise type(error)(f"`data.train`: {error}") from error


def build_model(recipe: Recipe, task: Task) -> Seq2SeqModel:
    """The recipe's model with fresh weights, for a fitted task. Raises ConfigError when settings of the two contradict each other."""
    if isinstance(task, ReadsInOrder):
        check_context(recipe)
    model: Seq2SeqModel = registry.find("models", recipe.model.name).build(recipe.model, task.source_spec, task.target_spec)
    return model


def build_losses(recipe: Recipe, task: Task) -> tuple[Loss | LossOfBatch, Loss]:
    """The loss for training, and the one to report; by default those that suit the model's output layer.

    Raises ConfigError when alignments are given but not learned from, or the reverse.
    """
    from antiphon.losses.minimum_risk import MinimumRiskConfig  # here, since an exported model is opened without the code of losses

    settings = recipe.training.loss
    head = registry.find("heads", head_name(getattr(recipe.model, "head", None), task.target_spec))
    plugin = registry.find("losses", head.loss if settings is None else settings.name)
    settings = plugin.Config() if settings is None else settings
    guided, column = getattr(settings, "guided_alignment", None) is not None, supervision(task)[1]
    if guided and column is None:
        raise ConfigError("`training.loss.guided_alignment` needs alignments: name the column that has them in `task.alignment`.")
    if column is not None and not guided:
        raise ConfigError("`task.alignment` has no effect without `training.loss.guided_alignment`. Set that to {}, or leave both out.")
    natural = registry.find("losses", head.loss)
    # What a metric is learned from stands beside the likelihood that the head has, which of one that copies is no cross-entropy.
    measure = natural.measure(natural.Config(), task.target_spec) if isinstance(settings, MinimumRiskConfig) else None
    return plugin.build(settings, task.target_spec), measure or plugin.measure(settings, task.target_spec)


def build_search(settings: Any, task: Task) -> Search:
    """The search; one that compares texts gets the conversion from symbols to text from the task, and a language model and hot words are
    opened."""
    search: Search = registry.find("search", settings.name).build(settings)
    if isinstance(search, MinimumBayesRiskSearch):
        search = search.with_candidates(build_search(candidate_settings(settings), task))
        return search if settings.metric is None else search.with_utility(utility_of(settings.metric, task, "search.metric"))
    if isinstance(search, TakesHelp) and (settings.language_model is not None or settings.hot_words.phrases):
        helper = None if settings.language_model is None else _open_language_model(settings.language_model, task)
        helped: Search = search.with_help(helper, _in_symbols(settings.hot_words.phrases, task))
        return helped
    return search


def utility_of(name: str, task: Task, setting: str) -> Utility:
    """A utility function from the metric that a setting names. Raises ConfigError for one that does not rank outputs."""
    metric = registry.find("metrics", name)
    if metric.higher_is_better is None:
        raise ConfigError(
            f"`{setting}` must say which of two outputs is better, but `{metric.name}` only describes them. Take one such as `chrf`"
            " or `rouge_l`."
        )

    def statistics(predictions: Sequence[Any], references: Sequence[Sequence[Any]]) -> Any:
        return metric.suited(references).statistics(predictions, references)

    return text_utility(statistics, metric.aggregate, partial(_text_of, task), higher_is_better=metric.higher_is_better)


def _in_symbols(phrases: Sequence[str], task: Task) -> Phrases:
    """Hot words for all outputs, as symbols. Raises ConfigError for words that the vocabulary cannot write."""
    if not phrases:
        return ()
    if not isinstance(task, WritesText) or not isinstance(task.target_spec, TokenSpec):
        raise ConfigError("`search.hot_words.phrases` must be left out unless the targets of the task are texts.")
    found = tuple(tuple(task.target_text.phrase(phrase)) for phrase in phrases)
    for text, symbols in zip(phrases, found, strict=True):
        if not symbols or task.target_spec.unknown in symbols:
            raise ConfigError(f"`search.hot_words.phrases` must be what the vocabulary can write, but {text!r:.80} is not.")
    return found


def _open_language_model(settings: LanguageModelConfig, task: Task) -> LanguageModel:
    """The language model for a search. Raises ConfigError when its vocabulary is not that of the task."""
    spec = task.target_spec
    if not isinstance(spec, TokenSpec):
        raise ConfigError("`search.language_model` must be left out when the target is real-valued.")
    if settings.ngram is not None:
        pieces = task.pieces("target", np.arange(spec.size))
        return ngrams(read_arpa(settings.ngram), settings.level, spec, pieces, partial(_text_of, task))
    assert settings.run is not None, "one of both is there"
    helper = load_trained(settings.run, trust=settings.trust.of_runs())
    if not isinstance(helper.model.source, TokenSpec) or not helper.model.source.says_nothing:
        raise ConfigError(f"`search.language_model.run` must be a run of `task: language_modeling`, but {settings.run} has a source.")
    assert isinstance(helper.task.target_spec, TokenSpec), "a language model writes symbols"
    check_same_symbols(helper.task.target_spec, spec, str(settings.run))
    return NeuralLanguageModel(stepwise(helper.model))


def _text_of(task: Task, elements: np.ndarray) -> str:
    if not isinstance(task, WritesText):
        raise ConfigError("`search.metric` and a language model of words need a task whose targets are texts.")
    return str(task.target_text.decode(elements))


def metric_names(recipe: Recipe) -> tuple[str, ...]:
    """The metrics of the recipe, or the defaults of the task. Raises ConfigError when one does not exist."""
    names: tuple[str, ...] = recipe.evaluation.metrics or registry.find("tasks", recipe.task.name).metrics
    find_metrics(names)
    return names


def alignment_notes(recipe: Recipe, task: Task, model: Seq2SeqModel, corpora: Sequence[Any], split: Split) -> tuple[str, ...]:
    """Examples that CTC cannot learn from, where the recipe trains with it: those with fewer encoder states than symbols."""
    from antiphon.losses.ctc_audit import CTC_LOSSES, ctc_notes

    if getattr(recipe.training.loss, "name", "") not in CTC_LOSSES or not isinstance(task.target_spec, TokenSpec):
        return ()
    parts = [(corpus, part.label) for corpus, (part, _) in zip(corpora, split.parts, strict=True)]
    return ctc_notes(parts, model.stride, task.target_spec)


@dataclass(frozen=True)
class Trained:
    """A loaded checkpoint: everything that is needed to use the model."""

    folder: Path
    recipe: Recipe
    task: Task
    model: Seq2SeqModel
    header: Mapping[str, Any]


def header_of(recipe: Recipe, task: Task) -> dict[str, Any]:
    """The header of every checkpoint of a run."""
    plugin = registry.find("models", recipe.model.name)
    return {
        "version": __version__,
        "model": {"name": recipe.model.name, "revision": plugin.revision},
        "source": _stored(task.source_spec),
        "target": _stored(task.target_spec),
        "recipe": plain(recipe),
    }


def _stored(spec: Spec) -> dict[str, Any]:
    """A spec as plain values."""
    return {own.name: getattr(spec, own.name) for own in fields(spec) if own.repr}


def load_trained(path: Path | str, *, prefer: str = "best", trust: Trust = FOREIGN, overrides: Sequence[str] = ()) -> Trained:
    """Load a run's best checkpoint, or a given one; settings of its model may be changed as long as the weights stay the same.

    Raises ConfigError when it names code outside Antiphon that `trust` does not allow.
    """
    saved = checkpoint.read(checkpoint.find_checkpoint(path, prefer=prefer).resolve())
    exported = "engine" in saved.header
    weights, settings = ({}, upgraded_settings(saved, trust)) if exported else upgraded(saved, trust)
    as_saved = (recipe_of_engine if exported else recipe_from)({**saved.header["recipe"], "model": settings}, trust=trust)
    recipe = with_overrides(as_saved, [change for change in overrides if change.startswith("model.")])
    task = _load_task(recipe, saved)
    if exported:
        return Trained(saved.folder, recipe, task, open_exported(saved, recipe, task, overrides).eval(), saved.header)
    plugin = registry.find("models", recipe.model.name)
    model = build_model(recipe, task)
    if plugin.borrow is not None:
        plugin.borrow(model, recipe.model)
    load_weights(model, weights, str(saved.folder))
    model.eval()
    return Trained(saved.folder, recipe, task, model, saved.header)


def load_task(recipe: Recipe, trained: Trained) -> Task:
    """The fitted task of a checkpoint with other settings, if the model still fits. Raises ConfigError otherwise."""
    task = _load_task(recipe, checkpoint.read(trained.folder))
    if (task.source_spec, task.target_spec) != (trained.task.source_spec, trained.task.target_spec):
        raise ConfigError(f"The model in {trained.folder} does not fit the changed `task`: it reads or writes something else.")
    return task


def task_of(saved: checkpoint.Checkpoint, trust: Trust) -> Task:
    """The fitted task of a checkpoint."""
    return _load_task(stored_recipe(saved, trust), saved)


def stored_recipe(saved: checkpoint.Checkpoint, trust: Trust) -> Recipe:
    """The recipe of a checkpoint. Raises ConfigError when it names code outside Antiphon that `trust` does not allow."""
    return recipe_from({**saved.header["recipe"], "model": upgraded_settings(saved, trust)}, trust=trust)


def _load_task(recipe: Recipe, saved: checkpoint.Checkpoint) -> Task:
    task = build_task(recipe)
    task.load(saved.features)
    load_calibration(task, saved.folder)
    return task


def load_weights(model: Seq2SeqModel, weights: Mapping[str, Any], place: str) -> None:
    """Load weights into a model. Raises CheckpointError naming tensors that are missing, superfluous, or of another shape."""
    own = model.own_weights()
    missing = [name for name in own if name not in weights]
    wrong = [name for name in own if name in weights and weights[name].shape != own[name].shape]
    extra = [name for name in weights if name not in own]
    for names, what in ((missing, "misses"), (extra, "has unknown"), (wrong, "has another shape for")):
        if names:
            raise CheckpointError(
                f"{place} {what} the weights {', '.join(names[:4])}{' ...' if len(names) > 4 else ''}: it does not fit its config."
            )
    model.load_state_dict(dict(weights), strict=False)  # what the model borrows is there already


def needs_steps(search: Any) -> bool:
    """Whether a search, given by its settings, decodes step by step."""
    return bool(registry.find("search", search.name).stepwise)


def stepwise(model: Seq2SeqModel, search: str = "search") -> StepwiseModel:
    """The model as one that decodes step by step, as the `search` of this name does. Raises ConfigError when it cannot."""
    if not isinstance(model, StepwiseModel):
        raise ConfigError(f"{type(model).__name__} cannot decode step by step, which `{search}` needs: see `antiphon list search`.")
    return model


__all__ = [
    "Given",
    "Split",
    "Trained",
    "alignment_notes",
    "build_corpora",
    "build_losses",
    "build_model",
    "build_search",
    "build_task",
    "corpus_folder",
    "fit_task",
    "header_of",
    "keeps_records",
    "load_task",
    "load_trained",
    "load_weights",
    "metric_names",
    "mixed",
    "needs_steps",
    "open_split",
    "open_splits",
    "read_given",
    "resolved",
    "stepwise",
    "stored_recipe",
    "task_of",
    "utility_of",
]
