"""ONNX files say what the model says: of any number of sources, hypotheses and steps, though one example was traced.

One is quick; all others are slow, since tracing takes seconds for each.
"""

from pathlib import Path

import pytest
import torch

from antiphon.contracts.engine import Exported
from antiphon.contracts.sequences import Padded
from antiphon.engines.graphs import open_graphs
from antiphon.exporters.graphs import example_source, facts_of
from tests.checked_shapes import unchecked
from tests.conformance.agreement import agree, head_of, in_single_precision
from tests.conformance.test_graphs import OURS
from tests.conformance.variants import BY_FRAMES, SPECS, batch, build, close, said

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

QUICK = {("lstm-default", "tokens")}
PAIRS = [
    pytest.param(variant, kind, id=f"{variant.id}-{kind}", marks=[] if (variant.id, kind) in QUICK else pytest.mark.slow)
    for variant, kind in OURS
]


@pytest.mark.parametrize(("variant", "kind"), PAIRS)
@torch.no_grad()
def test_files_say_what_the_model_says(variant, kind, seed, tmp_path):
    from antiphon.engines.onnx import OnnxGraphs
    from antiphon.exporters.onnx import write_graphs

    model = build(variant, seed, kind).float()
    with unchecked():
        write_graphs(model, tmp_path)
    source, target = SPECS[kind]
    again = open_graphs(OnnxGraphs(tmp_path), Exported(Path(), source, target, head_of(model), "fp32", facts_of(model))).eval()
    agree(model, again, in_single_precision(batch(kind, seed)), by_frames=variant.architecture in BY_FRAMES, tolerance=3e-4)
    if variant.architecture not in BY_FRAMES:
        same_alone(again, in_single_precision(batch(kind, seed)))
    for rows, steps in ((1, 1), (2, 2), (2, 3), (1, 31), (5, 8)):  # lengths that were not traced, and those that torch takes for special
        steps = min(steps, model.longest_source or steps)
        longer = example_source(source, rows, steps)
        inputs = in_single_precision(batch(kind, seed, target=(6,) * rows, source=(1,) * rows)).inputs
        agree(model, again, Pair(longer, inputs), by_frames=variant.architecture in BY_FRAMES, tolerance=3e-4)


class Pair:
    """A source, and what the decoder reads."""

    def __init__(self, source, inputs):
        self.source, self.inputs = source, inputs


def same_alone(again, data):
    """Each source says in a batch what it says alone."""
    together = said(again.decode(data.inputs, again.encode(data.source)))
    for row, length in enumerate(data.source.lengths.tolist()):
        alone = Padded(data.source.values[row : row + 1, :length], data.source.lengths[row : row + 1])
        inputs = Padded(data.inputs.values[row : row + 1], data.inputs.lengths[row : row + 1])
        real = data.inputs.mask[row]
        close(said(again.decode(inputs, again.encode(alone)))[0][real], together[row][real], 1e-5)
