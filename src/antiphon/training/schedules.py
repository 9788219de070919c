"""Learning-rate schedules: functions of the step and of the progress through the budget, with values from 0 to 1.

Unusual here: what decays does so over the *progress*, the largest share used of any budget (steps, epochs, minutes). So a cosine ends
where training ends, also when the budget is a number of minutes. Decay begins where the warm-up ends, so every schedule reaches its peak.
A warm-up may be a share of the progress, too (`warmup_steps: auto`): so many steps that would suit ten hours leave two minutes no time.
"""

import math
from typing import Annotated, Literal

from pydantic import Field

from antiphon.contracts.configuration import Choice, config

WARMUP_SHARE, WARMUP_MOST = 0.1, 1000  # of `auto`: a tenth of the budget; a long training needs no longer warm-up than this

Warmup = Annotated[int, Field(ge=0)] | Literal["auto"]


@config
class ConstantConfig:
    """A linear warm-up, then the peak."""

    name: Literal["constant"] = "constant"
    """The name of this schedule."""
    warmup_steps: Warmup = 0
    """Steps from 0 to the peak; `auto` is a tenth of the budget, whatever its unit, and at most 1,000 steps."""


@config
class InverseSquareRootConfig:
    """A linear warm-up, then decay with the square root of the step (Vaswani et al. 2017)."""

    name: Literal["inverse_square_root"] = "inverse_square_root"
    """The name of this schedule."""
    warmup_steps: Warmup = 1000
    """Steps from 0 to the peak; `auto` is a tenth of the budget, whatever its unit, and at most 1,000 steps."""


@config
class CosineConfig:
    """A linear warm-up, then half a cosine down to `final` at the end of the budget (Loshchilov and Hutter 2017)."""

    name: Literal["cosine"] = "cosine"
    """The name of this schedule."""
    warmup_steps: Warmup = 400
    """Steps from 0 to the peak; `auto` is a tenth of the budget, whatever its unit, and at most 1,000 steps."""
    final: float = Field(default=0.0, ge=0, le=1)
    """Share of the peak that is left at the end."""


@config
class LinearConfig:
    """A linear warm-up, then a straight line down to `final` at the end of the budget."""

    name: Literal["linear"] = "linear"
    """The name of this schedule."""
    warmup_steps: Warmup = 400
    """Steps from 0 to the peak; `auto` is a tenth of the budget, whatever its unit, and at most 1,000 steps."""
    final: float = Field(default=0.0, ge=0, le=1)
    """Share of the peak that is left at the end."""


@config
class WarmupStableDecayConfig:
    """Warm-up, a plateau, then a linear decay over the last part of the budget (Hu et al. 2024)."""

    name: Literal["warmup_stable_decay"] = "warmup_stable_decay"
    """The name of this schedule."""
    warmup_steps: Warmup = 400
    """Steps from 0 to the peak; `auto` is a tenth of the budget, whatever its unit, and at most 1,000 steps."""
    decay: float = Field(default=0.2, gt=0, le=1)
    """Share of the budget over which the rate falls to 0; if less remains after the warm-up, the remainder."""


AnySchedule = ConstantConfig | InverseSquareRootConfig | CosineConfig | LinearConfig | WarmupStableDecayConfig
ScheduleConfig = Annotated[AnySchedule, Choice("inverse_square_root")]


def learning_rate_factor(settings: AnySchedule, step: int, progress: float) -> float:
    """The factor for the update after `step` updates, at `progress` (0 to 1) through the budget."""
    rising, warmup = _warming_up(settings.warmup_steps, step, progress := min(max(progress, 0.0), 1.0))
    if rising is not None:
        return rising
    decayed = _share_decayed(warmup, step, progress)
    if isinstance(settings, InverseSquareRootConfig):
        return math.sqrt(max(warmup, 1) / (step + 1)) if settings.warmup_steps != "auto" else min(1.0, math.sqrt(warmup / max(step, 1)))
    if isinstance(settings, CosineConfig):
        return settings.final + (1 - settings.final) * 0.5 * (1 + math.cos(math.pi * decayed))
    if isinstance(settings, LinearConfig):
        return settings.final + (1 - settings.final) * (1 - decayed)
    if isinstance(settings, WarmupStableDecayConfig):
        return min(1.0, max((1 - progress) / settings.decay, 1 - decayed))
    return 1.0


def _warming_up(warmup: Warmup, step: int, progress: float) -> tuple[float | None, int | float]:
    """The factor during warm-up, else None; and the number of warm-up steps, which `auto` only knows at the end of the warm-up."""
    if warmup != "auto":
        return ((step + 1) / warmup if step < warmup else None), warmup
    risen = max((step + 1) / WARMUP_MOST, progress / WARMUP_SHARE)
    if risen < 1:
        return risen, WARMUP_MOST
    return None, min(WARMUP_MOST, WARMUP_SHARE * step / progress) if progress > 0 else min(WARMUP_MOST, step)


def _share_decayed(warmup: int | float, step: int, progress: float) -> float:
    """The used share of the budget that remained after the warm-up, from 0 to 1.

    The warm-up is taken to have used `progress * warmup / step`, its share of the updates so far: exact for a budget of steps or epochs,
    and for one of minutes the best guess that needs no memory, so that a resumed run goes on exactly. The result never falls as step and
    progress rise, however unevenly the clock runs.
    """
    if progress >= 1:
        return 1.0
    return progress * (step - warmup) / (step - progress * warmup) if step > warmup else 0.0
