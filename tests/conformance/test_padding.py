"""Neither padding nor the other rows of a batch change a result or a gradient."""

import torch

from antiphon.contracts.sequences import Batch, Padded, map_tensors, select_rows
from tests.conformance.variants import SPECS, batch, build, close, elements, every_variant, every_variant_and_data, gradients, said, widened


def wider(data, kind, seed):
    """The batch with 3 more columns of padding in the source and 2 in the target, filled with what could be real."""
    generator = torch.Generator().manual_seed(seed + 1)
    source_spec, target_spec = SPECS[kind]
    return Batch(widened(data.source, 3, source_spec, generator), widened(data.target, 2, target_spec, generator), data.records)


@every_variant_and_data()
def test_more_padding_changes_neither_memory_nor_output_nor_gradients(variant, kind, seed):
    model, data = build(variant, seed, kind), batch(kind, seed)
    more = wider(data, kind, seed)
    with torch.no_grad():
        memory, wide = model.encode(data.source), model.encode(more.source)
        close(wide.states[:, : memory.states.shape[1]][memory.mask], memory.states[memory.mask])
        finals = [], []
        for found, tree in zip(finals, (memory.final, wide.final), strict=True):
            map_tensors(lambda tensor, found=found: found.append(tensor) or tensor, tree)
        for one, other in zip(*finals, strict=True):
            close(other, one)
        before, after = said(model(data.source, data.inputs)), said(model(more.source, more.inputs))
        close(after[:, : before.shape[1]][data.labels.mask], before[data.labels.mask])
    expected, found = gradients(model, data), gradients(model, more)
    for name, gradient in expected.items():
        close(found[name], gradient)


@every_variant_and_data()
def test_a_row_alone_gives_what_it_gives_in_a_batch(variant, kind, seed):
    model, data = build(variant, seed, kind), batch(kind, seed)
    together = gradients(model, data)
    alone, others = (data.select_rows(torch.tensor(rows)) for rows in ([1], [0, 2]))
    parts = [gradients(model, part) for part in (alone, others)]
    for name, gradient in together.items():
        close(sum(part[name] for part in parts), gradient)
    with torch.no_grad():
        output = said(model(data.source, data.inputs))
        for row in range(3):
            part = data.select_rows(torch.tensor([row]))
            close(said(model(part.source, part.inputs))[0], output[row, : int(data.inputs.lengths[row])])


@every_variant()
@torch.no_grad()
def test_neighbours_change_nothing(variant, seed):
    kind = "tokens"
    model, data = build(variant, seed, kind), batch(kind, seed)
    values = elements(SPECS[kind][0], (3, 9), torch.Generator().manual_seed(seed + 2))
    values[1, :2] = data.source.values[1, :2]
    other = Padded(values, torch.tensor([9, 2, 3]))
    inputs = select_rows(data.inputs, torch.tensor([1, 1, 1]))
    close(model(other, inputs).values[1], model(data.source, inputs).values[1])


@every_variant(whole=True)
def test_padding_symbols_learn_nothing(variant, seed):
    kind = "tokens"
    """A padding symbol's embedding gets no gradient, except as a row of a tied output layer, where it is one of the choices."""
    model, data = build(variant, seed, kind), batch(kind, seed)
    found = gradients(model, data)
    for spec, side in zip(SPECS[kind], ("source", "target"), strict=True):
        tied = variant.settings.get("tied_embeddings", "decoder" if variant.architecture == "transformer" else "none")
        if (side == "target" and tied != "none") or (side == "source" and tied == "all"):
            continue
        for name, gradient in found.items():
            if name.startswith(side) and gradient.shape[0] == getattr(spec, "size", None) and "embedding" in name:
                assert not gradient[spec.pad].any(), f"{name} learned from padding"
                assert gradient.any(), f"{name} learned nothing"
