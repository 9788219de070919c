"""The common parts of searches for real values: reading requests, and turning tensors into hypotheses."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from antiphon.contracts.sequences import Hypothesis, Padded, Quantiles, Request, pad
from antiphon.contracts.specs import ValueSpec
from antiphon.errors import AntiphonError, ConfigError, DataError

Point = Literal["mean", "median"]
LEVELS = (0.025, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.975)


def check_levels(levels: Sequence[float]) -> None:
    """Raises ConfigError unless levels ascend within 0 and 1."""
    if any(not low < high for low, high in pairwise((0.0, *levels, 1.0))):
        raise ConfigError(f"`levels` must ascend within 0 and 1, but are {list(levels)}.")


def known_inputs(requests: Sequence[Request] | None, sources: Padded, spec: ValueSpec, longest: int | None = None) -> Padded:
    """The decoder's inputs that are known in advance: values (B, T, C + known) and the horizon of each source, on the sources' device;
    `longest` is the model's `longest_target`.

    Raises DataError when a request does not say what is known, has another width, holds what is no number, or is for more steps than the
    model can say, and ConfigError when it asks what only symbols can.
    """
    asked = requests if requests is not None else (Request(),) * len(sources.lengths)
    assert len(asked) == len(sources.lengths), f"{len(sources.lengths)} sources need as many requests, not {len(asked)}"
    known = pad([_known(row, request, spec) for row, request in enumerate(asked)])
    if longest is not None and int(known.lengths.max()) > longest:
        raise DataError(f"A forecast of this model must have at most {longest} steps, but {int(known.lengths.max())} are asked for.")
    device = sources.values.device
    return Padded(known.values.to(device, _floating(sources.values)), known.lengths.to(device))


def _floating(values: Tensor) -> torch.dtype:
    return values.dtype if values.is_floating_point() else torch.float32


def _known(row: int, request: Request, spec: ValueSpec) -> Float[np.ndarray, "T width"]:
    if request.prefix or request.required or request.banned:
        raise ConfigError("A forced opening, required or banned phrases need a model that writes symbols, but this one writes values.")
    if request.known is None or request.known.ndim != 2 or len(request.known) == 0 or request.known.shape[1] != spec.width:
        found = "missing" if request.known is None else f"of shape {request.known.shape}"
        raise DataError(f"The request of source {row} of the batch must have (horizon, {spec.width}) known values, but they are {found}.")
    known = np.array(request.known, dtype=np.float32)
    known[1:, : spec.channels] = 0  # to be said, and so not known
    if not np.isfinite(known).all():
        step = int(np.argwhere(~np.isfinite(known))[0][0])
        raise DataError(
            f"What is known in advance must be finite, but of source {row} of the batch it is not for step {step + 1} of the horizon."
            " Fill in the missing values, or leave the column out."
        )
    return known


@dataclass(frozen=True)
class Found:
    """The results of a search for a batch; steps beyond a source's horizon have no meaning."""

    points: Float[Tensor, "B T C"]
    quantiles: Float[Tensor, "B T C Q"] | None = None
    levels: tuple[float, ...] = ()
    samples: Float[Tensor, "B W T C"] | None = None


def hypotheses_of(found: Found, horizons: Sequence[int]) -> list[list[Hypothesis]]:
    """One hypothesis per source. Its score is 0, since there are no alternatives.

    Raises AntiphonError when the model's output was not finite: it must not pass for a result.
    """
    points = found.points.float().cpu().numpy()
    quantiles = None if found.quantiles is None else found.quantiles.float().cpu().numpy()
    samples = None if found.samples is None else found.samples.float().cpu().numpy()
    results = []
    for row, horizon in enumerate(horizons):
        own = points[row, :horizon].copy()  # a view would keep the whole batch alive
        if not np.isfinite(own).all():
            raise AntiphonError("The model's values must be finite, but are not. Has its training diverged, or do its paths explode?")
        results.append(
            [
                Hypothesis(
                    own,
                    score=0.0,
                    log_prob=0.0,
                    finish_reason="length",
                    quantiles=None if quantiles is None else Quantiles(quantiles[row, :horizon].copy(), found.levels),
                    samples=None if samples is None else samples[row, :, :horizon].copy(),
                )
            ]
        )
    return results


def summary(samples: Float[Tensor, "B W *rest"], levels: Sequence[float]) -> Float[Tensor, "B *rest Q"]:
    """Empirical quantiles of samples, with linear interpolation. (`torch.quantile` gives the same, but refuses more than 2^24 numbers.)"""
    ordered = samples.sort(dim=1).values
    places = [level * (samples.shape[1] - 1) for level in levels]
    return torch.stack([ordered[:, math.floor(at)].lerp(ordered[:, math.ceil(at)], at - math.floor(at)) for at in places], dim=-1)
