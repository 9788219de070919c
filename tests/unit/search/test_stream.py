"""A recording that arrives in pieces of any length is heard as the whole."""

import itertools

import numpy as np
import pytest
import torch

from antiphon.contracts.sequences import Padded
from antiphon.errors import ConfigError
from antiphon.search.ctc import CTCSearch, CTCSearchConfig
from antiphon.search.stream import stream
from antiphon.search.transducer import TransducerSearch, TransducerSearchConfig
from tests.conformance.variants import VARIANTS, build

KIND = "values to tokens"
IN_CHUNKS = [variant for name in ("encoder_only", "transducer") for variant in VARIANTS[name] if "chunk" in variant.settings]
STACKED = {"chunk": 3, "subsampling_kind": "stack", "subsampling": 2}
every_stream = pytest.mark.parametrize("variant", IN_CHUNKS, ids=lambda variant: variant.id)


def pieces_of(recording, rng):
    while len(recording):
        length = int(rng.integers(0, 12))
        yield recording[:length]
        recording = recording[length:]


@every_stream
@pytest.mark.parametrize("changes", [{}, STACKED], ids=["as it is", "stacked"])
def test_states_in_pieces_are_those_of_the_whole(variant, changes, seed):
    model, rng = build(variant, seed, KIND, **changes), np.random.default_rng(seed)
    for length in (1, 7, 8, 53):
        recording = rng.standard_normal((length, 3))
        following = model.follow()
        parts = [following.feed(torch.as_tensor(piece)) for piece in pieces_of(recording, rng)]
        found = torch.cat([*parts, following.finish()])
        with torch.no_grad():
            whole = model.encode(Padded(torch.as_tensor(recording).unsqueeze(0), torch.tensor([length])))
            expected = model.heard(whole) if variant.architecture == "transducer" else model.frames(whole).logits
            torch.testing.assert_close(found, expected[0], rtol=1e-5, atol=1e-5)


@every_stream
def test_what_was_heard_is_never_taken_back_and_is_what_the_search_finds(variant, seed):
    model, rng = build(variant, seed, KIND), np.random.default_rng(seed)
    recording = 2 * rng.standard_normal((61, 3))
    heard = list(stream(model, pieces_of(recording, rng)))
    for one, other in itertools.pairwise(heard):
        assert other.elements[: len(one.elements)].tolist() == one.elements.tolist()
        assert one.frames <= one.received
        assert one.received - one.frames <= model.latency, "what is not yet decided is less than a chunk"
        assert not one.final
    greedy = {"encoder_only": CTCSearch(CTCSearchConfig()), "transducer": TransducerSearch(TransducerSearchConfig(spans=True))}
    search = greedy[variant.architecture]
    ((found,),) = search(model, Padded(torch.as_tensor(recording).unsqueeze(0), torch.tensor([61])))
    assert heard[-1].elements.tolist() == found.elements.tolist()
    assert heard[-1].final
    assert heard[-1].frames == 61
    assert heard[-1].spans.shape == (len(found.elements), 2)
    if found.spans is not None:
        assert heard[-1].spans.tolist() == found.spans.tolist()


def test_no_sound_at_all_and_models_that_look_ahead(seed):
    model = build(IN_CHUNKS[0], seed, KIND)
    (only,) = stream(model, [])
    assert only.elements.tolist() == []
    assert only.final
    with pytest.raises(ConfigError, match=r"A stream needs `model\.chunk`"):
        next(stream(build(VARIANTS["encoder_only"][0], seed, KIND), [np.zeros((4, 3))]))
    with pytest.raises(
        ConfigError, match="A stream needs `model: encoder_only` or `model: transducer` with `chunk`, but this model is a Conformer"
    ):
        next(stream(build(VARIANTS["conformer"][0], seed, KIND), [np.zeros((4, 3))]))
