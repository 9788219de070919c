"""An engine for tests: it runs a model's graphs as they are, with the model's own code, so that anything may be exported to it.

`FAULT` is added to what a step says of the last symbol: an engine that is wrong. `LOUD` adds what depends on the batch.
"""

from dataclasses import replace

import torch
from safetensors.torch import load_file

from antiphon.contracts import registry
from antiphon.contracts.configuration import validate
from antiphon.contracts.engine import EnginePlugin
from antiphon.engines.graphs import open_graphs
from antiphon.errors import ConfigError
from antiphon.exporters.graphs import graphs_of
from tests.conformance.agreement import Eager

VERSION = "1"
FAULT, LOUD = 0.0, 0.0


class Faulty(Eager):
    """Runs the modules of graphs, perhaps with a fault."""

    def run(self, graph, inputs):
        with torch.inference_mode():
            named = super().run(graph, inputs)
        if "said" in named:
            said = named["said"].clone()
            said[..., -1] += FAULT + LOUD * len(said)
            named["said"] = said
        return named


def open_toy(exported):
    if exported.versions["toy"] != VERSION:
        raise ConfigError(
            f"{exported.folder.parent} needs version {exported.versions['toy']} of toy, but {VERSION} is installed. Install it."
        )
    architecture = registry.find("models", exported.details["model"]["name"])
    settings = validate(architecture.Config, exported.details["model"])
    model = architecture.build(settings, exported.source, exported.target).eval()
    model.load_state_dict(load_file(exported.folder / "weights.safetensors"))
    graphs = graphs_of(model)
    return open_graphs(Faulty(graphs), replace(exported, head=getattr(settings, "head", None)))


plugin = EnginePlugin("toy", "for tests", open_toy)
