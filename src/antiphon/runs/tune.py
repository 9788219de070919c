"""Tunes search settings on validation data: tries some, and stores the best with the run, so that predictions use them from then on.

Training is over, so this costs a decoding of the validation data for each setting and nothing else; the model is loaded once. The settings
of the run as it is are always tried, too: what is gained is their difference, with a paired test on the same records.

Unusual: a tuned run is not another run. What a checkpoint says of its search is changed in place (`checkpoint.amend`), of `best` and `last`
alike, and so is the run's recipe.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from antiphon.contracts import registry
from antiphon.contracts.configuration import plain, setting_fields
from antiphon.contracts.records import Records
from antiphon.contracts.specs import TokenSpec
from antiphon.contracts.task import Task
from antiphon.contracts.trust import Trust
from antiphon.data.mapped import MappedCorpus
from antiphon.errors import ConfigError, DataError, nearest
from antiphon.metrics.interface import Score, merit, says_better
from antiphon.metrics.scoring import find_metric
from antiphon.metrics.significance import Comparison, compare
from antiphon.prediction.loading import load
from antiphon.prediction.predictor import Predictor
from antiphon.prediction.scored_records import records_to_score
from antiphon.prediction.scoring import Item, decode_and_score, group_references
from antiphon.recipe.assembly import metric_names, open_splits
from antiphon.recipe.recipe import Recipe, read_recipe, recipe_from, write_recipe
from antiphon.runs.stored_evaluations import data_name
from antiphon.search.penalties import WITH_ALPHA
from antiphon.store import checkpoint
from antiphon.store.json_text import plain_numbers
from antiphon.training.distributed import Ranks

Grid = Mapping[str, Sequence[Any]]
"""Search settings to combine: dotted key -> values."""

BEAM_SIZES = (5, 10)
ALPHAS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2)


@dataclass(frozen=True)
class Trial:
    """Search settings that were tried: `settings` are those that were changed, none for the run's own."""

    settings: Mapping[str, Any]
    score: Score
    seconds: float
    records_per_second: float
    finish_reasons: Mapping[str, int]
    search: Mapping[str, Any] = field(repr=False)
    """All settings of the search."""
    values: tuple[Any, ...] = field(repr=False, default=())


@dataclass(frozen=True)
class Tuning:
    """The results of `tune`: the trials in order, the first with the run's own settings, and the best of them.

    `comparison` is the paired test of the best (b) against the run's own (a), None where these are the best. `stored` are the files that
    were changed, `remarks` what a reader of the scores should know.
    """

    run: str
    data: str
    records: int
    metric: str
    trials: tuple[Trial, ...]
    best: Trial
    comparison: Comparison | None
    stored: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """Plain values, for JSON, with None for NaN."""
        trials = [{key: value for key, value in asdict(trial).items() if key != "values"} for trial in self.trials]
        values = {
            **{name: getattr(self, name) for name in ("run", "data", "records", "metric")},
            "trials": trials,
            "best": trials[self.trials.index(self.best)],
            "comparison": None if self.comparison is None else asdict(self.comparison),
            "stored": list(self.stored),
            "remarks": list(self.remarks),
        }
        return dict(plain_numbers(values))


