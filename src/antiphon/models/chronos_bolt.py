"""Chronos-Bolt, a published forecasting model that was pretrained on many series (Ansari et al. 2024; extra `forecast-fm`).

    path       a folder with a published checkpoint (config.json, model.safetensors), or its name on the hub

A run of 0 steps (`training.max_steps: 0`) is the published model as it is: zero-shot. With more steps it is fine-tuned.

Unusual here: it reads the past of each target by itself, and nothing else, so covariates have no effect; the horizon is any. What a
checkpoint needs is in the run, which can be used without the published one. Settings of the task that suit it (the long context, missing
values that are marked rather than refused) are this architecture's defaults.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, final

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import pad

from antiphon.contracts.configuration import config
from antiphon.contracts.model import Architecture, Seq2SeqModel
from antiphon.contracts.sequences import Memory, Output, Padded, Quantiles
from antiphon.contracts.specs import Spec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.features.published import need_transformers, published_folder
from antiphon.models.chronos_bolt_network import ChronosBoltNetwork, shape_of
from antiphon.models.pretrained_weights import weight_files


@config
class ChronosBoltConfig:
    """Which checkpoint to start from."""

    name: Literal["chronos_bolt"] = "chronos_bolt"
    """The name of this architecture."""
    path: str | None = None
    """Must be given: a folder with a Chronos-Bolt checkpoint, or its name on the hub, such as `amazon/chronos-bolt-small`."""
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Dropout in training instead of the checkpoint's own; None keeps that."""
    description: dict[str, Any] | None = None
    """The checkpoint's own configuration; a run fills it in, so that it can be used without the checkpoint that it came from."""


@final
class ChannelQuantiles(nn.Module):
    """Vectors (..., C * Q) -> quantiles (..., C, Q). They are the network's raw outputs, and so may cross."""

    def __init__(self, channels: int, levels: tuple[float, ...]):
        super().__init__()
        self.channels, self.levels = channels, levels

    def forward(self, features: Float[Tensor, "... D"]) -> Quantiles:
        """The same numbers, arranged by channel."""
        return Quantiles(features.unflatten(-1, (self.channels, -1)), self.levels)


@final
class ChronosBolt(Seq2SeqModel):
    """The published network as a model of ours: a direct forecaster. `features` of its outputs are the quantiles, (B, T, C * Q)."""

    source: ValueSpec
    target: ValueSpec

    def __init__(self, settings: ChronosBoltConfig, network: ChronosBoltNetwork, source: ValueSpec, target: ValueSpec):
        super().__init__()
        self.settings, self.source, self.target = settings, source, target
        self.network = network
        self.head = ChannelQuantiles(target.channels, network.shape.levels)

    def encode(self, source: Padded) -> Memory:
        """Keep the target channels of the window, and whether each was observed: (B, S, 2 C)."""
        channels = self.target.channels
        values = source.values[..., :channels]
        marks = source.values[..., channels : 2 * channels] if self.source.marks else torch.ones_like(values)
        return Memory(torch.cat([values, marks], dim=-1), source.mask)

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """Forecast T steps; the values of the inputs are not used."""
        steps, channels = inputs.longest, self.target.channels
        values, marks = _ending_together(memory.states, memory.mask).transpose(1, 2).split(channels, dim=1)  # (B, C, S) each
        said = self.network.forecast(values.flatten(0, 1), marks.flatten(0, 1) > 0.5, steps)  # (B * C, Q, T)
        features = said.unflatten(0, (-1, channels)).permute(0, 3, 1, 2).flatten(2)
        return Output(pad(features, (0, 0, 0, inputs.values.shape[1] - steps)), self.head)


def _ending_together(states: Float[Tensor, "B S D"], mask: Bool[Tensor, "B S"]) -> Float[Tensor, "B S D"]:
    """Each row aligned to the end, with zeros (marked as not observed) before it."""
    steps = states.shape[1]
    place = torch.arange(steps, device=states.device) - (steps - mask.sum(dim=1, keepdim=True))
    moved = states.gather(1, place.clamp(min=0).unsqueeze(-1).expand_as(states))
    return torch.where(place.unsqueeze(-1) < 0, 0.0, moved)


