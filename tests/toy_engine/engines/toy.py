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

VERSION = "1"
FAULT, LOUD = 0.0, 0.0


class Eager:
    """Runs modules of graphs."""

    def __init__(self, graphs):
        self.graphs = graphs

    def outputs(self, graph):
        return self.graphs[graph].outputs

    def run(self, graph, inputs):
        chosen = self.graphs[graph]
        with torch.inference_mode():
            found = chosen.module(*(inputs[name] for name in chosen.inputs))
        named = dict(zip(chosen.outputs, (found,) if isinstance(found, torch.Tensor) else found, strict=True))
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
    return open_graphs(Eager(graphs), replace(exported, head=getattr(settings, "head", None)))


plugin = EnginePlugin("toy", "for tests", open_toy)
