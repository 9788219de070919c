"""A linear map from the window to the whole horizon: the baseline that long-horizon forecasters must beat (Zeng et al. 2023).

    target channels (B, S, C) -> the latest `context_length` -> [trend + remainder, a map each] -> (B, H, C * features) -> head

`decomposition: trend` is DLinear: a centred moving average is split off, and trend and remainder have their own maps; `seasonal` further
splits the remainder into the mean of each step of the season, and what is left. All of it is linear in the window, also with the head.

Unusual here: there is no decoder. Memory holds the window itself, and decoding reads of its inputs only what is known in advance of each
step, never values: so training is direct whatever the policy, and there are no steps to roll out. Of the source only the target channels
are read, not the past covariates beside them.
"""

from typing import Annotated, Literal, final

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import avg_pool1d, linear, pad

from antiphon.contracts.configuration import config, plugin_field
from antiphon.contracts.model import Architecture, Seq2SeqModel
from antiphon.contracts.sequences import Memory, Output, Padded
from antiphon.contracts.specs import Spec, ValueSpec
from antiphon.errors import ConfigError, DataError
from antiphon.heads.choice import build_head

Length = Annotated[int, Field(ge=1)]


@config
class LinearConfig:
    """Lengths and variants of the linear map."""

    name: Literal["linear"] = "linear"
    """The name of this architecture."""
    context_length: Length | None = None
    """The number of latest steps of the window that are mapped; None means all that the task gives. A shorter window is extended backwards
    by its first value."""
    horizon: Length | None = None
    """The greatest number of steps to forecast; None means as many as the task asks for."""
    decomposition: Literal["none", "trend", "seasonal"] = "none"
    """Components with maps of their own: none, trend and remainder (DLinear), or trend, season and remainder."""
    kernel_size: Length = 25
    """Steps of the moving average for the trend; must be odd."""
    season: Annotated[int, Field(ge=2)] | None = None
    """Steps after which a pattern repeats; must be given for the decomposition `seasonal`."""
    shared: bool = True
    """One map for all channels, or one for each."""
    features: Length = 2
    """Numbers for each step and channel that the head reads. Two make a distribution's scale independent of its location."""
    head: plugin_field("heads") | None = None  # type: ignore[valid-type]
    """The output layer; None means the default for the target."""


@final
class ChannelMap(nn.Module):
    """Windows (B, C, S) -> vectors (B, C, H * features), by one matrix for all channels or by one for each."""

    def __init__(self, context: int, outputs: int, channels: int, *, shared: bool):
        super().__init__()
        bound = context**-0.5  # as `nn.Linear` starts
        maps = 1 if shared else channels
        self.weight = nn.Parameter(torch.empty(maps, outputs, context).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(maps, outputs).uniform_(-bound, bound))

    def forward(self, windows: Float[Tensor, "B C S"]) -> Float[Tensor, "B C N"]:
        """The mapped windows. A map shared by all channels is computed as one product; repeating it for each channel is several times
        slower."""
        if len(self.weight) == 1:
            shared: Tensor = linear(windows, self.weight[0], self.bias[0])
            return shared
        mapped: Tensor = torch.einsum("bcs,cns->bcn", windows, self.weight) + self.bias
        return mapped


