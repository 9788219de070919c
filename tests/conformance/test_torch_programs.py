"""Every architecture as programs of torch.export: files that say what the model says, for any sizes of a batch, a beam and a source."""

import pytest
import torch

from antiphon.contracts.engine import Exported
from antiphon.contracts.sequences import select_rows
from antiphon.engines.torch import open_engine
from antiphon.exporters.graphs import facts_of, graphs_of
from antiphon.exporters.torch import program, save
from tests.checked_shapes import unchecked
from tests.conformance.test_graphs import OURS, batch_in_single_precision
from tests.conformance.variants import BY_FRAMES, SPECS, batch, build, close, said

QUICK = ("linear-default", "decoder_only-gru")  # the others take minutes: torch.export is slow
SIZES = (((5, 2, 7), (4, 6, 2)), ((1,), (2,)), ((60, 3, 8, 9), (2, 3, 7, 4)))


def listed():
    marked = lambda name: () if name in QUICK else (pytest.mark.slow,)  # noqa: E731
    firsts = {}  # one kind of data for each variant
    for variant, kind in OURS:
        firsts.setdefault(variant.id, (variant, kind))
    return [pytest.param(*pair, id=name, marks=marked(name)) for name, pair in firsts.items()]


@pytest.mark.parametrize(("variant", "kind"), listed())
def test_programs_say_what_the_model_says(variant, kind, seed, tmp_path):
    model = build(variant, seed, kind).float()
    graphs = graphs_of(model)
    with unchecked():
        save({name: program(name, graph) for name, graph in graphs.items()}, tmp_path)
    names = {name: {"inputs": graph.inputs, "outputs": graph.outputs} for name, graph in graphs.items()}
    head = getattr(getattr(model, "settings", None), "head", None)
    again = open_engine(Exported(tmp_path, *SPECS[kind], head, "fp32", facts_of(model), {}, {"graphs": names})).eval()
    for sources, targets in SIZES:
        sources = tuple(min(length, model.longest_source or length) for length in sources)
        data = batch_in_single_precision(batch(kind, seed, sources, targets))
        with torch.inference_mode():
            memory, parts = model.encode(data.source), again.encode(data.source)
            assert torch.equal(memory.mask, parts.mask)
            expected = model.decode(data.inputs, memory, attention=True)
            found = again.decode(data.inputs, parts, attention=True)
            mask = memory.mask if variant.architecture in BY_FRAMES else data.inputs.mask
            close(said(found)[mask], said(expected)[mask], 5e-5)
            if expected.attention is not None:
                close(found.attention[mask], expected.attention[mask], 5e-5)
            frames = model.frames(memory)
            if frames is not None:
                close(again.frames(parts).logits[memory.mask], frames.logits[memory.mask], 5e-5)
            if facts_of(model).stepwise:
                _steps_of_beams(model, again, memory, parts, data)


def _steps_of_beams(model, again, memory, parts, data):
    """Three hypotheses a source, which change places between steps."""
    rows = 3 * len(data.inputs.values)
    order = torch.arange(rows).view(-1, 3).flip(1).flatten()
    owners = ((model, model.project(memory)), (again, again.project(parts)))
    states = [one.init_state(own, 3, 8) for one, own in owners]
    last = data.inputs.values[:, 0].repeat_interleave(3, 0)
    for _ in range(2):
        outputs = [one.step(last, own, state) for (one, own), state in zip(owners, states, strict=True)]
        close(said(outputs[1][0]), said(outputs[0][0]), 5e-5)
        states = [select_rows(state, order) for _, state in outputs]
        last = torch.roll(last, 1, 0)
