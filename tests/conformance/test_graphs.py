"""A model taken apart into functions of tensors, and put together again, says what it said whole."""

from pathlib import Path

import pytest
import torch

from antiphon.contracts.engine import Exported
from antiphon.contracts.model import StepwiseModel
from antiphon.engines.graphs import open_graphs
from antiphon.exporters.graphs import facts_of, graphs_of
from tests.conformance.agreement import Eager, agree, head_of, in_single_precision
from tests.conformance.variants import BY_FRAMES, PARTIAL, SPECS, batch, build, variants

FOREIGN = ("pretrained", "chronos_bolt")  # networks of transformers, which have exporters of their own
OURS = [(variant, kind) for variant in variants() if variant.architecture not in (*PARTIAL, *FOREIGN) for kind in variant.specs]


@pytest.mark.parametrize(("variant", "kind"), OURS, ids=[f"{variant.id}-{kind}" for variant, kind in OURS])
@torch.no_grad()
def test_the_parts_say_what_the_whole_says(variant, kind, seed):
    model, (source, target) = build(variant, seed, kind).float(), SPECS[kind]
    facts = facts_of(model)
    assert facts.stepwise == isinstance(model, StepwiseModel)
    again = open_graphs(Eager(graphs_of(model)), Exported(Path(), source, target, head_of(model), "fp32", facts)).eval()
    data = in_single_precision(batch(kind, seed))
    agree(model, again, data, by_frames=variant.architecture in BY_FRAMES, tolerance=2e-4)
