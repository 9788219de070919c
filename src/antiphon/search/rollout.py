"""Autoregressive forecasting: the decoder reads its own last value, which is a sample of a distribution or a point.

Unusual here: the sample paths of a source are rows side by side, as the hypotheses of a beam are, so nothing of the source is copied. The
first step is taken once per source, since all paths begin alike; its state is then repeated. Random numbers belong to the source.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, final

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor
from torch.distributions import Distribution

from antiphon.contracts.configuration import config
from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.search import SearchPlugin
from antiphon.contracts.sequences import Hypothesis, Output, Padded, Quantiles, Request, select_rows
from antiphon.contracts.specs import ValueSpec
from antiphon.heads.draws import draw, sized, uniforms_per_draw
from antiphon.heads.quantile import median_of
from antiphon.search.forecasts import LEVELS, Found, Point, check_levels, hypotheses_of, known_inputs, summary
from antiphon.search.preparation import value_target
from antiphon.search.randomness import uniforms_of


@config
class RolloutConfig:
    """Step by step: sample paths of a distribution, or one path of point forecasts."""

    name: Literal["rollout"] = "rollout"
    """The search."""
    samples: Annotated[int, Field(ge=1)] = 100
    """Sample paths per source if the head predicts a distribution; points and quantiles have one path."""
    point: Point = "mean"
    """The point forecast of the paths: their mean or their median at each step."""
    levels: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = LEVELS
    """Levels of the quantiles of the paths; a quantile head has its own."""
    seed: Annotated[int, Field(ge=0)] = 0
    """The seed, which together with the source's content determines all samples."""
    keep_paths: bool = True
    """Whether to return the paths themselves with each forecast."""

    def __post_init__(self) -> None:
        check_levels(self.levels)


@final
class RolloutSearch:
    """One hypothesis per source, with point forecast, quantiles and sample paths.

    A head of points is followed along its points, and gives no quantiles. A head of quantiles is followed along its medians; its
    quantiles are those of each step given the medians before it, too narrow for later steps: `direct` suits it better.
    """

    def __init__(self, settings: RolloutConfig):
        self.settings = settings

    @torch.inference_mode()
    def __call__(self, model: StepwiseModel, source: Padded, requests: Sequence[Request] | None = None) -> list[list[Hypothesis]]:
        """Decode a batch. Raises ConfigError when the model writes symbols or its head cannot be sampled, DataError when a request lacks
        the values known in advance."""
        spec = value_target(model, "The search `rollout`")
        known = known_inputs(requests, source, spec, model.longest_target)
        steps = known.values.shape[1]
        memory = model.project(model.encode(source))
        state = model.init_state(memory, 1, steps)
        output, state = model.step(known.values[:, 0], memory, state)
        paths = _Paths(output, source, known, spec, self.settings)
        state = select_rows(state, paths.rows) if paths.width > 1 else state
        last = paths.follow(output if paths.width == 1 else Output(output.features[paths.rows], output.head))
        for step in range(1, steps):
            beside = known.values[:, step, spec.channels :].index_select(0, paths.rows)
            output, state = model.step(torch.cat([last.to(beside.dtype), beside], dim=-1), memory, state)
            last = paths.follow(output)
        return hypotheses_of(paths.found(), known.lengths.tolist())


@final
class _Paths:
    """The values of each step. The number of paths per source, `width`, depends on the head's output at the first step."""

    def __init__(self, first: Output, source: Padded, known: Padded, spec: ValueSpec, settings: RolloutConfig):
        self.known, self.spec, self.settings = known, spec, settings
        self.sampled = isinstance(first.values, Distribution)
        self.width = settings.samples if self.sampled else 1
        self.rows: Int[Tensor, " R"] = torch.arange(len(known.lengths), device=known.values.device).repeat_interleave(self.width)
        self.elements: list[Tensor] = []  # (R, C) at each step
        self.quantiles: list[Quantiles] = []  # (R, C, Q) at each step, of a head that says them
        self.uniforms: Tensor | None = None
        if self.sampled:
            numbers, channels = uniforms_per_draw(first.values), first.values.mean.shape[-1]
            # By step first, so that a longer horizon of a neighbour shifts no draw.
            self.uniforms = uniforms_of(source, (known.values.shape[1], self.width, channels, numbers), settings.seed)

    def follow(self, output: Output) -> Float[Tensor, "R C"]:
        """The next decoder input, made from the head's output."""
        element = self._element(output.values)
        self.elements.append(element)
        return element

    def _element(self, said: Any) -> Float[Tensor, "R C"]:
        if self.uniforms is not None:
            step = len(self.elements)
            beside = self.known.values[:, step].index_select(0, self.rows)
            return draw(sized(said, beside, self.spec), self.uniforms[:, step].flatten(0, 1))
        if isinstance(said, Quantiles):
            self.quantiles.append(said)
            return median_of(said)
        point: Tensor = said
        return point

    def found(self) -> Found:
        """The forecasts of all steps."""
        elements = torch.stack(self.elements, dim=1)  # (R, T, C)
        if not self.sampled:
            if not self.quantiles:
                return Found(elements)
            return Found(elements, torch.stack([said.values for said in self.quantiles], dim=1), self.quantiles[0].levels)
        paths = elements.unflatten(0, (-1, self.width))  # (B, W, T, C)
        points = paths.mean(1) if self.settings.point == "mean" else summary(paths, (0.5,))[..., 0]
        levels = self.settings.levels
        return Found(points, summary(paths, levels) if levels else None, levels, paths if self.settings.keep_paths else None)


plugin = SearchPlugin(
    name="rollout", summary="real values step by step: sample paths, or one path of points", Config=RolloutConfig, build=RolloutSearch
)
