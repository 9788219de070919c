"""Encoders that follow recordings: the blocks are those of whole recordings, and a bounded past costs the same after an hour."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from antiphon.contracts import registry
from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Padded, map_tensors
from antiphon.layers.frame_stream import FrameStream
from antiphon.recipe.assembly import load_weights
from antiphon.store import checkpoint
from tests.conformance.variants import SPECS, Variant, build

KIND = "values to tokens"
SIZES = {"dim": 8, "layers": 2, "dropout": 0.0}
ATTENDING = {**SIZES, "heads": 2, "feed_forward_dim": 12}
ENCODERS = {
    "conformer, rotary": {"name": "conformer", "convolution_kernel": 3, **ATTENDING},
    "conformer, relative, batch norm, wide": {
        "name": "conformer",
        "convolution_kernel": 9,
        "positions": "relative",
        "convolution_norm": "batch",
        **ATTENDING,
    },
    "transformer, rotary": {"name": "transformer", **ATTENDING},
    "transformer, relative": {"name": "transformer", "positions": "relative", **ATTENDING},
    "lstm": {"name": "lstm", "bidirectional": False, **SIZES},
    "gru": {"name": "lstm", "cell": "gru", "bidirectional": False, **SIZES},
}
CHUNK, FACTOR = 3, 2
FRAMES = CHUNK * FACTOR


def encoder_of(kind, seed, **settings):
    settings = {"encoder": ENCODERS[kind], "chunk": CHUNK, "subsampling": FACTOR, **settings}
    return build(Variant("encoder_only", kind, settings, (KIND,)), seed, KIND).encoder


def cases():
    """Every encoder that streams, with some pasts."""
    pasts = {"conformer, rotary": (None, 0, 1, 3), "transformer, rotary": (2,), "lstm": (None,), "gru": (None,)}
    return [pytest.param(kind, left, id=f"{kind}, {left} chunks to the left") for kind in ENCODERS for left in pasts.get(kind, (None, 1))]


def in_chunks(encoder, frames, lengths, chunks_at_once=1):
    """What is said of each row of a batch that is followed, and the past after each time."""
    past, states, pasts = None, [], []
    for start in range(0, frames.shape[1], chunks_at_once * FRAMES):
        piece = frames[:, start : start + chunks_at_once * FRAMES]
        said, past = encoder.follow(Padded(piece, (lengths - start).clamp(0, piece.shape[1])), past)
        states.append(said.values)
        pasts.append(past)
    return torch.cat(states, dim=1), pasts


@pytest.mark.parametrize(("kind", "left"), cases())
@torch.no_grad()
def test_a_batch_that_is_followed_has_the_states_of_whole_recordings(kind, left, seed):
    """Rows end anywhere: within a chunk, with it, long before the others; pieces are of one chunk or of several."""
    encoder = encoder_of(kind, seed, **({} if left is None else {"left_chunks": left}))
    for lengths in ([4 * FRAMES + 1], [43, 7 * FRAMES, 3, 20, 1]):
        lengths = torch.tensor(lengths)
        frames = torch.randn(len(lengths), int(lengths.max()), 3, dtype=torch.float64)
        whole, _ = encoder(Padded(frames, lengths))
        for chunks_at_once in (1, 2):
            found, _ = in_chunks(encoder, frames, lengths, chunks_at_once)
            assert found.shape == whole.values.shape
            torch.testing.assert_close(found[whole.mask], whole.values[whole.mask], rtol=1e-5, atol=1e-5)  # angles are in single precision


class Work(TorchDispatchMode):
    """Counts the numbers that operations read and write: what a chunk costs, which no other program disturbs."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, operation, types, arguments=(), named=None):
        result = operation(*arguments, **(named or {}))
        map_tensors(self._count, (arguments, result))
        return result

    def _count(self, tensor):
        self.numbers += tensor.numel()
        return tensor


def size_of(past):
    """Numbers that are kept."""
    sizes = []
    map_tensors(lambda tensor: sizes.append(tensor.numel()) or tensor, past)
    return sum(sizes)


