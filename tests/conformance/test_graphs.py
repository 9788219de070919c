"""A model taken apart into functions of tensors, and put together again, says what it said whole."""

from pathlib import Path

import pytest
import torch

from antiphon.contracts.engine import Exported
from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.sequences import select_rows
from antiphon.engines.graphs import open_graphs
from antiphon.exporters.graphs import facts_of, graphs_of
from tests.conformance.variants import BY_FRAMES, PARTIAL, SPECS, batch, build, close, said, variants

FOREIGN = ("pretrained", "chronos_bolt")  # networks of transformers, which have exporters of their own
OURS = [
    (variant, kind) for variant in variants() if variant.architecture not in (*PARTIAL, *FOREIGN, "transducer") for kind in variant.specs
]


class Eager:
    """Runs the modules themselves."""

    def __init__(self, graphs):
        self.graphs = graphs

    def outputs(self, graph):
        return self.graphs[graph].outputs

    def run(self, graph, inputs):
        chosen = self.graphs[graph]
        found = chosen.module(*(inputs[name] for name in chosen.inputs))
        return dict(zip(chosen.outputs, (found,) if isinstance(found, torch.Tensor) else found, strict=True))


@pytest.mark.parametrize(("variant", "kind"), OURS, ids=[f"{variant.id}-{kind}" for variant, kind in OURS])
@torch.no_grad()
def test_the_parts_say_what_the_whole_says(variant, kind, seed):
    model, data = build(variant, seed, kind).float(), batch(kind, seed)
    data = batch_in_single_precision(data)
    graphs, (source, target) = graphs_of(model), SPECS[kind]
    facts = facts_of(model)
    assert facts.stepwise == isinstance(model, StepwiseModel)
    head = getattr(variant_settings(model), "head", None)
    again = open_graphs(Eager(graphs), Exported(Path(), source, target, head, "fp32", facts)).eval()
    memory, parts = model.encode(data.source), again.encode(data.source)
    assert torch.equal(memory.mask, parts.mask)
    expected, found = model.decode(data.inputs, memory, attention=True), again.decode(data.inputs, parts, attention=True)
    mask = memory.mask if variant.architecture in BY_FRAMES else data.inputs.mask
    close(said(found)[mask], said(expected)[mask], 2e-4)
    if expected.attention is not None:
        close(found.attention[mask], expected.attention[mask], 1e-4)
    frames = model.frames(memory)
    if frames is not None:
        close(again.frames(parts).logits[memory.mask], frames.logits[memory.mask], 2e-4)
    if facts.stepwise:  # several hypotheses each, re-ordered between steps
        order = torch.tensor([1, 0, 2, 2, 5, 4])
        states = [one.init_state(own, 2, 8) for one, own in ((model, model.project(memory)), (again, again.project(parts)))]
        owners = ((model, model.project(memory)), (again, again.project(parts)))
        last = data.inputs.values[:, 0].repeat_interleave(2, 0)
        for _ in range(2):
            outputs = [one.step(last, own, state) for (one, own), state in zip(owners, states, strict=True)]
            close(said(outputs[1][0]), said(outputs[0][0]), 2e-4)
            states = [select_rows(state, order) for _, state in outputs]
            last = last[order]


def variant_settings(model):
    return getattr(model, "settings", None)


def batch_in_single_precision(data):
    def single(padded):
        values = padded.values.float() if padded.values.is_floating_point() else padded.values
        return type(padded)(values, padded.lengths, padded.factors)

    return type(data)(single(data.source), single(data.target), data.records)
