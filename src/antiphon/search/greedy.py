"""Greedy search: say the likeliest symbol at each step."""

from collections.abc import Sequence
from typing import Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from antiphon.contracts.configuration import config
from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.search import SearchPlugin
from antiphon.contracts.sequences import Hypothesis, Padded, Request
from antiphon.search.alignment import traced
from antiphon.search.limits import LimitsConfig
from antiphon.search.preparation import prepare
from antiphon.search.processors import ProcessorsConfig
from antiphon.search.single_path import follow


@config
class GreedyConfig:
    """Greedy search: fast, one hypothesis."""

    name: Literal["greedy"] = "greedy"
    """The search."""
    limits: LimitsConfig = LimitsConfig()
    """How long a hypothesis may become."""
    processors: ProcessorsConfig = ProcessorsConfig()
    """Which symbol may follow."""
    alignment: bool = False
    """Whether to give the attention over the source with each hypothesis."""


@final
class GreedySearch:
    """One hypothesis per source; the first of equally likely symbols is taken."""

    def __init__(self, settings: GreedyConfig):
        self.settings = settings

    @torch.inference_mode()
    def __call__(self, model: StepwiseModel, source: Padded, requests: Sequence[Request] | None = None) -> list[list[Hypothesis]]:
        """Decode a batch. Raises ConfigError or DataError when a request cannot be met by a greedy search."""
        settings = self.settings
        prepared = prepare(model, source, requests, search="greedy", width=1, limits=settings.limits, processors=settings.processors)
        found = follow(model, prepared, 1, _likeliest)
        return traced(model, prepared.encoded, found, alignment=settings.alignment)


def _likeliest(ranking: Float[Tensor, "R V"], step: int, rows: Int[Tensor, " R"]) -> Int[Tensor, " R"]:
    return ranking.argmax(-1)


plugin = SearchPlugin(name="greedy", summary="the likeliest symbol at each step; fastest", Config=GreedyConfig, build=GreedySearch)
