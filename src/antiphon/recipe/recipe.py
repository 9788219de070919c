"""The recipe: everything that decides how a model is made, in one file of plain values.

Recipes are YAML 1.2, so `no` is a language and `3e-4` a number. Every mistake is reported with its line, its dotted path, what is
allowed, and the nearest name. `--set a.b=c` changes a value from the command line. A relative path in a recipe starts from the recipe's
folder, one given by `--set` from the current folder.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError
from ruamel.yaml import YAML

from antiphon.contracts import registry
from antiphon.contracts.configuration import Count, Kept, Section, Verdict, config, plain, plugin_field, plugin_name, validate, verdict
from antiphon.contracts.files import FileConfig, Files, is_elsewhere
from antiphon.contracts.limits import Limits
from antiphon.contracts.trust import OWN, Trust, foreign, own
from antiphon.errors import ConfigError
from antiphon.recipe.another_model import leave_out_foreign, plain_name
from antiphon.recipe.tree import existing, line_of, override_in, parsed, plain_tree
from antiphon.store.atomic import replacing

_LEARNING = {
    "training": Section("training.settings", "TrainingConfig"),
    "distillation": Section("training.distillation", "DistillationConfig", optional=True),
    "sweep": Section("sweeping.settings", "SweepConfig", optional=True),
}
"""Sections that only training reads. Their code is imported for their values, which an exported model keeps as they were written."""

if TYPE_CHECKING:
    from antiphon.sweeping.settings import SweepConfig
    from antiphon.training.distillation import DistillationConfig
    from antiphon.training.settings import TrainingConfig as Training

    Distillation: TypeAlias = DistillationConfig | None
    Sweep: TypeAlias = SweepConfig | None
else:
    Training, Distillation, Sweep = (section.field_type() for section in _LEARNING.values())


@config
class DataConfig:
    """Where the records are. Can be left out only if a Python program passes the data itself."""

    train: Files | None = None
    """Training records: a file, or a list of files with weights."""
    validation: Annotated[int, Field(ge=1)] | Files | None = None
    """Records for choosing the best checkpoint: files, or how many records to split off the training data."""
    test: Annotated[int, Field(ge=1)] | Files | None = None
    """Records for `antiphon evaluate`, never used in training: files, or how many records to split off the training data."""
    limits: Limits = Limits()
    """Which training records are left out, and how long they may be."""
    cache: Path | None = None
    """Folder for encoded data, to be shared by runs; None is the run's own folder."""
    workers: Count = 1
    """Processes that encode the data before training; several are useful for millions of records. The result is the same."""


@config
class EvaluationConfig:
    """How predictions are scored."""

    metrics: tuple[plugin_name("metrics"), ...] | None = None  # type: ignore[valid-type]
    """Names of metrics (`antiphon list metrics`); None means the defaults of the task."""
    resamples: Annotated[int, Field(ge=0)] = 1000
    """Bootstrap resamples for intervals; 0 leaves intervals out."""
    alternatives: bool = False
    """Whether records with the same source (and tags) are alternative references of one item, of which the closest counts."""
    batch_size: Annotated[int, Field(ge=1)] = 32
    """Records decoded together."""


@config
class EngineConfig:
    """How an exported model is run; for a run, only `compiled` has an effect."""

    search: Literal["native", "ours"] = "native"
    """Which search is used: the engine's own if it finds the same (native), or always Antiphon's (ours)."""
    compiled: bool = False
    """For `antiphon export --format torch`: whether programs are compiled for this machine (AOTInductor). For a run that predicts: whether
    steps of the decoder are compiled when they are first used, on a GPU into CUDA graphs. On a CPU, both need a C++ compiler."""


