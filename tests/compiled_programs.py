"""A process in which torch compiles steps: nothing checks shapes here, since a compiler cannot look into what does.

python -m tests.compiled_programs search eager        how many programs long searches made, and whether they found the same
python -m tests.compiled_programs search inductor [cuda]
python -m tests.compiled_programs variants            how many programs each variant of each architecture made, for many sizes
"""

import json
import sys

import torch

from antiphon.contracts.sequences import Padded
from antiphon.contracts.specs import TokenSpec
from antiphon.models import transformer
from antiphon.search import compiled
from antiphon.search.beam import BeamConfig, BeamSearch
from antiphon.search.compiled import CompiledSteps
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.search.limits import LimitsConfig

SPEC = TokenSpec(size=40, pad=0, unknown=1, start=2, end=3, fingerprint="test")
LIMITS = LimitsConfig(min_length=3, max_length=45)  # room is for 32 steps at first
SIZES = ((5, 9), (3, 20), (9, 40), (2, 5))


def searches(backend, device="cpu"):
    """Greedy search over sources of many sizes, and a beam with the compiler that users have."""
    compiled.BACKEND = backend
    torch.manual_seed(1)
    settings = transformer.TransformerConfig(dim=16, heads=2, encoder_layers=1, decoder_layers=1, feed_forward_dim=20)
    model = transformer.build(settings, SPEC, SPEC).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    model = model.to(device)
    steps, said = CompiledSteps(model), {}
    for search in (GreedySearch(GreedyConfig(limits=LIMITS)), BeamSearch(BeamConfig(beam_size=3, limits=LIMITS))):
        if backend == "eager" and isinstance(search, BeamSearch):
            continue
        lengths, apart = [], 0.0
        for rows, longest in SIZES:
            real = torch.tensor([longest - row for row in range(rows)])
            source = Padded(torch.randint(4, 40, (rows, longest)).to(device), real.to(device))
            for (one, *_), (two, *_) in zip(search(model, source), search(steps, source), strict=True):
                assert one.elements.tolist() == two.elements.tolist()
                apart = max(apart, *(abs(a - b) for a, b in zip(one.step_scores, two.step_scores, strict=True)))
                lengths.append(len(one.elements))
        said[type(search).__name__] = {"programs": steps.programs, "longest": max(lengths), "apart": apart, "remark": steps.remark}
    made = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    return {**said, "made": made, "seconds": steps.seconds}


def every_variant():
    """Programs of each variant, of three hypotheses for several sources."""
    from tests.conformance.test_compiled import OURS, walk
    from tests.conformance.variants import build

    compiled.BACKEND, found = "eager", {}
    for variant, kind in OURS:
        torch._dynamo.reset()
        model = build(variant, 1, kind)
        steps = CompiledSteps(model)
        with torch.no_grad():
            walk(model, steps, kind, 1, 3)
        found[f"{variant.id}-{kind}"] = steps.programs
    return found


if __name__ == "__main__":
    print(json.dumps(searches(*sys.argv[2:]) if sys.argv[1] == "search" else every_variant()))
