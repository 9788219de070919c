"""Low-rank adapters on the model of an earlier run, of any architecture of ours: only a few new parameters are trained (extra `hf`).

    antiphon train runs/mine/recipe.yaml --set "model={name: adapted, run: $PWD/runs/mine}" --set training.init_from=null ...

Checkpoints hold the adapters alone, and which weights they stand on (docs/design/0009). `antiphon export --format merged` makes one whole
model of both.

Unusual here: there is no model of this name. What is built is the earlier run's model itself, with layers of peft in some places, so that
every search, loss and report treats it as what it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from antiphon.contracts import registry
from antiphon.contracts.configuration import Verdict, config, plugin_field, validate, verdict
from antiphon.contracts.model import Architecture, Seq2SeqModel
from antiphon.contracts.specs import Spec, TokenSpec
from antiphon.contracts.trust import Trust
from antiphon.errors import CheckpointError, ConfigError
from antiphon.models import transformer
from antiphon.models.adapters import AdapterConfig, adapt, base_name, follow_base, need_peft
from antiphon.store import checkpoint
from antiphon.store.revisions import upgraded, upgraded_settings


@config
class AdaptedConfig:
    """Which run's model is adapted, and how."""

    name: Literal["adapted"] = "adapted"
    """The name of this architecture."""
    run: Path | None = None
    """Must be given: the run, or one of its checkpoints, whose model is adapted. The run must have the task's vocabulary
    (`task.vocabulary.run`)."""
    adapter: AdapterConfig = AdapterConfig()
    """The adapters."""
    model: plugin_field("models") | None = None  # type: ignore[valid-type]
    """The adapted model's own settings; filled in by a run."""
    sha256: str | None = None
    """Hash of the adapted model's weights; filled in by a run, to detect changes."""
    trust: Verdict = verdict()
    """Whether code from outside that the run names may be imported; no setting."""

    @property
    def head(self) -> Any:
        """The output layer of the adapted model."""
        return getattr(self.model, "head", None)


@config
class _Taken:
    """What is inherited from that run's recipe beside the model."""

    loss: plugin_field("losses", "cross_entropy") | None = None  # type: ignore[valid-type]
    """Its loss."""
    search: plugin_field("search", "beam") = "beam"  # type: ignore[valid-type]
    """Its search."""


def resolve(settings: AdaptedConfig, earlier: AdaptedConfig | None = None) -> AdaptedConfig:
    """The settings, completed with those of the earlier run's model and the hash of its weights.

    Raises ConfigError when no run is named, or its model is one that cannot be adapted like this.
    """
    if settings.run is None:
        raise ConfigError("`model.run` is missing: name the run whose model is to be adapted.")
    if settings.sha256 is not None:
        return settings
    if earlier is not None and earlier.run == settings.run.absolute():
        return replace(settings, run=earlier.run, model=earlier.model, sha256=earlier.sha256)
    saved = _saved(settings.run)
    model = saved.header["recipe"]["model"]
    trust = settings.trust.of_runs()
    plugin = registry.admit("models", model["name"], trusted=trust.allows(model["name"]))
    if plugin.borrow is not None:
        instead = "Export it (`--format merged`), and adapt that." if model["name"] == "adapted" else "Its own `model.adapter` does this."
        raise ConfigError(f"`model.run` must not be a run of `{model['name']}`, but {settings.run} is. {instead}")
    _check_names(saved.header["recipe"], trust)
    described = validate(plugin.Config, upgraded_settings(saved, trust), trust=trust)
    return replace(settings, run=settings.run.absolute(), model=described, sha256=saved.checked(checkpoint.WEIGHTS))


def defaults(settings: AdaptedConfig) -> dict[str, Any]:
    """The loss and the search of that run, whose model may have no decoder."""
    if settings.run is None:
        return {}
    try:
        recipe = checkpoint.read_json(checkpoint.find_checkpoint(settings.run) / checkpoint.HEADER)["recipe"]
    except CheckpointError:  # is told when its weights are needed
        return {}
    _check_names(recipe, settings.trust.of_runs())
    return {"training": {"loss": recipe["training"]["loss"]}, "search": recipe["search"]}


def _check_names(recipe: Mapping[str, Any], trust: Trust) -> None:
    """Raise ConfigError when the loss or search inherited from that run names code that is not trusted."""
    validate(_Taken, {"loss": recipe["training"]["loss"], "search": recipe["search"]}, path="model.run", trust=trust)


