"""Writes a recipe for existing files: with settings that suit their content, this machine and a training time.

The task proposes columns, vocabularies and sizes of a model (`TaskPlugin.draft`); some updates of the smaller sizes are measured, and rules
(`fitting_rules.py`) choose the size, the batch and the rest. What is chosen stands in the recipe with its reason.
"""

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from antiphon.contracts.abilities import HoldsOut
from antiphon.contracts.drafting import Draft, Look, Proposal
from antiphon.contracts.files import HUB, FileConfig, as_file
from antiphon.contracts.reader import settings_of
from antiphon.contracts.records import Records
from antiphon.contracts.specs import TokenSpec
from antiphon.contracts.task import TaskPlugin
from antiphon.contracts.trust import OWN
from antiphon.data.lengths import elements_of
from antiphon.data.records import FirstRecords
from antiphon.errors import AntiphonError
from antiphon.prediction.memory import Say, silent
from antiphon.recipe.assembly import build_corpora, build_model, build_task, fit_task, open_splits
from antiphon.recipe.recipe import Recipe, recipe_from
from antiphon.recipe.tree import override_in, plain_values
from antiphon.runs import fitting_rules as rules
from antiphon.runs.data_look import look_at, opened
from antiphon.runs.recipe_edits import as_yaml, with_files, with_setting, without_setting
from antiphon.runs.speed import measure
from antiphon.training.precision import has_bf16

MINUTES = 10.0
_TO_DO = re.compile(r" Point `data`.*?[Tt]hen:", re.DOTALL)  # of a template, which is done here
_SAMPLE = 3000  # records that are encoded to measure
_FEWEST = 100  # records that are worth measuring


def recipe_for(
    plugin: TaskPlugin,
    files: Sequence[Path | FileConfig],
    path: Path,
    *,
    minutes: float = MINUTES,
    overrides: Sequence[str] = (),
    say: Say = silent,
) -> tuple[str, tuple[str, ...]]:
    """The text of a recipe at `path` that trains on the files for so many minutes, and sentences about its choices.

    overrides   settings that the user has decided, such as "task.source=en"; they stand in the recipe, too
    say         is told what is being done

    Raises ConfigError for columns that cannot be guessed, naming the setting, DataError for files that cannot be read or hold nothing.
    """
    named = [as_file(file) for file in files]
    asked = _asked(overrides)
    say("looking at the data")
    look, records = look_at(plugin, named, minutes, asked, say)
    draft = plugin.draft(look) if plugin.draft is not None else Draft(settings={})
    text = _drafted(plugin, draft, look, named, path)
    if "training.precision" in asked:  # it decides how fast models are
        text = with_setting(text, "training.precision", asked["training.precision"])
    found = _measured(plugin, draft, look, named, text, say)
    for name, choice in _training(draft, found, look).items():
        text = with_setting(text, name, choice.value, choice.reason)
    for dotted, value in asked.items():
        text = with_setting(text, dotted, value, "as asked for")
    recipe_from(plain_values(text), path.parent.absolute(), trust=OWN)  # what does not fit together is said now
    left_out = ", ".join(f"{one.count:,} {reason}" for reason, one in records.skipped().items())
    counted = f"{look.records:,} records to learn from{f'; left out: {left_out}' if left_out else ''}."
    return text, (counted, *draft.said, *found.said)


def _asked(overrides: Sequence[str]) -> dict[str, Any]:
    """The user's own settings, by dotted path."""
    found: dict[str, Any] = {}
    for override in overrides:
        tree: dict[str, Any] = {}
        keys = override_in(tree, override)
        value: Any = tree
        for key in keys:
            value = value[key]
        found[".".join(keys)] = value
    return found


def _drafted(plugin: TaskPlugin, draft: Draft, look: Look, files: Sequence[FileConfig], path: Path) -> str:
    """The task's template with its proposals, the files, and what is held out."""
    text = _TO_DO.sub(" What was chosen has its reason beside it. Then:", plugin.template.format(file=path), count=1)
    for name in (*draft.dropped, "training.max_epochs", "training.patience"):
        text = without_setting(text, name)
    text = with_files(text, "train", [_entry(file, path.parent) for file in files])
    count = draft.held_out or rules.held_out(look.records)
    series = draft.held_out is not None
    text = with_setting(text, "data.validation", count, _why_held_out(count, series=series, asked=False))
    if series or look.records >= rules.FEWEST_TO_HOLD_OUT:
        text = with_setting(text, "data.test", count, _why_held_out(count, series=series, asked=True))
    choices: dict[str, Proposal] = dict(draft.settings)
    choices["training.max_minutes"] = Proposal(look.minutes, "validations included; more minutes are better")
    choices["training.schedule"] = Proposal({"name": "cosine", "warmup_steps": "auto"}, "rises for a tenth of the minutes, then falls to 0")
    choices["training.validate_every"] = Proposal("auto", "ten times, and no more than a tenth of the minutes")
    for name, choice in choices.items():
        text = with_setting(text, name, choice.value, choice.reason)
    for name, choice in draft.hints.items():
        text = with_setting(text, name, choice.value, choice.reason, hint=True)
    return text


def _why_held_out(count: int, *, series: bool, asked: bool) -> str:
    what = f"the last {count:,} steps of each series" if series else f"{count:,} of the records"
    return f"{what}: {'for `antiphon evaluate`, never learned from' if asked else 'they decide which checkpoint is kept'}; or a file"


# --------------------------------------------------------------------------------------------------------------- measuring


@dataclass(frozen=True)
class _Measured:
    """The chosen model size, the facts for rules, how many times as fast bf16 is where that is worth it, and sentences."""

    size: Mapping[str, Proposal]
    facts: rules.Facts
    said: tuple[str, ...] = ()
    bf16: float | None = None


