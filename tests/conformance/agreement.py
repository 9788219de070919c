"""A model that was put together again from graphs beside the one that it was made of: they must say the same."""

import torch

from antiphon.contracts.sequences import select_rows
from tests.conformance.variants import close, said


class Eager:
    """Runs the modules of graphs themselves."""

    def __init__(self, graphs):
        self.graphs = graphs

    def run(self, graph, inputs):
        chosen = self.graphs[graph]
        found = chosen.module(*(inputs[name] for name in chosen.inputs))
        return dict(zip(chosen.outputs, (found,) if isinstance(found, torch.Tensor) else found, strict=True))


def agree(model, again, data, *, by_frames, tolerance):
    """All at once, of each state of the memory, and in steps."""
    memory, parts = model.encode(data.source), again.encode(data.source)
    assert torch.equal(memory.mask, parts.mask)
    expected, found = (one.decode(data.inputs, own, attention=True) for one, own in ((model, memory), (again, parts)))
    mask = memory.mask if by_frames else data.inputs.mask
    close(said(found)[mask], said(expected)[mask], tolerance)
    if expected.attention is not None:
        close(found.attention[mask], expected.attention[mask], tolerance)
    frames = model.frames(memory)
    if frames is not None:
        close(again.frames(parts).logits[memory.mask], frames.logits[memory.mask], tolerance)
    if again.facts.stepwise:
        _steps_of_beams(model, again, memory, parts, data, tolerance)


def _steps_of_beams(model, again, memory, parts, data, tolerance):
    """Three hypotheses a source, re-ordered and repeated between steps."""
    order = (torch.arange(len(memory.mask)).unsqueeze(1) * 3 + torch.tensor([2, 0, 0])).flatten()
    owners = ((model, model.project(memory)), (again, again.project(parts)))
    states = [one.init_state(own, 3, 8) for one, own in owners]
    last = data.inputs.values[:, 0].repeat_interleave(3, 0)
    for _ in range(3):
        outputs = [one.step(last, own, state) for (one, own), state in zip(owners, states, strict=True)]
        close(said(outputs[1][0]), said(outputs[0][0]), tolerance)
        states = [select_rows(state, order) for _, state in outputs]
        last = last[order]


def in_single_precision(data):
    """The batch with float32 values."""

    def single(padded):
        values = padded.values.float() if padded.values.is_floating_point() else padded.values
        return type(padded)(values, padded.lengths, padded.factors)

    return type(data)(single(data.source), single(data.target), data.records)


def head_of(model):
    """The settings of the model's output layer."""
    return getattr(getattr(model, "settings", None), "head", None)