@config
class Recipe:
    """Everything that decides how a model is trained, and how it is used by default."""

    task: plugin_field("tasks")  # type: ignore[valid-type]
    """The task: what the input and the output are."""
    data: DataConfig = DataConfig()
    """Where the records are."""
    model: plugin_field("models")  # type: ignore[valid-type]
    """The architecture and its sizes."""
    training: Training
    """How the model is trained."""
    distillation: Distillation = None
    """How the model learns from a trained teacher (`antiphon distill`); null learns from the data only."""
    sweep: Sweep = None
    """Which settings `antiphon sweep` tries; training does not read it."""
    search: plugin_field("search", "beam") = "beam"  # type: ignore[valid-type]
    """How outputs are found."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """How predictions are scored."""
    engine: EngineConfig = EngineConfig()
    """How an exported model is run."""
    seed: Annotated[int, Field(ge=0)] = 1
    """The seed of all random numbers."""
    trust: Verdict = verdict()
    """Whether code from outside that is named here may be imported; no setting."""


def read_recipe(path: Path | str, overrides: Sequence[str] = (), *, trust_code: bool = False, trust: Trust | None = None) -> Recipe:
    """Read a recipe file and apply `key.path=value` overrides. Raises ConfigError naming file, line and key.

    trust_code   whether code outside Antiphon that runs name may be imported: those that the recipe reads and, where the file lies in the
                 folder of a run, its own
    trust        another verdict than what follows from this
    """
    path = existing(Path(path))
    trust = trust or (foreign(trust_code) if _is_run(path.parent) else own(trust_code))
    tree = parsed(path)
    named = plain_name(tree.get("model"))
    overridden = [override_in(tree, override) for override in overrides]
    leave_out_foreign(tree, named, overridden, trust)

    def locate(keys: tuple[Any, ...]) -> str:
        if any(keys[: len(changed)] == changed for changed in overridden):
            return "--set: "
        changed = any(inner[: len(keys)] == keys for inner in overridden)  # what does not fit together may be said in two places
        return f"{path}:{line_of(tree, keys)}{' with --set' if changed else ''}: "

    def base(*keys: str) -> Path:
        here = any(keys[: len(changed)] == changed for changed in overridden)
        return Path() if here else path.parent

    values = _fitting(plain_tree(tree), base("model", "run"), trust)
    return _resolved(validate(Recipe, values, trust=trust, locate=locate), base)


def _is_run(folder: Path) -> bool:
    """Whether a folder is a run or a checkpoint, which may come from anywhere."""
    return any(os.path.lexists(folder / name) for name in ("best", "last", "checkpoints", "checkpoint.json", "metrics.jsonl"))


def recipe_from(values: Mapping[str, Any], base: Path = Path(), *, trust: Trust = OWN) -> Recipe:
    """A recipe from plain values, which are a Python program's own unless `trust` says that they come from elsewhere."""
    return resolve_paths(validate(Recipe, _fitting(values, base, trust), trust=trust), base)


def _fitting(values: Mapping[str, Any], base: Path, trust: Trust) -> Mapping[str, Any]:
    """The values, completed with defaults that suit the task and the model. Mistakes in them are found in the validation that follows."""
    settings, model = _named(values.get("task")), _named(values.get("model"))
    try:
        task = registry.admit("tasks", settings["name"], trusted=trust.allows(settings["name"]))
        architecture = registry.admit("models", model["name"], trusted=trust.allows(model["name"]))
        fitting: Mapping[str, Any] = {}
        if task.defaults is not None:
            fitting = task.defaults(validate(task.Config, settings, trust=trust), architecture.stepwise)
        rules = _rules_of(fitting)
        if architecture.defaults is not None:
            known = TypeAdapter(plugin_field("models")).validate_python(model, context={"trust": trust})
            theirs = architecture.defaults(_whose_run(known, base))
            fitting, rules = _merged(fitting, theirs), _merged(rules, _rules_of(theirs))
        if rules:  # which apply to a search of any name
            fitting = {**fitting, "search": {name: value for name, value in fitting["search"].items() if name not in rules}}
        merged = _merged(fitting, values)
        return {**merged, "search": _ruled(_named(merged["search"]), rules)} if rules else merged
    except (ConfigError, KeyError, TypeError, ValidationError):
        return values


def _named(settings: Any) -> Any:
    """The settings of a plug-in, which may be given by its name alone."""
    return {"name": settings} if isinstance(settings, str) else settings


