"""The sweep section of a recipe: which settings are tried, by which score trials are compared, and how many trials there are."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, TypeAdapter

from antiphon.contracts.configuration import Choice, Count, config


@config
class RangeConfig:
    """A range of values between two numbers, for a setting in `sweep.space`; alternatively give a list of values."""

    low: float
    """The least value."""
    high: float
    """The greatest value."""
    log: bool = False
    """Whether values are drawn uniformly on a logarithmic scale, as suits learning rates."""
    step: Annotated[float, Field(gt=0)] | None = None
    """The distance between the values that are tried, beginning with `low`; None allows all values."""
    integer: bool | None = None
    """Whether only whole numbers are drawn; None means what the setting accepts."""

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError(f"`high` must be more than `low` ({self.low:g}), but is {self.high:g}.")
        if self.log and self.low <= 0:
            raise ValueError(f"`low` must be more than 0 with `log`, but is {self.low:g}.")
        if self.log and self.step is not None:
            raise ValueError("`step` must be left out with `log`: logarithms have no even steps. Give a list of values.")
        if self.step is not None and self.step > self.high - self.low:
            raise ValueError(f"`step` must be at most {self.high - self.low:g}, the width of the range, but is {self.step:g}.")
        uneven = [name for name in ("low", "high", "step") if not float(getattr(self, name) or 0).is_integer()]
        if self.integer and uneven:
            raise ValueError(f"`{uneven[0]}` must be a whole number with `integer`, but is {getattr(self, uneven[0]):g}.")


@config
class NoPruningConfig:
    """Every trial runs to its end."""

    name: Literal["none"] = "none"
    """The name of this pruning."""


@config
class MedianPruningConfig:
    """A trial ends early when its best score so far is worse than the median of the others' at the same validation (Golovin et al. 2017,
    Google Vizier, section 3.2)."""

    name: Literal["median"] = "median"
    """The name of this pruning."""
    first_trials: Count = 5
    """This many trials run to their end before any is pruned."""
    first_validations: Annotated[int, Field(ge=0)] = 1
    """The number of first validations of a trial at which it is never pruned."""


@config
class HyperbandPruningConfig:
    """Successive halving in several brackets (Li et al. 2018, Hyperband): after a number of validations only the best share of the trials
    continues; brackets differ in when the first trials end. It pays from about 30 trials with 10 validations on."""

    name: Literal["hyperband"] = "hyperband"
    """The name of this pruning."""
    factor: Annotated[int, Field(ge=2)] = 3
    """One out of this many trials continues."""
    first_validations: Count = 1
    """No trial is pruned before it has had this many validations."""


PruningConfig = Annotated[NoPruningConfig | MedianPruningConfig | HyperbandPruningConfig, Choice("none")]


def _dimension(value: Any) -> Any:
    """A range, or a list of values."""
    if isinstance(value, RangeConfig):
        return value
    if isinstance(value, Mapping):
        return TypeAdapter(RangeConfig).validate_python(value)
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"must be a list of values, or a range such as {{low: 1, high: 8}}, but is {value!r}.")
    if any(isinstance(one, float) and not math.isfinite(one) for one in value):
        raise ValueError("must be values that are numbers, but one is infinite or NaN.")
    if any(type(one) is type(other) and one == other for place, one in enumerate(value) for other in value[:place]):
        raise ValueError(f"must be a list of different values, but is {value!r}.")
    return tuple(value)


Dimension = RangeConfig | tuple[Any, ...]


@config
class SweepConfig:
    """Which settings `antiphon sweep` tries, and how it compares trials. `antiphon train` does not read it."""

    space: dict[str, Annotated[Dimension, BeforeValidator(_dimension)]]
    """Dotted settings of the recipe with what is tried: a list of values, or a range: `model.dim: [128, 256]`,
    `training.optimizer.learning_rate: {low: 1e-4, high: 3e-3, log: true}`."""
    metric: str | None = None
    """What a sweep optimizes on the validation data: `loss`, or one of `evaluation.metrics`; None is `training.best`, or the first metric
    where that is the loss."""
    trials: Count = 20
    """Trials of the whole sweep, by all processes and restarts together."""
    max_minutes: Annotated[float, Field(gt=0)] | None = None
    """No trial begins once all trials together have taken this many minutes."""
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    """How the settings of the next trial are chosen: by a tree-structured Parzen estimator, which learns from earlier trials (Bergstra et
    al. 2011); at random (Bergstra and Bengio 2012); or as all combinations, in an order that the seed determines."""
    pruning: PruningConfig = NoPruningConfig()
    """How unpromising trials end early."""
    seed: Annotated[int, Field(ge=0)] = 1
    """The seed for drawing settings; every trial trains with the recipe's own `seed`."""

    def __post_init__(self) -> None:
        if not self.space:
            raise ValueError(
                "`space` must name at least one setting, such as `training.optimizer.learning_rate: {low: 1e-4, high: 3e-3, log: true}`."
            )
        if self.sampler == "grid":
            endless = [key for key, found in self.space.items() if isinstance(found, RangeConfig) and not (found.step or found.integer)]
            if endless:
                raise ValueError(
                    f"`space.{endless[0]}` must be a list of values, or have a `step` or `integer: true`, where every combination is tried"
                    " (`sampler: grid`)."
                )