@pytest.mark.parametrize(("kind", "left"), cases())
@torch.no_grad()
def test_what_is_kept_grows_up_to_the_bound_and_so_does_what_a_chunk_costs(kind, left, seed):
    encoder = encoder_of(kind, seed, **({} if left is None else {"left_chunks": left}))
    past, kept, costs = None, [], []
    for _ in range(7):
        piece = Padded(torch.randn(2, FRAMES, 3, dtype=torch.float64), torch.tensor([FRAMES, FRAMES]))
        with Work() as work:
            _, past = encoder.follow(piece, past)
        kept.append(size_of(past))
        costs.append(work.numbers)
    bound = 0 if isinstance(past, tuple) else left
    if bound is None:
        assert all(one < other for one, other in itertools.pairwise(kept[1:])), "all of the past is kept"
        assert all(one < other for one, other in itertools.pairwise(costs[1:])), "and looked at"
    else:
        assert len(set(kept[max(bound - 1, 0) :])) == 1, f"kept after each chunk: {kept}"
        assert len(set(costs[max(bound, 1) :])) == 1, f"numbers read and written for each chunk: {costs}"
        assert bound < 2 or kept[0] < kept[bound]


@pytest.mark.parametrize("positions", ["rotary", "relative"])
@torch.no_grad()
def test_nothing_depends_on_how_long_a_stream_has_lasted(positions, seed):
    """A sound that repeats is answered with the same bits each time, once all that is seen repeats, too.

    With places counted from the beginning, angles lose a digit within minutes in single precision.
    """
    left = 2
    encoder = encoder_of("transformer, rotary", seed, encoder={**ENCODERS["transformer, rotary"], "positions": positions}, left_chunks=left)
    stream = FrameStream(encoder.float(), 3, CHUNK)
    piece = torch.randn(FRAMES, 3)
    said = [stream.feed(piece) for _ in range(40)]
    seen = left * SIZES["layers"] + 2  # subsampling looks back, too
    for later in said[seen:]:
        assert torch.equal(later, said[-1])
    assert not torch.equal(said[0], said[-1]), "what came before is heard"


@pytest.mark.parametrize("left", [None, 0, 1, 2])
def test_a_state_sees_its_chunk_and_so_many_before_it(left, seed):
    """In training, by the gradients of a single layer without convolution."""
    encoder = encoder_of("transformer, rotary", seed, encoder={**ENCODERS["transformer, rotary"], "layers": 1}, left_chunks=left).train()
    source = torch.randn(1, 6 * FRAMES, 3, dtype=torch.float64, requires_grad=True)
    states, _ = encoder(Padded(source, torch.tensor([6 * FRAMES])))
    for place in range(6 * CHUNK):
        (gradient,) = torch.autograd.grad((states.values[0, place] ** 2).sum(), source, retain_graph=True)
        chunk = place // CHUNK
        first = 0 if left is None else max(chunk - left, 0)
        heard = set((gradient[0].abs().amax(1) > 0).nonzero().flatten().tolist())
        frames = set(range(first * FRAMES, (chunk + 1) * FRAMES))
        assert frames <= heard <= frames | {first * FRAMES - 1}, "subsampling looks one frame back"


@pytest.mark.parametrize("positions", ["rotary", "relative"])
@pytest.mark.parametrize("half", [False, True], ids=["single", "half"])
def test_padding_that_sees_nothing_is_a_number(positions, half, seed):
    """Far behind a row's end a bounded past holds padding alone; a gradient that is no number would spoil all weights."""
    encoder = encoder_of("transformer, rotary", seed, encoder={**ENCODERS["transformer, rotary"], "positions": positions}, left_chunks=1)
    encoder.float().train()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        states, _ = encoder(Padded(torch.randn(2, 6 * FRAMES, 3), torch.tensor([6 * FRAMES, 2])))
    states.values.float()[states.mask].pow(2).sum().backward()
    assert bool(states.values.isfinite().all())
    assert all(bool(parameter.grad.isfinite().all()) for parameter in encoder.parameters())


def test_an_earlier_model_in_chunks_says_what_it_said():
    """`in_chunks` was written by 0.1.0, before attention had `left_chunks` and streams had the blocks of whole recordings."""
    saved = checkpoint.read(Path(__file__).parents[2] / "checkpoints" / "in_chunks")
    plugin = registry.find("models", "encoder_only")
    model = plugin.build(validate(plugin.Config, json.loads(json.dumps(saved.header["settings"]))), *SPECS[KIND]).eval()
    load_weights(model, saved.weights(), "here")
    frames = torch.from_numpy(np.sin(np.arange(33)[:, None] * np.array([0.7, 1.1, 1.9])).astype(np.float32))
    following = model.follow()
    streamed = torch.cat([following.feed(frames), following.finish()])
    with torch.no_grad():
        whole = model.frames(model.encode(Padded(frames.unsqueeze(0), torch.tensor([33])))).logits[0]
    for found in (streamed, whole):
        torch.testing.assert_close(found, torch.tensor(saved.header["logits"]), rtol=1e-4, atol=1e-5)
