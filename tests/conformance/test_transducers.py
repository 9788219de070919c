"""Transducers: what they say at a state depends on what they have heard up to it and said so far, and on nothing else."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from antiphon.contracts import registry
from antiphon.contracts.configuration import plain, validate
from antiphon.contracts.engine import Exported
from antiphon.contracts.sequences import Batch, Padded, select_rows
from antiphon.engines.graphs import open_graphs
from antiphon.errors import ConfigError
from antiphon.exporters.graphs import facts_of, graphs_of
from antiphon.losses.transducer import TransducerLoss, TransducerLossConfig
from antiphon.losses.transducer import plugin as loss_plugin
from antiphon.recipe.assembly import load_weights
from antiphon.search.scoring import score
from antiphon.search.stream import stream
from antiphon.search.transducer import TransducerSearch, TransducerSearchConfig
from antiphon.store import checkpoint
from tests.conformance.agreement import Eager, in_single_precision
from tests.conformance.variants import SPECS, TOKENS, VARIANTS, batch, build, close, fresh, shaken, widened

every_model = pytest.mark.parametrize("variant", VARIANTS["transducer"], ids=lambda variant: variant.id)
IN_CHUNKS = [variant for variant in VARIANTS["transducer"] if "chunk" in variant.settings]


def made(variant, seed):
    (kind,) = variant.specs
    data = batch(kind, seed, source=(17, 3, 24), target=(4, 2, 3))
    assert data.target is not None
    data.target.values[range(3), data.target.lengths - 1] = TOKENS.end
    return build(variant, seed, kind), data, kind


def loss():
    return loss_plugin.build(TransducerLossConfig(), TOKENS)


def learned(model, data):
    model.zero_grad(set_to_none=True)
    found = loss()(model(data.source, data.inputs), data.labels)
    found.total.backward()
    return found.rows, {name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}


@every_model
def test_the_loss_reaches_every_parameter(variant, seed):
    model, data, _ = made(variant, seed)
    for name, gradient in learned(model.train(), data)[1].items():
        assert bool(gradient.isfinite().all())
        assert gradient.any(), f"{name} gets no gradient, so it is not used"
        if name.endswith("predictor.embedding.weight"):
            assert not gradient[TOKENS.pad].any(), "it learned from padding"


@every_model
def test_more_padding_changes_nothing(variant, seed):
    model, data, kind = made(variant, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    more = Batch(widened(data.source, 7, SPECS[kind][0], generator), widened(data.target, 2, TOKENS, generator), data.records)
    (rows, expected), (again, found) = learned(model, data), learned(model, more)
    close(again, rows)
    for name, gradient in expected.items():
        close(found[name], gradient)
    before, after = model(data.source, data.inputs).values, model(more.source, more.inputs).values
    for row, (frames, length) in enumerate(zip(model.encode(data.source).mask.sum(1), data.inputs.lengths, strict=True)):
        close(after[row, :frames, :length], before[row, :frames, :length])


@every_model
def test_a_row_alone_gives_what_it_gives_in_a_batch(variant, seed):
    model, data, _ = made(variant, seed)
    rows, together = learned(model, data)
    parts = [learned(model, data.select_rows(torch.tensor([row]))) for row in range(3)]
    close(torch.cat([own for own, _ in parts]), rows)
    for name, gradient in together.items():
        close(sum(part[name] for _, part in parts), gradient)


@every_model
@torch.no_grad()
def test_steps_of_the_predictor_equal_all_of_them_at_once(variant, seed):
    model, data, _ = made(variant, seed)
    expected = model(data.source, data.inputs).features
    side, state = model.begin(3)
    for column in range(expected.shape[1]):
        close(side, expected[:, column])
        kept = state.clone()
        if column + 1 < expected.shape[1]:
            side, after = model.advance(data.inputs.values[:, column + 1], state)
            assert torch.equal(state, kept), "the state that is given stays as it is"
            state = after


@every_model
@torch.no_grad()
def test_what_is_said_depends_on_no_symbol_behind_it(variant, seed):
    model, data, _ = made(variant, seed)
    memory, inputs = model.encode(data.source), data.inputs
    before = model.decode(inputs, memory).values
    for step in range(1, inputs.values.shape[1]):
        values = inputs.values.clone()
        values[:, step] = values[:, step] % 6 + 5
        after = model.decode(Padded(values, inputs.lengths), memory).values
        close(after[:, :, :step], before[:, :, :step])
        assert bool((after[:, :, step] - before[:, :, step]).abs().amax() > 1e-7)


@pytest.mark.parametrize("variant", IN_CHUNKS, ids=lambda variant: variant.id)
@torch.no_grad()
def test_a_chunk_depends_on_no_frame_behind_it(variant, seed):
    model, data, _ = made(variant, seed)
    group = model.stride * variant.settings["chunk"]
    whole = model(data.source, data.inputs).values
    inputs = select_rows(data.inputs, torch.tensor([2]))
    for known in range(group, 24, group):
        beginning = Padded(data.source.values[2:, :known], torch.tensor([known]))
        close(model(beginning, inputs).values[0], whole[2, : known // model.stride, : inputs.values.shape[1]])


@every_model
def test_a_saved_model_is_the_same_model(variant, seed, tmp_path):
    model, data, kind = made(variant, seed)
    checkpoint.write(tmp_path / "saved", {"settings": plain(model.settings)}, model.state_dict())
    saved = checkpoint.read(tmp_path / "saved")
    plugin = registry.find("models", "transducer")
    other = plugin.build(validate(plugin.Config, json.loads(json.dumps(saved.header["settings"]))), *SPECS[kind]).double().eval()
    load_weights(other, saved.weights(), "here")
    with torch.no_grad():
        assert torch.equal(other(data.source, data.inputs).values, model(data.source, data.inputs).values), "not a bit may differ"


@every_model
def test_the_same_seed_gives_the_same_weights(variant, seed):
    (kind,) = variant.specs
    one, same = (fresh(variant, seed, *SPECS[kind]).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], same[name]) for name in one)


@every_model
@pytest.mark.parametrize("settings", [{}, {"beam_size": 4, "n_best": 3, "spans": True, "max_symbols": 2}], ids=["path", "beam"])
def test_a_source_alone_is_found_as_in_a_batch(variant, settings, seed):
    model, data, _ = made(variant, seed)
    search = TransducerSearch(TransducerSearchConfig(**settings))
    frames = model.encode(data.source).mask.sum(1).tolist()
    for row, own in enumerate(search(model, data.source)):
        (alone,) = search(model, select_rows(data.source, torch.tensor([row])))
        assert [item.elements.tolist() for item in alone] == [item.elements.tolist() for item in own]
        assert [item.log_prob for item in alone] == pytest.approx([item.log_prob for item in own], abs=1e-6)
        assert [item.score for item in own] == sorted((item.score for item in own), reverse=True)
        for item in own:
            assert not set(item.elements.tolist()) & {TOKENS.pad, TOKENS.start, TOKENS.end}
            assert item.log_prob == pytest.approx(sum(item.step_scores), abs=1e-6)
            assert len(item.step_scores) == len(item.elements) + 1
            if item.spans is not None:
                assert item.spans.shape == (len(item.elements), 2)
                assert (item.spans[1:, 0] >= item.spans[:-1, 0]).all()
                assert item.spans.max(initial=0) <= frames[row]


@every_model
@torch.no_grad()
def test_graphs_of_its_parts_are_searched_and_scored_as_itself(variant, seed):
    model, data, kind = made(variant, seed)
    model, data = model.float(), in_single_precision(data)
    source, target = SPECS[kind]
    again = open_graphs(Eager(graphs_of(model)), Exported(Path(), source, target, None, "fp32", facts_of(model))).eval()
    for settings in ({"spans": True}, {"beam_size": 3, "n_best": 3, "max_symbols": 2}):
        search = TransducerSearch(TransducerSearchConfig(**settings))
        for found, expected in zip(search(again, data.source), search(model, data.source), strict=True):
            assert [item.elements.tolist() for item in found] == [item.elements.tolist() for item in expected]
            assert [item.score for item in found] == pytest.approx([item.score for item in expected], abs=1e-4)
    targets = [np.array(said) for said in ([4, 9, 9], [], [10])]
    for found, expected in zip(score(again, data.source, targets), score(model, data.source, targets), strict=True):
        assert found.step_scores == pytest.approx(expected.step_scores, abs=1e-4)
    with pytest.raises(ConfigError, match="A stream needs"):
        next(iter(stream(again, [])))


def likelihood(model, source, row, symbols):
    """The log-probability of a sequence over all alignments, by the loss."""
    target = torch.tensor([[TOKENS.start, *symbols, TOKENS.end]])
    data = Batch(select_rows(source, torch.tensor([row])), Padded(target, torch.tensor([target.shape[1]])))
    measured = loss_plugin.measure(TransducerLossConfig(), TOKENS)
    assert isinstance(measured, TransducerLoss)
    return -float(measured(model(data.source, data.inputs), data.labels).total.detach())


@every_model
def test_targets_are_scored_over_all_alignments(variant, seed):
    model, data, _ = made(variant, seed)
    targets = [np.array(said) for said in ([4, 9, 9], [], [10])]
    for row, (scored, said) in enumerate(zip(score(model, data.source, targets), targets, strict=True)):
        assert len(scored.step_scores) == len(said) + 1
        assert scored.log_prob == pytest.approx(sum(scored.step_scores))
        assert scored.log_prob == pytest.approx(likelihood(model, data.source, row, said.tolist()), abs=1e-5)


@pytest.mark.parametrize("variant", [VARIANTS["transducer"][1], VARIANTS["transducer"][5]], ids=lambda variant: variant.id)
def test_a_wide_beam_finds_the_likeliest_sequences_with_their_probabilities(variant, seed):
    (kind,) = variant.specs
    model = shaken(fresh(variant, seed, *SPECS[kind]), seed).double().eval()
    with torch.no_grad():  # so that of all symbols these two are likely, and seldom said
        model.joiner.bias -= 12
        model.joiner.bias[[0, 4, 5]] += torch.tensor([14.5, 12.0, 12.0])
    source = batch(kind, seed, source=(3, 2), target=(2, 2)).source
    every = [said for length in range(5) for said in itertools.product((4, 5), repeat=length)]
    found = TransducerSearch(TransducerSearchConfig(beam_size=60, n_best=4, max_symbols=5))(model, source)
    for row, own in enumerate(found):
        ranked = sorted(((likelihood(model, source, row, said), said) for said in every), reverse=True)[:4]
        assert [tuple(item.elements.tolist()) for item in own] == [said for _, said in ranked]
        assert [item.log_prob for item in own] == pytest.approx([log_prob for log_prob, _ in ranked], abs=1e-3)