def _merged(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    chosen = [key for key, value in defaults.items() if isinstance(value, Mapping) and "name" in value and key in values]
    values = {**values, **{key: _named(values[key]) for key in chosen}}
    if "name" in values and values["name"] != defaults.get("name", values["name"]):  # of another plug-in
        return dict(values)
    both = {key: value for key, value in defaults.items() if isinstance(value, Mapping) and isinstance(values.get(key), Mapping)}
    return {**defaults, **values, **{key: _merged(value, values[key]) for key, value in both.items()}}


_RULES = ("limits", "processors")  # what every search that writes symbols has in common


def _rules_of(fitting: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults that suit the task and the model, for any search."""
    search = fitting.get("search", {})
    return {name: search[name] for name in _RULES if name in search}


def _ruled(search: Mapping[str, Any], rules: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a search, of any kind, completed with the defaults."""
    known, found = registry.find("search", search["name"]).Config.__dataclass_fields__, dict(search)
    for name, fitting in rules.items():
        own = search.get(name, {})
        if name in known and isinstance(own, Mapping):
            found[name] = {**(_beside(own, fitting) if name == "limits" else fitting), **own}
    return found


def _beside(own: Mapping[str, Any], limits: Mapping[str, Any]) -> dict[str, Any]:
    """The default limits, without those in other units, or that contradict the recipe's own."""
    symbols = own.get("unit", limits.get("unit", "symbols")) == limits.get("unit", "symbols")
    kept = {name: value for name, value in limits.items() if symbols or name not in ("min_length", "max_length")}
    fewest, most = {**kept, **own}.get("min_length"), {**kept, **own}.get("max_length")
    if fewest is not None and most is not None and fewest > most:
        kept = {name: value for name, value in kept.items() if name not in ("min_length", "max_length")}
    return kept


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write every setting, including defaults, in one step."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    out = StringIO()
    yaml.dump(plain(recipe), out)
    with replacing(path) as file:
        file.write(out.getvalue())


def recipe_of_engine(values: Mapping[str, Any], *, trust: Trust) -> Recipe:
    """The recipe of an exported model, from its folder: the training section is kept unread until it is needed."""
    kept = {name: Kept(section, values[name], trust) for name, section in _LEARNING.items() if values.get(name) is not None}
    return recipe_from({**values, **kept}, trust=trust)


def changeable(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain values that can be changed; unread sections stay so."""
    return {**plain(recipe), **{name: kept for name in _LEARNING if isinstance(kept := getattr(recipe, name), Kept)}}


def with_overrides(recipe: Recipe, overrides: Sequence[str]) -> Recipe:
    """The recipe with `key.path=value` changes. Raises ConfigError for an unknown key or a wrong value.

    Another search starts from its own defaults: a recipe has all settings of the one that it names, most of which the other lacks.
    """
    tree = changeable(recipe)
    changed = {override.partition("=")[0].split(".")[0].strip() for override in overrides}
    tree.update({name: plain(recipe)[name] for name in changed & {*_LEARNING}})
    named = [override for override in overrides if override.partition("=")[0].strip() == "search.name"]
    for override in named:
        override_in(tree, override)
    if named and tree["search"]["name"] != recipe.search.name:
        tree["search"] = {"name": tree["search"]["name"]}
    for override in overrides:
        override_in(tree, override)
    return recipe_from(tree, trust=recipe.trust)


def changed_keys(old: Any, new: Any, path: str = "") -> list[str]:
    """Dotted paths at which two sets of plain values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted({*old, *new})
        return [change for key in keys for change in changed_keys(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))]
    return [] if old == new else [path]


def resolve_paths(recipe: Recipe, base: Path) -> Recipe:
    """Make relative paths absolute, starting from `base`, so that the run can be used from anywhere."""
    return _resolved(recipe, lambda *_: base)


def _resolved(recipe: Recipe, base: Callable[..., Path]) -> Recipe:
    """The recipe with absolute paths; `base(*keys)` is the folder that the path at these keys is relative to."""

    def files(split: str) -> Any:
        value = getattr(recipe.data, split)
        if not isinstance(value, tuple):
            return value
        names = ("path", "source", "target")
        named = [{name: found for name in names if (found := getattr(file, name)) and not is_elsewhere(found)} for file in value]
        return tuple(
            replace(file, **{name: str(_absolute(found, base("data", split, name))) for name, found in paths.items()})
            for file, paths in zip(value, named, strict=True)
        )

    data = recipe.data
    cache = _absolute(data.cache, base("data", "cache")) if data.cache else None
    data = replace(data, train=files("train"), validation=files("validation"), test=files("test"), cache=cache)
    training, distillation = recipe.training, recipe.distillation
    if not _is_kept(training) and training.init_from:
        training = replace(training, init_from=_absolute(training.init_from, base("training", "init_from")))
    if not _is_kept(distillation) and distillation:
        place = base("distillation", "teachers")
        distillation = replace(distillation, teachers=tuple(_absolute(teacher, place) for teacher in distillation.teachers))
    task = recipe.task
    reused = {name: value for name in task.__dataclass_fields__ if getattr(value := getattr(task, name), "run", None) is not None}
    if reused:  # vocabularies of other runs
        task = replace(
            task, **{name: replace(value, run=_absolute(value.run, base("task", name, "run"))) for name, value in reused.items()}
        )
    search, helper = recipe.search, getattr(recipe.search, "language_model", None)
    if helper is not None:
        keys = ("search", "language_model")
        named = {name: _absolute(value, base(*keys, name)) for name in ("run", "ngram") if (value := getattr(helper, name)) is not None}
        search = replace(search, language_model=replace(helper, **named))
    model = _whose_run(recipe.model, base("model", "run"))
    return replace(recipe, task=task, data=data, model=model, training=training, distillation=distillation, search=search)


def _is_kept(settings: Any) -> bool:
    return isinstance(settings, Kept)


def _whose_run(model: Any, base: Path) -> Any:
    """A model's settings, in which the path of the run whose model is adapted is relative to `base`."""
    return model if getattr(model, "run", None) is None else replace(model, run=_absolute(model.run, base))


def _absolute(path: str | Path, base: Path) -> Path:
    return Path(path) if is_elsewhere(path) or Path(path).is_absolute() else (base / path).absolute()


__all__ = [
    "DataConfig",
    "EvaluationConfig",
    "FileConfig",
    "Recipe",
    "changed_keys",
    "read_recipe",
    "recipe_from",
    "with_overrides",
    "write_recipe",
]