def build(settings: AdaptedConfig, source: Spec, target: Spec) -> Seq2SeqModel:
    """Make that model with fresh weights and adapters. Raises ConfigError when a pattern matches no layer that can be adapted."""
    need_peft()
    known = resolve(settings)
    assert known.model is not None, "it has just been filled in"
    if known.adapter.base_precision != "fp32":
        raise ConfigError("`model.adapter.base_precision` must be fp32 unless `model.name` is `pretrained`.")
    model: Seq2SeqModel = registry.find("models", known.model.name).build(known.model, source, target)
    head = getattr(model, "head", None)
    model.stored = adapt(model, known.adapter, outputs=head if isinstance(head, nn.Module) else None)
    return model


def start(model: Seq2SeqModel, settings: AdaptedConfig) -> Sequence[str]:
    """Load the earlier run's weights. Raises CheckpointError when they do not fit, or differ from those that the settings describe."""
    borrow(model, settings)
    assert settings.model is not None, "`resolve` has filled it in"
    learned = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return [
        f"The weights of {settings.run} ({settings.model.name}) are taken over.",
        f"{settings.adapter.kind}: {learned:,} parameters are learned. Checkpoints hold these alone, and need {settings.run} as it is.",
    ]


def borrow(model: Seq2SeqModel, settings: AdaptedConfig) -> None:
    """Load the frozen base weights beside the adapters. Raises CheckpointError when they are missing, have changed, or do not fit."""
    assert settings.run is not None, "`resolve` has refused that"
    remedy = "Put it back, or say where it is: `--set model.run=FOLDER`."
    try:
        saved = _saved(settings.run)
        found = saved.checked(checkpoint.WEIGHTS)
    except CheckpointError as error:
        raise CheckpointError(f"This run is an adapter, and its base, {settings.run}, is missing. {remedy} ({error})") from error
    if found != settings.sha256:
        raise CheckpointError(
            f"This run is an adapter, and its base, {settings.run}, has changed: the weights there have the hash {found[:12]}, but those"
            f" that it was trained on {str(settings.sha256)[:12]}. {remedy}"
        )
    own, (weights, _) = model.state_dict(), upgraded(saved, settings.trust.of_runs())
    places = {base_name(name): name for name in own}
    _check_symbols(model, saved, settings.run)
    unfit = [name for name, tensor in weights.items() if name not in places or own[places[name]].shape != tensor.shape]
    unfit += [name for name, place in places.items() if name not in weights and place not in (model.stored or ())]
    if unfit:
        raise CheckpointError(
            f"{settings.run} does not fit: {unfit[0]} is not in both it and this model. Its task must be that of the run;"
            f" `task.vocabulary: {{run: {settings.run}}}` takes its vocabulary."
        )
    model.load_state_dict({places[name]: tensor for name, tensor in weights.items()}, strict=False)
    follow_base(model)


def _check_symbols(model: Seq2SeqModel, saved: checkpoint.Checkpoint, run: Path) -> None:
    """Raise CheckpointError when the base has another vocabulary: frozen embeddings cannot learn new symbols."""
    for side, spec in (("source", model.source), ("target", model.target)):
        if isinstance(spec, TokenSpec) and saved.header[side].get("fingerprint") != spec.fingerprint:
            raise CheckpointError(
                f"{run} does not fit: its {side} vocabulary is not that of this task. Take it: `task.vocabulary: {{run: {run}}}`."
            )


def _saved(run: Path) -> checkpoint.Checkpoint:
    """The best checkpoint of the run."""
    return checkpoint.read(checkpoint.find_checkpoint(run).resolve())


def upgrade(revision: int, weights: dict[str, Tensor], settings: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Upgrade from revision 1, whose base models were of their first revision; only the Transformer has a later one."""
    model = settings.get("model")
    if revision < 2 and model is not None and model["name"] == transformer.plugin.name:
        settings = {**settings, "model": transformer.upgrade(1, {}, model)[1]}
    return weights, settings


plugin = Architecture(
    name="adapted",
    summary="The model of an earlier run with low-rank adapters (LoRA, DoRA): only these are trained and saved.",
    Config=AdaptedConfig,
    build=build,
    defaults=defaults,
    resolve=resolve,
    start=start,
    borrow=borrow,
    revision=2,
    upgrade=upgrade,
)
