"""Direct forecasting: all steps of a horizon in one call of the decoder, which reads no values after the start element.

The model must have been trained alike (`training.decoder_inputs: direct`). Steps are said independently of each other: there are quantiles
for each step, but no sample paths.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, final

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.distributions import Distribution

from antiphon.contracts.configuration import config
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.search import SearchPlugin
from antiphon.contracts.sequences import Hypothesis, Padded, Quantiles, Request
from antiphon.heads.draws import draw, quantiles_of, sized, uniforms_per_draw
from antiphon.heads.quantile import median_of
from antiphon.search.forecasts import LEVELS, Found, Point, check_levels, hypotheses_of, known_inputs, summary
from antiphon.search.preparation import value_target
from antiphon.search.randomness import uniforms_of


@config
class DirectConfig:
    """The whole horizon in one call."""

    name: Literal["direct"] = "direct"
    """The search."""
    point: Point = "mean"
    """The point forecast of a distribution: its mean or its median. Of quantiles it is the median."""
    levels: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = LEVELS
    """Levels of the quantiles of a distribution; a quantile head has its own."""
    samples: Annotated[int, Field(ge=1)] = 400
    """Samples from which quantiles are estimated if a distribution cannot compute them: none of the heads here needs this."""
    seed: Annotated[int, Field(ge=0)] = 0
    """The seed, which together with the source's content determines the samples."""

    def __post_init__(self) -> None:
        check_levels(self.levels)


def without_values(inputs: Padded, channels: int) -> Padded:
    """Decoder inputs (B, T, C + known) whose C value channels are 0 after the start element."""
    values = inputs.values.clone()
    values[:, 1:, :channels] = 0
    return Padded(values, inputs.lengths)


@final
class DirectSearch:
    """One hypothesis per source, from one call of `decode`."""

    def __init__(self, settings: DirectConfig):
        self.settings = settings

    @torch.inference_mode()
    def __call__(self, model: Seq2SeqModel, source: Padded, requests: Sequence[Request] | None = None) -> list[list[Hypothesis]]:
        """Decode a batch. Raises ConfigError when the model writes symbols, DataError when a request lacks the values known in advance."""
        spec = value_target(model, "The search `direct`")
        inputs = without_values(known_inputs(requests, source, spec, model.longest_target), spec.channels)
        said = sized(model.decode(inputs, model.encode(source)).values, inputs.values, spec)
        return hypotheses_of(self._found(said, source), inputs.lengths.tolist())

    def _found(self, said: Any, source: Padded) -> Found:
        if isinstance(said, Quantiles):
            return Found(median_of(said), said.values, said.levels)
        if not isinstance(said, Distribution):
            return Found(said)
        levels = (*self.settings.levels, 0.5) if self.settings.point == "median" else self.settings.levels
        quantiles = quantiles_of(said, levels) if levels else None
        if levels and quantiles is None:
            quantiles = summary(self._draws(said, source), levels)
        points = said.mean if self.settings.point == "mean" or quantiles is None else quantiles[..., -1]
        if quantiles is None or not self.settings.levels:
            return Found(points)
        return Found(points, quantiles[..., : len(self.settings.levels)], self.settings.levels)

    def _draws(self, said: Distribution, source: Padded) -> Float[Tensor, "B N T C"]:
        """Independent samples for each step; one at a time, since a sample may take many uniform numbers."""
        _, steps, channels = said.mean.shape
        shape, seed = (steps, channels, uniforms_per_draw(said)), self.settings.seed
        drawn = [draw(said, uniforms_of(source, shape, seed, part=part)) for part in range(self.settings.samples)]
        return torch.stack(drawn, dim=1)


plugin = SearchPlugin(
    name="direct",
    summary="real values: the whole horizon in one call; quantiles by step",
    Config=DirectConfig,
    build=DirectSearch,
    stepwise=False,
)