def tune(
    run: Path | str,
    *,
    grid: Grid | None = None,
    metric: str | None = None,
    data: Any = None,
    dry_run: bool = False,
    trust_code: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Tuning:
    """Try search settings on validation data, and store the best with the run.

    run        a run, or one of its checkpoints, which is then the only one that is changed
    grid       search settings and their values, every combination of which is tried: {"beam_size": [1, 5], "limits.min_ratio": [0, 0.2]};
               None tries beam sizes with length penalties. What would have no effect in a combination (`alpha` without `gnmt`) is left out
    metric     what is to be best; None is the metric that chose the checkpoint, or the task's first
    data       a file, or records; None is the validation data of the run
    dry_run    change nothing
    trust_code   whether code outside Antiphon that the run names may be imported
    progress   called with the number of trials done and of all

    Raises ConfigError for what is no setting of the search, and for a run without validation data or whose outputs are no symbols.
    """
    predictor = load(run, trust_code=trust_code)
    task, recipe = predictor.task, predictor.recipe
    if not isinstance(task.target_spec, TokenSpec):
        raise ConfigError(f"Search settings can be tuned where outputs are symbols, but {run} forecasts values (task `{task.name}`).")
    if metric is not None:
        registry.admit("metrics", metric, trusted=True)  # the user names it
    chosen = metric or _metric_of(recipe)
    criterion = find_metric(chosen)
    if not says_better(criterion):
        raise ConfigError(
            f"`--metric` must say which of two outputs is better, but `{chosen}` only describes them. Take one such as `chrf`."
        )
    attempts = _attempts(recipe, grid)
    pairs, name, remarks = _validation(Path(run), predictor, data)
    predictor.predict_items([pairs[0][0]], on_error="keep")  # the first prediction of a process is slow
    trials: list[Trial] = []
    for settings, tried in attempts:
        trials.append(_try(predictor, settings, tried, chosen, pairs))
        if progress is not None:
            progress(len(trials), len(attempts))
    best = _best(trials)
    stored = () if dry_run or best is trials[0] else _store(Path(run), predictor.trained[0].folder, best.search, recipe.trust)
    comparison, references = None, [found for _, found in pairs]
    remarks = (*remarks, *filter(None, [criterion.suited(references).note]))
    if best is not trials[0]:
        comparison = compare(criterion, trials[0].values, best.values, references, resamples=recipe.evaluation.resamples)
    return Tuning(str(run), name, len(pairs), chosen, tuple(trials), best, comparison, tuple(map(str, stored)), remarks)


def _metric_of(recipe: Recipe) -> str:
    """The metric that chose the best checkpoint; the first of the recipe if that was the loss."""
    names = metric_names(recipe)
    return recipe.training.best if recipe.training.best in names else names[0]


def _best(trials: Sequence[Trial]) -> Trial:
    """The trial with the best score; among equals the run's own settings, or else the fastest."""

    def worth(trial: Trial) -> tuple[float, bool, float]:
        value = trial.score.value
        return -math.inf if math.isnan(value) else merit(value, trial.score), trial is trials[0], trial.records_per_second

    return max(trials, key=worth)


# ------------------------------------------------------------------------------------------------------------------- trials


def _attempts(recipe: Recipe, grid: Grid | None) -> list[tuple[Mapping[str, Any], Recipe]]:
    """(changed settings, recipe), each once; the run's own first."""
    combinations = _default_combinations(recipe) if grid is None else _combinations(recipe, grid)
    attempts: list[tuple[Mapping[str, Any], Recipe]] = [({}, recipe)]
    for settings in combinations:
        values = {**plain(recipe), "search": _changed(plain(recipe.search), settings)}
        tried = recipe_from(values, trust=recipe.trust)
        if all(tried.search != other.search for _, other in attempts):
            attempts.append((settings, tried))
    return attempts


def _default_combinations(recipe: Recipe) -> list[dict[str, Any]]:
    """Greedy search, and beams with each length penalty, as far as they suit the run's other settings."""
    search = plain(recipe.search)
    if search["name"] not in ("beam", "greedy"):
        raise ConfigError(f"What to try must be said for the search `{search['name']}`: `--grid KEY=V1,V2` with settings of it.")
    most, groups = search.get("n_best", 1), search.get("groups", 1)
    sizes = [size for size in (1, *BEAM_SIZES) if size >= most and size % groups == 0] or [search["beam_size"]]
    penalties: list[dict[str, Any]] = [{"length_penalty": "none"}, {"length_penalty": "average"}]
    penalties += [{"length_penalty": "gnmt", "alpha": alpha} for alpha in ALPHAS]
    # A beam of 1 has nothing to compare, so that no penalty changes what it finds.
    several = [{"beam_size": size, **penalty} for size in sizes if size > 1 for penalty in penalties]
    combinations = [{"beam_size": 1, "length_penalty": "average"}] if 1 in sizes and search["name"] == "beam" else []
    return [*combinations, *several] if search["name"] == "beam" else [{"name": "beam", **settings} for settings in several]


def _combinations(recipe: Recipe, grid: Grid) -> list[dict[str, Any]]:
    """Every combination of the grid's values."""
    keys = {_search_key(recipe, key): list(values) for key, values in grid.items()}
    empty = [key for key, values in keys.items() if not values]
    if empty or not keys:
        raise ConfigError(f"`--grid` must give values to try, but gives none{f' for `{empty[0]}`' if empty else ''}.")
    return [_effective(recipe, dict(zip(keys, values, strict=True))) for values in itertools.product(*keys.values())]


def _search_key(recipe: Recipe, key: str) -> str:
    """The key within the search's settings."""
    own = key.removeprefix("search.")
    first = own.split(".")[0]
    others = setting_fields(Recipe).keys() - {"search"}
    if own == key and first in others and first not in plain(recipe.search):
        raise ConfigError(f"`--grid` must name settings of the search, such as `beam_size`, but `{key}` is decided before training.")
    if not all(own.split(".")):
        raise ConfigError(f"`--grid` must name a setting, such as `beam_size=1,5`, but names `{key}`.{nearest(key, plain(recipe.search))}")
    return own


def _effective(recipe: Recipe, settings: dict[str, Any]) -> dict[str, Any]:
    """The combination without settings that only have an effect with another value of the grid."""
    without = dict(settings)
    if settings.get("length_penalty", "gnmt") not in WITH_ALPHA:
        without.pop("alpha", None)
    if settings.get("length_penalty") == "average":
        without.pop("length_reward", None)
    if settings.get("groups", 2) == 1:
        without.pop("diversity", None)
    return without


_SHARED = ("limits", "processors", "ctc_weight", "language_model", "length_reward", "hot_words")  # settings of greedy search and of beams


def _changed(search: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The search's settings, changed at dotted keys; another search starts from its own defaults."""
    other = settings.get("name", search["name"]) != search["name"]
    kept = {key: search[key] for key in _SHARED if other and settings["name"] in ("beam", "greedy") and key in search}
    values: dict[str, Any] = {"name": settings["name"], **kept} if other else dict(search)
    if settings.get("length_penalty", "gnmt") not in WITH_ALPHA and "alpha" in values:
        values["alpha"] = None
    if settings.get("length_penalty") == "average" and "length_reward" in values:
        values["length_reward"] = 0.0  # which an average takes away
    if settings.get("groups") == 1 and "diversity" in values:
        values["diversity"] = None
    for dotted, value in settings.items():
        *parents, last = dotted.split(".")
        place = values
        for parent in parents:
            inner = place.get(parent)
            place[parent] = dict(inner) if isinstance(inner, Mapping) else {}
            place = place[parent]
        place[last] = value
    return values


def _try(predictor: Predictor, settings: Mapping[str, Any], tried: Recipe, metric: str, pairs: Sequence[Item]) -> Trial:
    search, ranks = plain(tried.search), Ranks(0, 1, predictor.device)
    predict = partial(predictor.with_search(search).predict_items, on_error="keep")
    found = decode_and_score(predict, predictor.task, pairs, [metric], ranks, resamples=tried.evaluation.resamples)
    speed = round(len(pairs) / max(found.seconds, 1e-9), 2)
    values = tuple(prediction.value for prediction in found.predictions)
    return Trial(settings, found.scores[0], round(found.seconds, 3), speed, found.finish_reasons, search, values)


# --------------------------------------------------------------------------------------------------------------------- data


def _validation(run: Path, predictor: Predictor, data: Any) -> tuple[list[tuple[Any, list[Any]]], str, tuple[str, ...]]:
    """(record, references) of each item, a name for them, and remarks on records left out."""
    task, recipe, left_out, name = predictor.task, predictor.recipe, tuple[str, ...](), "validation data"
    kept = None if data is not None else _kept_items(_run_of(run, predictor.trained[0].folder), recipe)
    if kept is None:
        source = data if data is not None else _validation_records(recipe, task)
        kept, left_out = records_to_score(source, task, recipe.data.limits, predictor.model)
        name = name if data is None else data_name(data)
    if not kept:
        raise DataError(f"There is nothing to tune on: {name} has no records.")
    return group_references(task, kept, alternatives=recipe.evaluation.alternatives), name, left_out


def _kept_items(folder: Path | None, recipe: Recipe) -> list[Any] | None:
    """The validation data as stored in its corpus, which is valid even if files were changed or moved; None if there is none."""
    if folder is not None and recipe.data.cache is None:
        try:
            corpora = [MappedCorpus(part) for part in sorted((folder / "corpus").glob("validation-*"))]
        except (DataError, KeyError):  # another kind of corpus
            corpora = []
        if corpora and all(corpus.keeps_records for corpus in corpora):
            return [corpus.record(index) for corpus in corpora for index in range(len(corpus))]
    return None


def _validation_records(recipe: Recipe, task: Task) -> Records:
    """The validation data from its files."""
    if recipe.data.train is None or recipe.data.validation is None:
        raise ConfigError("There is nothing to tune on: the run has no validation data any more. Name a file with `--data`.")
    return open_splits(recipe, task)["validation"].whole


def _run_of(path: Path, folder: Path) -> Path | None:
    """The run to which a path of a run or checkpoint belongs."""
    candidates = (path, folder.parent.parent)
    return next((candidate for candidate in candidates if (candidate / "recipe.yaml").is_file()), None)


# ------------------------------------------------------------------------------------------------------------------ storing


def _store(run: Path, loaded: Path, search: Mapping[str, Any], trust: Trust) -> list[Path]:
    """Write the search into the run's recipe and into `best` and `last`, or only into a checkpoint; returns the files."""
    path = run / "recipe.yaml"
    if not path.is_file():
        return [_amend(loaded, search)]
    with checkpoint.held(run):
        folders = dict.fromkeys((run / name).resolve() for name in ("best", "last") if (run / name).exists())
        stored = [_amend(folder, search) for folder in folders]
        recipe = read_recipe(path, trust=trust)
        write_recipe(replace(recipe, search=recipe_from({**plain(recipe), "search": search}, trust=trust).search), path)
    return [*stored, path]


def _amend(folder: Path, search: Mapping[str, Any]) -> Path:
    header = checkpoint.read(folder).header
    checkpoint.amend(folder, {**header, "recipe": {**header["recipe"], "search": search}})
    return folder / checkpoint.HEADER