def resolve(settings: ChronosBoltConfig, earlier: ChronosBoltConfig | None = None) -> ChronosBoltConfig:
    """The settings with the checkpoint's own configuration. Raises ConfigError for a checkpoint that is not a Chronos-Bolt."""
    if settings.description is not None:
        return settings
    if settings.path is None:
        raise ConfigError("`model.path` is missing: name the folder of a Chronos-Bolt checkpoint, or one on the hub.")
    if earlier is not None and earlier.path in (settings.path, str(Path(settings.path).absolute())):
        return replace(settings, path=earlier.path, description=earlier.description)
    need_transformers("Chronos-Bolt", "forecast-fm")
    folder = published_folder(settings.path)
    try:
        description = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"`model.path`: config.json of {settings.path} cannot be read: {error}.") from error
    shape_of(description if isinstance(description, dict) else {}, settings.path)
    path = str(folder.absolute()) if Path(settings.path).is_dir() else settings.path
    return replace(settings, path=path, description=description)


def start(model: ChronosBolt, settings: ChronosBoltConfig) -> Sequence[str]:
    """Load the published weights, and say what the model does not read. Raises ConfigError when they are not safetensors or do not fit."""
    assert settings.path is not None, "`resolve` has refused that"
    shape = model.network.shape
    _take(model.network, published_folder(settings.path), settings.path)
    notes = [
        f"The weights of {settings.path} (Chronos-Bolt) are taken over: it reads up to {shape.context_length:,} steps, and says"
        f" {shape.prediction_length} at once."
    ]
    beside = model.source.channels - model.target.channels - model.source.marks
    if beside or model.target.known > model.target.sizes:
        notes.append("  It reads the past of the targets alone: covariates (`past`, `known`, `static`, `calendar`) have no effect on it.")
    if (model.target.length or 0) > shape.prediction_length:
        notes.append(f"  The horizon is longer than that: what is behind step {shape.prediction_length} follows from its own forecasts.")
    return notes


def _take(network: ChronosBoltNetwork, folder: Path, name: str) -> None:
    """Load the weights in a folder into the network."""
    found: dict[str, Tensor] = {}
    for path in weight_files(folder, name):
        try:
            found |= load_file(path)
        except (SafetensorError, OSError) as error:
            raise ConfigError(f"`model.path`: {path} cannot be read: {error}.") from error
    own = network.state_dict()
    missing = [key for key in own if key not in found]
    wrong = [key for key in own if key in found and found[key].shape != own[key].shape]
    for keys, what in ((missing, "misses"), (wrong, "has another shape for")):
        if keys:
            raise ConfigError(f"`model.path`: {name} {what} the weights {', '.join(keys[:4])}{' ...' if len(keys) > 4 else ''}.")
    network.load_state_dict({key: found[key] for key in own})  # what is left over are other names of `shared.weight`


def build(settings: ChronosBoltConfig, source: Spec, target: Spec) -> ChronosBolt:
    """Make the network with fresh weights. Raises ConfigError when source or target are symbols, or the path is not a Chronos-Bolt."""
    if not isinstance(source, ValueSpec) or not isinstance(target, ValueSpec):
        raise ConfigError("`model.name` must not be `chronos_bolt` when source or target is made of symbols: it forecasts real values.")
    if source.channels < target.channels:
        raise ConfigError(
            f"The source of `chronos_bolt` must hold the {target.channels} channels of its target, but has {source.channels} channels."
        )
    need_transformers("Chronos-Bolt", "forecast-fm")
    known = resolve(settings)
    assert known.description is not None, "`resolve` has filled it in"
    return ChronosBolt(known, ChronosBoltNetwork(shape_of(known.description, str(known.path)), known.dropout), source, target)


def defaults(settings: ChronosBoltConfig) -> dict[str, Any]:
    """The context length of the published models, missing values marked rather than refused, and the quantile loss."""
    task = {"name": "forecasting", "context_length": 2048, "shortest_context": 1, "missing": "previous", "observed_mask": True}
    return {"task": task, "training": {"loss": {"name": "pinball"}}}


plugin = Architecture(
    name="chronos_bolt",
    summary="A published Chronos-Bolt checkpoint: forecasts series that it was never trained on; real values only.",
    Config=ChronosBoltConfig,
    build=build,
    stepwise=False,
    defaults=defaults,
    resolve=resolve,
    start=start,
)