def _measured(plugin: TaskPlugin, draft: Draft, look: Look, files: Sequence[FileConfig], text: str, say: Say) -> _Measured:
    """The largest of the proposed models that sees the data often enough, measured by a few updates of each."""
    sizes = list(draft.models) or [{}]
    unknown = rules.Facts(look.records, look.minutes, 0.0, None)
    if look.records < _FEWEST:
        return _Measured(sizes[0], unknown)
    try:
        with tempfile.TemporaryDirectory(prefix="antiphon-") as folder:
            return _fastest(plugin, look, files, text, sizes, Path(folder), say)
    except AntiphonError as error:
        return _Measured(sizes[0], unknown, (f"The speed could not be measured: {error}",))


def _fastest(
    plugin: TaskPlugin, look: Look, files: Sequence[FileConfig], text: str, sizes: Sequence[Mapping[str, Proposal]], folder: Path, say: Say
) -> _Measured:
    say("reading a sample")
    recipe = _sampled(_with_size(text, sizes[0]), files)
    task = build_task(recipe)
    whole = isinstance(task, HoldsOut)
    records: Records = opened(plugin, files, plain_values(text)["task"])
    splits = open_splits(recipe, task, {"train": records if whole else FirstRecords(records, _SAMPLE)})
    fit_task(task, splits["train"])
    limits = recipe.data.limits
    corpora = {
        name: build_corpora(splits[name], task, folder, limits if name == "train" else limits.of_sources(), keep_records=name != "train")
        for name in ("train", "validation")
    }
    count = sum(len(corpus) for corpus in corpora["train"])
    frames = not isinstance(task.source_spec, TokenSpec) and isinstance(task.target_spec, TokenSpec)
    sources, targets = map(float, elements_of(corpora["train"]))
    lengths, scale = sources if frames else targets, 1.0 if whole else look.records / max(count, 1)
    unmeasured = rules.Facts(look.records, look.minutes, lengths * scale, None, frames, sources=0.0 if frames else sources * scale)
    tries_bf16 = isinstance(task.target_spec, TokenSpec) and "precision" not in plain_values(text)["training"]
    found: _Measured | None = None
    for size in sizes:
        say(f"trying a few updates of {', '.join(f'{name} {as_yaml(choice.value)}' for name, choice in size.items()) or 'the model'}")
        sized = _sampled(_with_size(text, size), files, unmeasured.bounds[0])  # the slowest batches: no more is promised than will be
        cost = measure(sized, task, build_model(sized, task), corpora, splits)
        seconds, gain = cost.seconds_per_epoch, None
        if tries_bf16 and has_bf16(torch.device(cost.device)):
            rounded = replace(sized, training=replace(sized.training, precision="bf16"))
            gain = rules.worth_rounding(seconds, measure(rounded, task, build_model(sized, task), corpora, splits).seconds_per_epoch)
        facts = replace(unmeasured, speed=lengths / max(seconds, 1e-9) * (gain or 1.0))
        if found is not None and not rules.wide_enough(facts):
            break
        found = _Measured(size, facts, bf16=gain)
    assert found is not None, "there is at least one size"
    return found


def _sampled(text: str, files: Sequence[FileConfig], batch: int = 1) -> Recipe:
    """The recipe for a sample of its records: less is held out, and batches have the given number of elements."""
    values = plain_values(text)
    recipe = recipe_from({**values, "data": {**values["data"], "train": list(files), "test": None}}, trust=OWN)
    held, training = recipe.data.validation, recipe.training
    batching, series = training.batching, isinstance(build_task(recipe), HoldsOut)
    held = min(held, _SAMPLE // 20) if isinstance(held, int) and not series else held
    if batching.source_tokens is not None:
        batching = replace(batching, source_tokens=batch)
    elif not series:
        batching = replace(batching, target_tokens=batch)
    return replace(recipe, data=replace(recipe.data, validation=held), training=replace(training, batching=batching))


def _with_size(text: str, size: Mapping[str, Proposal]) -> str:
    for name, choice in size.items():
        text = with_setting(text, f"model.{name}", choice.value)
    return text


def _training(draft: Draft, found: _Measured, look: Look) -> dict[str, Proposal]:
    """The size of the model, the batch, the dropout and the precision."""
    facts = found.facts
    said = rules.passes_said(facts)
    chosen = {f"model.{name}": Proposal(one.value, one.reason.format(passes=said)) for name, one in found.size.items()}
    if "training.batching" not in draft.settings:
        size = rules.batch(facts)
        if facts.frames:
            chosen["training.batching"] = Proposal({"source_tokens": size.value}, size.reason)
        else:
            chosen["training.batching"] = Proposal({"target_tokens": size.value}, size.reason)
    if facts.speed is not None and draft.models and "dim" in draft.models[0] and draft.held_out is None:
        chosen["model.dropout"] = rules.dropout(facts)
    if found.bf16 is not None:
        chosen["training.precision"] = Proposal("bf16", f"{found.bf16:.1f} times as fast as fp32 here")
    return chosen


# ------------------------------------------------------------------------------------------------------------------- files


def _entry(file: FileConfig, folder: Path) -> str:
    """A file as a recipe in this folder refers to it."""
    names = {key: getattr(file, key) for key in ("path", "source", "target") if getattr(file, key) is not None}
    paths = {key: name if os.path.isabs(name) or name.startswith(HUB) else os.path.relpath(name, folder) for key, name in names.items()}
    others: Mapping[str, Any] = {**settings_of(file), **({"format": file.format} if file.format else {})}
    if not others and list(paths) == ["path"]:
        return as_yaml(paths["path"])
    return as_yaml({**paths, **others})


__all__ = ["MINUTES", "recipe_for"]
