"""One step after another is the same as all steps at once, for one hypothesis per source and for several."""

import pytest
import torch

from antiphon.contracts.sequences import Batch, Padded, map_tensors, select_rows
from tests.conformance.variants import SPECS, batch, build_stepwise, close, elements, every_variant, every_variant_and_data, sequences


def stepped(model, memory, inputs, beam_size, *, attention=False, room=2):
    """Outputs of `step` for each column of the inputs (R, T), stacked, and the attention weights (or None)."""
    state = model.init_state(memory, beam_size, inputs.shape[1] + room)
    values, weights = [], []
    for column in range(inputs.shape[1]):
        output, state = model.step(inputs[:, column], memory, state, attention=attention)
        values.append(output.values)
        weights.append(output.attention)
    return torch.stack(values, 1), None if weights[0] is None else torch.stack(weights, 1)


@every_variant_and_data()
@torch.no_grad()
def test_steps_equal_decode(variant, kind, seed):
    model, data = build_stepwise(variant, seed, kind), batch(kind, seed)
    memory = model.project(model.encode(data.source))
    for beam_size in (1, 3):
        lengths = tuple(int(n) + extra for n in data.inputs.lengths for extra in range(beam_size))
        inputs = sequences(SPECS[kind][1], lengths, torch.Generator().manual_seed(seed + 1), begin=True)
        sources = torch.arange(3).repeat_interleave(beam_size)
        expected = model.decode(inputs, model.encode(select_rows(data.source, sources)), attention=True)
        values, weights = stepped(model, memory, inputs.values, beam_size, attention=True)
        close(values[inputs.mask], expected.values[inputs.mask])
        assert (weights is None) == (expected.attention is None)
        if weights is not None:
            close(weights[inputs.mask], expected.attention[inputs.mask])
    without, _ = stepped(model, memory, inputs.values, beam_size)
    close(without, values)


@every_variant()
@torch.no_grad()
def test_attention_is_a_distribution_over_the_real_source(variant, seed):
    kind = "tokens"
    model, data = build_stepwise(variant, seed, kind), batch(kind, seed)
    weights = model.decode(data.inputs, model.encode(data.source), attention=True).attention
    if weights is None:
        assert variant.settings.get("attention") == "none", "only a model without attention may give none"
        return
    assert weights.shape == (*data.inputs.values.shape[:2], data.source.values.shape[1])
    close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    assert bool((weights >= 0).all())
    hidden = ~data.source.mask.unsqueeze(1).expand_as(weights)
    assert not weights[hidden].any(), "padding must get no weight"


@every_variant_and_data()
@torch.no_grad()
def test_an_output_depends_on_its_input_and_on_none_behind_it(variant, kind, seed):
    model, data = build_stepwise(variant, seed, kind), batch(kind, seed, target=(7, 7, 7))
    steps, (rows, length) = range(1, data.inputs.values.shape[1]), data.inputs.values.shape[:2]
    changed = []
    for step in steps:
        values = data.inputs.values.clone()
        fresh = elements(SPECS[kind][1], (rows, length - step), torch.Generator().manual_seed(seed + step))
        values[:, step:] = torch.where(fresh == values[:, step:], fresh % 6 + 5, fresh) if fresh.dim() == 2 else fresh
        changed.append(values)
    every = torch.arange(rows).repeat(1 + len(steps))  # all in one batch, which is much quicker
    inputs = Padded(torch.cat([data.inputs.values, *changed]), data.inputs.lengths[every])
    before, *afters = model.decode(inputs, model.encode(select_rows(data.source, every))).values.split(rows)
    for step, after in zip(steps, afters, strict=True):
        close(after[:, :step], before[:, :step])
        assert bool(((after[:, step] - before[:, step]).abs().amax(-1) > 1e-7).all()), f"output {step} ignores input {step}"


