"""Models that say something of each state of the memory: neither padding, nor the batch, nor what comes too late changes what they say."""

import json

import pytest
import torch

from antiphon.contracts import registry
from antiphon.contracts.configuration import plain, validate
from antiphon.contracts.sequences import Batch, Padded, select_rows
from antiphon.losses.ctc import CTCLoss, ctc_fits
from antiphon.recipe.assembly import load_weights
from antiphon.search.beam import BeamConfig, BeamSearch
from antiphon.search.ctc import CTCSearch, CTCSearchConfig
from antiphon.search.limits import LimitsConfig
from antiphon.store import checkpoint
from tests.conformance.variants import SPECS, TOKENS, VARIANTS, batch, build, close, frame_loss, fresh, widened

KIND = "values to tokens"
SAYING = [
    *VARIANTS["encoder_only"],
    *(variant for name in ("conformer", "lstm", "transducer", "transformer") for variant in VARIANTS[name] if variant.settings.get("ctc")),
]
DECODING = (
    "decoder",
    "head",
    "target_",
    "bridge",
    "alignment",
    "combine",
    "predictor",
    "joiner",
)  # names of weights that frames do not need
pytestmark = pytest.mark.filterwarnings("ignore::antiphon.losses.ctc.TooFewFramesWarning")
every_model = pytest.mark.parametrize("variant", SAYING, ids=lambda variant: variant.id)
IN_CHUNKS = [variant for variant in SAYING if "chunk" in variant.settings]


def speech(seed):
    return batch(KIND, seed, source=(17, 3, 24), target=(4, 2, 3))


def subsampling(variant):
    return variant.settings.get("subsampling", 4)


def learned(model, data):
    """The gradient of CTC and of every frame's own loss, for each parameter."""
    model.zero_grad(set_to_none=True)
    output = model(data.source, data.inputs)
    (CTCLoss(TOKENS, 0.3)(output, data.labels).total + frame_loss(output)).backward()
    return {name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}


@every_model
def test_more_padding_changes_neither_frames_nor_gradients(variant, seed):
    model, data = build(variant, seed, KIND), speech(seed)
    generator = torch.Generator().manual_seed(seed + 1)
    more = Batch(widened(data.source, 7, SPECS[KIND][0], generator), widened(data.target, 2, SPECS[KIND][1], generator), data.records)
    for training in (False, True):  # in training, statistics of batches are taken from real frames alone
        model.train(training)
        before, after = model(data.source, data.inputs).frames, model(more.source, more.inputs).frames
        close(after.logits[:, : before.mask.shape[1]][before.mask], before.logits[before.mask])
        assert int(after.mask.sum()) == int(before.mask.sum())
        expected, found = learned(model, data), learned(model, more)
        for name, gradient in expected.items():
            close(found[name], gradient)
            if not name.startswith(DECODING) or variant.architecture == "encoder_only":
                assert gradient.any(), f"{name} gets no gradient, so it is not used"


@every_model
def test_a_row_alone_gives_what_it_gives_in_a_batch(variant, seed):
    model, data = build(variant, seed, KIND), speech(seed)
    together = learned(model, data)
    alone = [data.select_rows(torch.tensor([row])) for row in range(3)]
    parts = [learned(model, part) for part in alone]
    for name, gradient in together.items():
        close(sum(part[name] for part in parts), gradient)
    frames = model.frames(model.encode(data.source))
    for row, part in enumerate(alone):
        own = model.frames(model.encode(part.source))
        close(own.logits[0], frames.logits[row, : own.mask.shape[1]])


