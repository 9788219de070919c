"""A model whose steps are taken in slots says what it says without, and torch compiles a step for all sizes at once."""

import json
import subprocess
import sys

import pytest
import torch

from antiphon.contracts.sequences import map_tensors, reorder, select_rows
from antiphon.layers import room_state
from antiphon.search.compiled import CompiledSteps
from tests.conformance.variants import BY_FRAMES, PARTIAL, SPECS, batch, build, close, elements, said, variants

FOREIGN = ("pretrained", "chronos_bolt")  # networks of transformers
OURS = [
    (variant, kind)
    for variant in variants()
    if variant.architecture not in (*PARTIAL, *BY_FRAMES, *FOREIGN, "linear") and variant.settings.get("channels") != "independent"
    for kind in variant.specs
]


def walk(model, steps, kind, seed, width):
    """Compare step by step while hypotheses change places, a source leaves, and what is left goes on twice."""
    data = batch(kind, seed)
    sides = [(one, one.project(one.encode(data.source))) for one in (model, steps)]
    states = [one.init_state(memory, width, 12) for one, memory in sides]
    draw = torch.Generator().manual_seed(seed)
    sources = 3

    def step():
        nonlocal states
        last = elements(SPECS[kind][1], (sources * width,), draw)
        outputs = [one.step(last, memory, state, attention=True) for (one, memory), state in zip(sides, states, strict=True)]
        states = [state for _, state in outputs]
        (expected, _), (found, _) = outputs
        close(said(found), said(expected))
        assert (found.attention is None) == (expected.attention is None)
        if found.attention is not None:
            close(found.attention, expected.attention)

    step()
    for _ in range(3):
        places = torch.randint(width, (sources, width), generator=draw) + torch.arange(sources).unsqueeze(1) * width
        states = [reorder(state, places) for state in states]
        step()
    keep = torch.tensor([2, 0])
    rows = (keep.unsqueeze(1) * width + torch.arange(width)).flatten()
    states = [select_rows(state, rows) for state in states]
    sides, sources = [(one, select_rows(memory, keep)) for one, memory in sides], 2
    step()
    before = [map_tensors(torch.clone, state) for state in states]
    step()
    mixed = torch.randint(sources * width, (sources * width,), generator=draw)  # also rows of the other source
    states = [select_rows(state, mixed) for state in before]
    step()


@pytest.mark.parametrize(("variant", "kind"), OURS, ids=[f"{variant.id}-{kind}" for variant, kind in OURS])
@torch.no_grad()
def test_steps_in_slots_are_the_steps(variant, kind, seed, monkeypatch):
    monkeypatch.setattr(room_state, "ROOM", 2)  # so few steps that it is used up
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    model = build(variant, seed, kind)
    steps = CompiledSteps(model)
    for width in (1, 3, 9):
        walk(model, steps, kind, seed, width)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_torch_makes_one_program_of_a_step_for_all_sizes():
    command = [sys.executable, "-m", "tests.compiled_programs", "variants"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert len(found) == len(OURS)
    assert {name: programs for name, programs in found.items() if programs != 1} == {}, "one width shares a program, whatever the sizes"
