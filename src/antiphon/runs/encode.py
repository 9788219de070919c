"""Encodes the data of a recipe into its cache, before any training, with any number of processes and machines.

What training then finds there is what it would have encoded itself, so it begins at once, and other runs with the same data and
vocabulary do, too.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from antiphon.contracts.abilities import EncodesParts
from antiphon.contracts.asking import unfolded
from antiphon.contracts.corpus import WHOLE, Share
from antiphon.contracts.limits import Limits
from antiphon.contracts.task import Task
from antiphon.data.cache import make_cache
from antiphon.data.corpus_parts import join_if_complete, part_folder
from antiphon.data.limits import split_limits
from antiphon.errors import ConfigError
from antiphon.prediction.memory import Say, silent
from antiphon.recipe.assembly import (
    Split,
    build_corpora,
    build_model,
    build_task,
    corpus_folder,
    fit_task,
    keeps_records,
    open_splits,
    resolved,
)
from antiphon.recipe.recipe import Recipe, read_recipe, with_overrides


def encode(
    recipe: Recipe | Path | str,
    *,
    share: Share = WHOLE,
    overrides: Sequence[str] = (),
    trust_code: bool = False,
    say: Say = silent,
    progress: Callable[[int], None] | None = None,
) -> bool:
    """Encode the data of a recipe, or a machine's share of it, into `data.cache`; returns whether all of it exists now.

    recipe      a Recipe, or the path of one; its `data.workers` processes encode
    share       of several machines with one disk, each encodes its share: Share(2, 8) is the third of eight. Whoever ends last joins them.
    overrides   settings that are to be others
    trust_code  whether code outside Antiphon that other runs name may be imported
    say         is told what is there, a sentence at a time
    progress    is called with the number of training records that this machine has encoded

    Raises ConfigError where the recipe names no cache, or its task cannot be encoded in parts; DataError for what cannot be encoded.
    """
    if not isinstance(recipe, Recipe):
        recipe = read_recipe(recipe, overrides, trust_code=trust_code)
    elif overrides:
        recipe = with_overrides(recipe, overrides)
    cache = _cache(recipe)
    recipe = resolved(recipe)
    task = build_task(recipe)
    if not share.is_all and not isinstance(task, EncodesParts):
        raise ConfigError(f"`{recipe.task.name}` cannot be encoded in shares. Leave `--shard` out.")
    splits = open_splits(recipe, task)
    fit_task(task, splits["train"])
    limits = split_limits(recipe.data.limits, build_model(recipe, task))
    complete = _encode_shares(task, splits["train"], cache, limits["train"], share, recipe.data.workers, say, progress)
    if share.number == 0 and "validation" in splits:
        build_corpora(splits["validation"], task, cache, limits["validation"], keep_records=keeps_records(task, "validation"))
    if complete:
        for corpus in build_corpora(splits["train"], task, cache, limits["train"], keep_records=keeps_records(task, "train")):
            say(f"train: {corpus.tally['kept']:,} of {corpus.tally['read']:,} {corpus.tally.get('unit', 'records')}")
    return complete


def _cache(recipe: Recipe) -> Path:
    if recipe.data.cache is None:
        raise ConfigError(
            "`data.cache` must name the folder in which runs find what is encoded, but the recipe names none. Add"
            " `--set data.cache=FOLDER`, here and for `antiphon train`."
        )
    if recipe.distillation is not None:
        raise ConfigError("A student's data is encoded with its teacher's outputs, only by `antiphon distill`.")
    make_cache(recipe.data.cache)
    return recipe.data.cache


def _encode_shares(
    task: Task, train: Split, cache: Path, limits: Limits, share: Share, workers: int, say: Say, progress: Callable[[int], None] | None
) -> bool:
    """Encode this machine's share of each file with several processes, and join what is complete; False if shares are missing."""
    keep_records = keeps_records(task, "train")
    if not isinstance(task, EncodesParts):
        build_corpora(train, task, cache, limits, keep_records=keep_records, progress=progress)
        return True
    missing = dict[int, None]()
    for number, (records, _) in enumerate(train.parts):
        folder = corpus_folder(cache, train, number)
        if task.is_encoded(records, folder, limits=limits, keep_records=keep_records):
            continue
        place = part_folder(folder, share)
        task.build_part(records, place, share, limits=limits, keep_records=keep_records, workers=workers, progress=progress)
        lacking = join_if_complete(folder, share.count, unfolded(task, records))
        if not task.is_encoded(records, folder, limits=limits, keep_records=keep_records):  # else another machine has joined them
            missing.update(dict.fromkeys(one.number + 1 for one in lacking))
    if missing:
        shares = sorted(missing)
        said = ", ".join(map(str, shares[:20])) + (", ..." if len(shares) > 20 else "")
        say(f"Share {share} is encoded. Missing: {said}. The last one to end joins them.")
    return not missing


__all__ = ["encode"]