@every_model
@torch.no_grad()
def test_every_length_leaves_the_right_number_of_states(variant, seed):
    model, factor = build(variant, seed, KIND), subsampling(variant)
    lengths = torch.arange(1, 20)
    values = torch.randn(19, 19, 3, dtype=torch.float64)
    memory = model.encode(Padded(values, lengths))
    assert memory.mask.sum(1).tolist() == [-(-length // factor) for length in range(1, 20)]
    assert memory.states.shape[:2] == memory.mask.shape
    assert bool(memory.states.isfinite().all())


@every_model
@torch.no_grad()
def test_every_frame_of_the_source_counts(variant, seed):
    model, data = build(variant, seed, KIND), speech(seed)
    before = model.frames(model.encode(data.source))
    for step in range(data.source.values.shape[1]):
        values = data.source.values.clone()
        values[:, step] = -values[:, step]
        after = model.frames(model.encode(Padded(values, data.source.lengths)))
        moved = (after.logits - before.logits).abs().amax(-1).masked_fill(~before.mask, 0).amax(1)
        assert ((moved > 1e-9) == (step < data.source.lengths)).all(), f"frame {step} moved {moved.tolist()}"


@pytest.mark.parametrize("variant", IN_CHUNKS, ids=lambda variant: variant.id)
@torch.no_grad()
def test_a_chunk_depends_on_no_frame_behind_it(variant, seed):
    model, data = build(variant, seed, KIND), speech(seed)
    group = subsampling(variant) * variant.settings["chunk"]
    whole = model.frames(model.encode(data.source)).logits
    for known in range(group, 24, group):
        beginning = Padded(data.source.values[2:, :known], torch.tensor([known]))
        states = known // subsampling(variant)
        close(model.frames(model.encode(beginning)).logits[0], whole[2, :states])


@every_model
def test_a_saved_model_is_the_same_model(variant, seed, tmp_path):
    model, data = build(variant, seed, KIND), speech(seed)
    model.train()
    model(data.source, data.inputs)  # moves the running statistics of batch normalization
    model.eval()
    checkpoint.write(tmp_path / "saved", {"settings": plain(model.settings)}, model.state_dict())
    saved = checkpoint.read(tmp_path / "saved")
    plugin = registry.find("models", variant.architecture)
    other = plugin.build(validate(plugin.Config, json.loads(json.dumps(saved.header["settings"]))), *SPECS[KIND]).double().eval()
    load_weights(other, saved.weights(), "here")
    with torch.no_grad():
        one, same = (each.frames(each.encode(data.source)).logits for each in (model, other))
    assert torch.equal(one, same), "not a bit may differ"


@every_model
@pytest.mark.parametrize("settings", [{}, {"beam_size": 4, "n_best": 3, "spans": True}], ids=["best path", "beam"])
def test_a_source_alone_is_found_as_in_a_batch(variant, settings, seed):
    model, source, search = build(variant, seed, KIND), speech(seed).source, CTCSearch(CTCSearchConfig(**settings))
    together = search(model, source)
    for row, own in enumerate(together):
        (alone,) = search(model, select_rows(source, torch.tensor([row])))
        assert [item.elements.tolist() for item in alone] == [item.elements.tolist() for item in own]
        assert [item.log_prob for item in alone] == pytest.approx([item.log_prob for item in own], abs=1e-6)
        for item in own:
            assert not set(item.elements.tolist()) & {TOKENS.pad, TOKENS.start, TOKENS.end}
            labels = Padded(torch.tensor([[*item.elements.tolist(), TOKENS.end]]), torch.tensor([len(item.elements) + 1]))
            states = model.encode(select_rows(source, torch.tensor([row]))).mask.sum(1)
            assert bool(ctc_fits(states, labels, TOKENS.end))


@pytest.mark.parametrize("variant", [item for item in SAYING if item.architecture == "conformer"], ids=lambda variant: variant.id)
def test_joint_decoding_is_the_same_alone_and_in_a_batch(variant, seed):
    model, source = build(variant, seed, KIND), speech(seed).source
    search = BeamSearch(BeamConfig(beam_size=3, n_best=3, ctc_weight=0.4, spans=True, limits=LimitsConfig(max_length=4)))
    for row, own in enumerate(search(model, source)):
        (alone,) = search(model, select_rows(source, torch.tensor([row])))
        assert [item.elements.tolist() for item in alone] == [item.elements.tolist() for item in own]
        assert [item.score for item in alone] == pytest.approx([item.score for item in own], rel=1e-4, abs=1e-4)


@every_model
def test_the_same_seed_gives_the_same_weights(variant, seed):
    one, same = (fresh(variant, seed, *SPECS[KIND]).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], same[name]) for name in one)