@final
class LinearModel(Seq2SeqModel):
    """Window, decomposition, maps and head."""

    def __init__(self, settings: LinearConfig, source: ValueSpec, target: ValueSpec, context: int, horizon: int):
        super().__init__()
        self.settings, self.source, self.target = settings, source, target
        self.context, self.horizon, self.channels, self.known = context, horizon, target.channels, target.known
        parts = {"none": 1, "trend": 2, "seasonal": 3}[settings.decomposition]
        self.maps = nn.ModuleList(
            ChannelMap(context, horizon * settings.features, self.channels, shared=settings.shared) for _ in range(parts)
        )
        dim = self.channels * settings.features
        self.advance = nn.Linear(self.known, dim, bias=False) if self.known else None
        self.head = build_head(settings.head, target, dim)

    @property
    def longest_target(self) -> int | None:
        """The horizon that it was built for."""
        return self.horizon

    def encode(self, source: Padded) -> Memory:
        """Keep the target channels of the window, (B, S, C)."""
        return Memory(source.values[..., : self.channels], source.mask)

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """The first T steps of the horizon, whatever the values of the inputs. Raises DataError when T is more than the horizon."""
        steps = inputs.values.shape[1]
        exporting = torch.compiler.is_exporting()
        if not exporting and inputs.longest > self.horizon:
            raise DataError(
                f"A forecast of this model must have at most {self.horizon} steps, the `model.horizon` it was trained with,"
                f" but {inputs.longest} are asked for."
            )
        window = latest(memory.states, memory.mask, self.context).transpose(1, 2)
        mapped = sum(layer(part) for layer, part in zip(self.maps, self._parts(window), strict=True))
        assert isinstance(mapped, Tensor), "there is at least one part"
        features = mapped.unflatten(-1, (self.horizon, -1)).permute(0, 2, 1, 3).flatten(2)  # (B, H, C * features)
        if exporting or steps > self.horizon:  # only padding lies behind the horizon; a graph makes more of it than it needs
            features = pad(features, (0, 0, 0, steps if exporting else steps - self.horizon))
        features = features[:, :steps]
        if self.advance is not None:
            features = features + self.advance(inputs.values[..., self.channels :])
        return Output(features, self.head)

    def _parts(self, window: Float[Tensor, "B C S"]) -> list[Float[Tensor, "B C S"]]:
        if self.settings.decomposition == "none":
            return [window]
        trend = moving_average(window, self.settings.kernel_size)
        remainder = window - trend
        if self.settings.decomposition == "trend":
            return [trend, remainder]
        assert self.settings.season is not None, "`build` has checked it"
        season = season_means(remainder, self.settings.season)
        return [trend, season, remainder - season]


def latest(values: Float[Tensor, "B S C"], mask: Bool[Tensor, "B S"], count: int) -> Float[Tensor, "B count C"]:
    """The last `count` real elements of each row; a shorter row is continued backwards by its first element."""
    lengths = mask.sum(dim=1, keepdim=True)
    index = (lengths - count + torch.arange(count, device=values.device)).clamp(min=0)  # (B, count)
    return values.gather(1, index.unsqueeze(-1).expand(-1, -1, values.shape[2]))


def moving_average(window: Float[Tensor, "B C S"], kernel_size: int) -> Float[Tensor, "B C S"]:
    """The centred mean over `kernel_size` steps; the ends are continued by the first and the last value."""
    side = (kernel_size - 1) // 2
    return avg_pool1d(pad(window, (side, side), mode="replicate"), kernel_size, stride=1)


def season_means(window: Float[Tensor, "B C S"], season: int) -> Float[Tensor, "B C S"]:
    """Each value replaced by the mean of all values that are whole seasons apart from it."""
    steps = window.shape[2]
    places = torch.arange(steps, device=window.device) % season
    same = (places.unsqueeze(0) == places.unsqueeze(1)).to(window.dtype)
    return window @ (same / same.sum(dim=1, keepdim=True))


def build(settings: LinearConfig, source: Spec, target: Spec) -> LinearModel:
    """Make the model. Raises ConfigError when source or target are symbols, when lengths are unknown, and for settings without effect."""
    if not isinstance(source, ValueSpec) or not isinstance(target, ValueSpec):
        raise ConfigError("`model.name` must not be `linear` when source or target is made of symbols: it maps real values.")
    context, horizon = settings.context_length or source.length, settings.horizon or target.length
    if context is None or horizon is None:
        field = "context_length" if context is None else "horizon"
        raise ConfigError(f"`model.{field}` is missing: the linear map has a fixed size, and the task has none. Give it.")
    if source.channels < target.channels:
        raise ConfigError(
            f"The linear model's source must hold the {target.channels} channels of its target, but has {source.channels} channels."
        )
    if settings.decomposition != "none" and settings.kernel_size % 2 == 0:
        raise ConfigError(f"`model.kernel_size` must be odd, but is {settings.kernel_size}.")
    if settings.decomposition == "none" and settings.kernel_size != LinearConfig().kernel_size:
        raise ConfigError("`model.kernel_size` has no effect without a decomposition. Set `model.decomposition`, or leave it out.")
    if (settings.decomposition == "seasonal") != (settings.season is not None):
        raise ConfigError("`model.season` must be given for the decomposition `seasonal`, and has no effect on others.")
    if not settings.shared and target.channels == 1:
        raise ConfigError("`model.shared` has no effect on a target of one channel. Leave it out.")
    return LinearModel(settings, source, target, context, horizon)


plugin = Architecture(
    name="linear",
    summary="One linear map from window to horizon, with or without decomposition (DLinear); real values only.",
    Config=LinearConfig,
    build=build,
    stepwise=False,
)
