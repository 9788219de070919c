"""Every architecture as programs of torch.export: files that say what the model says, for any sizes of a batch, a beam and a source."""

import pytest
import torch

from antiphon.contracts.engine import Exported
from antiphon.engines.torch import open_engine
from antiphon.exporters.graphs import facts_of, graphs_of
from antiphon.exporters.torch import program, save
from tests.checked_shapes import unchecked
from tests.conformance.agreement import agree, head_of, in_single_precision
from tests.conformance.test_graphs import OURS
from tests.conformance.variants import BY_FRAMES, SPECS, batch, build

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
    again = open_engine(Exported(tmp_path, *SPECS[kind], head_of(model), "fp32", facts_of(model), {}, {"graphs": names})).eval()
    for sources, targets in SIZES:
        sources = tuple(min(length, model.longest_source or length) for length in sources)
        data = in_single_precision(batch(kind, seed, sources, targets))
        with torch.inference_mode():
            agree(model, again, data, by_frames=variant.architecture in BY_FRAMES, tolerance=5e-5)