@every_variant_and_data()
@torch.no_grad()
def test_an_output_depends_on_every_source_element(variant, kind, seed):
    if kind == "text":
        pytest.skip("the source of a language model says nothing")
    model, data = build_stepwise(variant, seed, kind), batch(kind, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    rows, steps = data.source.values.shape[:2]
    tries = 4  # a unit that rectifies may be silent before and after one change, and hardly after four
    changed = []
    for step in range(steps):
        for attempt in range(tries):
            values = data.source.values.clone()
            if values.dim() == 2:
                values[:, step] = (values[:, step] - 3 + attempt) % 7 + 4
            else:
                values[:, step] = 4 * torch.randn(values[:, step].shape, generator=generator, dtype=values.dtype)
            changed.append(values)
    every = torch.arange(rows).repeat(1 + len(changed))  # all in one batch, which is much quicker
    source = Padded(torch.cat([data.source.values, *changed]), data.source.lengths[every])
    before, *afters = model(source, select_rows(data.inputs, every)).values.split(rows)
    said = data.inputs.mask.reshape(rows, -1)
    far = torch.stack([((after - before).abs().flatten(2).amax(-1) * said).amax(1) for after in afters])  # (steps * tries, rows)
    for step, moved in enumerate(far.view(steps, tries, rows).amax(1)):
        real = step < data.source.lengths
        if model.wait_k is not None:  # the last output has read no more
            real = real & (step < data.inputs.lengths + model.wait_k - 1)
        assert torch.equal(moved > 1e-9, real), f"source element {step} moved the rows by {moved.tolist()}, which have it: {real.tolist()}"


@every_variant()
@torch.no_grad()
def test_projecting_once_equals_projecting_at_every_step(variant, seed):
    model, data = build_stepwise(variant, seed), batch("tokens", seed)
    encoded = model.encode(data.source)
    projected = model.project(encoded)
    expected, _ = stepped(model, projected, data.inputs.values, 1)
    state = model.init_state(encoded, 1, data.inputs.values.shape[1])
    for column in range(data.inputs.values.shape[1]):
        output, state = model.step(data.inputs.values[:, column], model.project(encoded), state)
        close(output.values, expected[:, column])
    close(model.decode(data.inputs, projected).values, model.decode(data.inputs, encoded).values)
    rows = torch.tensor([2, 0])
    early, late = select_rows(projected, rows), model.project(select_rows(encoded, rows))
    same_tensors(early.projections, late.projections)


def same_tensors(found, expected):
    """Compare two trees tensor by tensor."""
    left, right = [], []
    map_tensors(lambda tensor: left.append(tensor) or tensor, found)
    map_tensors(lambda tensor: right.append(tensor) or tensor, expected)
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        close(one, other)


SELECTIONS = {
    "permute": [2, 0, 1, 5, 4, 3, 8, 7, 6],
    "repeat": [0, 0, 0, 4, 4, 3, 6, 8, 8],
    "same": list(range(9)),
}


@every_variant_and_data()
@torch.no_grad()
def test_selecting_hypotheses_commutes_with_stepping(variant, kind, seed):
    model, data = build_stepwise(variant, seed, kind), batch(kind, seed)
    memory = model.project(model.encode(data.source))
    inputs = elements(SPECS[kind][1], (9, 4), torch.Generator().manual_seed(seed))
    state = model.init_state(memory, 3, 6)
    for column in range(2):
        _, state = model.step(inputs[:, column], memory, state)
    indices = [torch.tensor(rows) for rows in SELECTIONS.values()]
    chosen = [select_rows(map_tensors(torch.clone, state), index) for index in indices]
    for column in (2, 3):  # two steps: the second reads what the first wrote
        expected, state = model.step(inputs[:, column], memory, state)
        for number, index in enumerate(indices):
            found, chosen[number] = model.step(inputs[index, column], memory, chosen[number])
            close(found.values, expected.values[index])


@every_variant_and_data()
@torch.no_grad()
def test_dropping_and_reordering_sources_commutes_with_stepping(variant, kind, seed):
    model, data = build_stepwise(variant, seed, kind), batch(kind, seed)
    memory = model.project(model.encode(data.source))
    inputs = elements(SPECS[kind][1], (6, 3), torch.Generator().manual_seed(seed))
    _, state = model.step(inputs[:, 0], memory, model.init_state(memory, 2, 4))
    after = []
    for kept in ([0, 2], [1], [2, 1, 0], [1, 1]):
        rows = (torch.tensor(kept).unsqueeze(1) * 2 + torch.arange(2)).flatten()
        after.append((rows, select_rows(memory, torch.tensor(kept)), select_rows(map_tensors(torch.clone, state), rows)))
    for column in (1, 2):
        expected, state = model.step(inputs[:, column], memory, state, attention=True)
        for number, (rows, fewer, chosen) in enumerate(after):
            found, chosen = model.step(inputs[rows, column], fewer, chosen, attention=True)
            after[number] = (rows, fewer, chosen)
            close(found.values, expected.values[rows])
            if expected.attention is not None:
                close(found.attention, expected.attention[rows])


@every_variant()
@torch.no_grad()
def test_every_tensor_of_a_memory_and_a_state_has_the_batch_first(variant, seed):
    model, data = build_stepwise(variant, seed), batch("tokens", seed)
    memory = model.project(model.encode(data.source))
    _, state = model.step(torch.full((12,), 2), memory, model.init_state(memory, 4, 5))
    # A state that selects rows by itself may keep them otherwise, such as in a pool for each source.
    for tree, rows in ((memory, 3), *(() if hasattr(state, "select_rows") else ((state, 12),))):
        shapes = []
        map_tensors(lambda tensor, shapes=shapes: shapes.append(tuple(tensor.shape)) or tensor, tree)
        assert shapes
        assert all(shape[0] == rows for shape in shapes), shapes


@every_variant()
@torch.no_grad()
def test_a_step_leaves_memory_and_inputs_alone(variant, seed):
    model, data = build_stepwise(variant, seed), batch("tokens", seed)
    memory = model.project(model.encode(data.source))
    last, before = torch.full((3,), 2), map_tensors(torch.clone, memory)
    model.step(last, memory, model.init_state(memory, 1, 3))
    same_tensors(memory, before)
    assert last.tolist() == [2, 2, 2]


def test_the_batch_is_ragged_on_both_sides():
    data: Batch = batch("tokens", 0)
    assert len(set(data.source.lengths.tolist())) == len(set(data.target.lengths.tolist())) == 3
