"""CTC search against enumeration of all alignments."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Padded, Request, select_rows
from antiphon.errors import ConfigError
from antiphon.search.ctc import CTCSearch, CTCSearchConfig, plugin
from antiphon.search.prefix_names import named
from tests.toys import ToyModel, toy_source
from tests.unit.search.alignments import END, START, FramesModel, best_path_saying, collapsed, probabilities, random_frames

LENGTHS = (4, 1, 5, 3)


def frames(seed, size=6):
    return random_frames(LENGTHS, size, torch.Generator().manual_seed(seed))


def search(source, size=6, **settings):
    return CTCSearch(CTCSearchConfig(**settings))(FramesModel(size), source)


def rows(source):
    return [source.values[row, :length].log_softmax(-1) for row, length in enumerate(source.lengths.tolist())]


def said_by_users(sequence):
    return not {START, END} & set(sequence)


def test_a_wide_beam_finds_the_likeliest_sequences_with_their_probabilities(seed):
    source = frames(seed)
    for log_probs, own in zip(rows(source), search(source, beam_size=300, n_best=8), strict=True):
        ranked = sorted(((p, s) for s, p in probabilities(log_probs).items() if said_by_users(s)), reverse=True)[:8]
        assert [item.log_prob for item in own] == pytest.approx([math.log(p) for p, _ in ranked], abs=1e-6)
        assert [tuple(item.elements.tolist()) for item in own] == [s for _, s in ranked]
        for item in own:
            assert item.score == item.log_prob == pytest.approx(sum(item.step_scores))
            assert len(item.step_scores) == len(item.elements) + 1
            assert item.finish_reason == "end"


def test_step_scores_follow_the_chain_rule(seed):
    source = frames(seed)
    for log_probs, own in zip(rows(source), search(source, beam_size=20, n_best=3), strict=True):
        every = probabilities(log_probs)
        for item in own:
            said, so_far = tuple(item.elements.tolist()), 1.0
            for length in range(1, len(said) + 1):
                now = sum(p for sequence, p in every.items() if sequence[:length] == said[:length])
                assert item.step_scores[length - 1] == pytest.approx(math.log(now / so_far), abs=1e-6)
                so_far = now
            assert item.step_scores[-1] == pytest.approx(math.log(every[said] / so_far), abs=1e-6)


def walked(log_probs, width):
    """A prefix beam search with a table of strings (Hannun et al. 2014)."""
    table = log_probs.double().exp().tolist()
    beam = {(): (1.0, 0.0)}
    for probs in table:
        grown = {}

        def add(prefix, blank, symbol, grown=grown):
            earlier = grown.get(prefix, (0.0, 0.0))
            grown[prefix] = (earlier[0] + blank, earlier[1] + symbol)

        for prefix, (blank, symbol) in beam.items():
            add(prefix, (blank + symbol) * probs[0], 0.0)
            for choice in (1, *range(4, len(probs))):
                if prefix and choice == prefix[-1]:
                    add(prefix, 0.0, symbol * probs[choice])
                    add((*prefix, choice), 0.0, blank * probs[choice])
                else:
                    add((*prefix, choice), 0.0, (blank + symbol) * probs[choice])
        # A prefix that is only reached from one that left the beam stays as it was: as in the search, only the beam is extended.
        beam = dict(sorted(grown.items(), key=lambda pair: -sum(pair[1]))[:width])
    return sorted(beam)


@pytest.mark.parametrize("width", [2, 3, 5])
def test_a_narrow_beam_keeps_what_a_table_of_strings_keeps(width, seed):
    generator = torch.Generator().manual_seed(seed)
    source = random_frames((12, 7, 9), 9, generator)
    found = search(source, 9, beam_size=width, n_best=width)
    for log_probs, own in zip(rows(source), found, strict=True):
        assert sorted(tuple(item.elements.tolist()) for item in own) == walked(log_probs, width)


def test_a_beam_of_one_takes_the_best_path(seed):
    source = frames(seed)
    source.values[..., [START, END]] = -1e3
    for log_probs, own in zip(rows(source), search(source), strict=True):
        assert tuple(own[0].elements.tolist()) == collapsed(log_probs.argmax(-1).tolist())
        assert own[0].log_prob == pytest.approx(math.log(probabilities(log_probs)[tuple(own[0].elements.tolist())]), abs=1e-6)


@pytest.mark.parametrize("settings", [{}, {"beam_size": 5, "n_best": 5, "spans": True}])
def test_a_source_alone_gives_what_it_gives_in_a_batch(settings, seed):
    source = frames(seed)
    together = search(source, **settings)
    for row, own in enumerate(together):
        (alone,) = search(select_rows(source, torch.tensor([row])), **settings)
        assert [item.elements.tolist() for item in alone] == [item.elements.tolist() for item in own]
        assert [item.log_prob for item in alone] == pytest.approx([item.log_prob for item in own], abs=1e-9)
        for one, other in zip(alone, own, strict=True):
            np.testing.assert_array_equal(one.spans, other.spans)


def test_spans_are_those_of_the_best_alignment(seed):
    source = frames(seed)
    for log_probs, own in zip(rows(source), search(source, beam_size=6, n_best=6, spans=True), strict=True):
        for item in own:
            path = best_path_saying(log_probs, item.elements.tolist())
            expected, last = [], None
            for frame, symbol in enumerate(path):
                if symbol != 0 and symbol != last:
                    expected.append([frame, frame + 1])
                elif symbol != 0:
                    expected[-1][1] = frame + 1
                last = symbol
            assert item.spans.tolist() == expected


class NothingWide(TorchDispatchMode):
    """A device without double precision."""

    def __torch_dispatch__(self, operation, types, arguments=(), named=None):
        found = operation(*arguments, **(named or {}))
        for one in found if isinstance(found, tuple | list) else (found,):
            assert not isinstance(one, torch.Tensor) or one.dtype != torch.float64, f"{operation} is in double precision"
        return found


@pytest.mark.parametrize("settings", [{}, {"spans": True}, {"beam_size": 6, "n_best": 3}])
def test_a_device_without_double_precision_finds_the_same(settings, seed, monkeypatch):
    source = frames(seed)
    expected = search(source, **settings)
    monkeypatch.setattr("antiphon.search.ctc_chain.precise", lambda _: torch.float32)
    monkeypatch.setattr("antiphon.search.ctc.precise", lambda _: torch.float32)
    with NothingWide():
        found = search(source, **settings)
    for one, other in zip(found, expected, strict=True):
        assert [item.elements.tolist() for item in one] == [item.elements.tolist() for item in other]
        assert [item.score for item in one] == pytest.approx([item.score for item in other], abs=1e-4)


def test_prefixes_are_named_by_what_they_say():
    """However they were reached, and with symbols of any size."""
    symbols = [1, 4, 5, 6, 999, 120_000]
    names = {(): torch.zeros(1, 1, dtype=torch.int64)}
    for length in range(1, 5):
        for prefix in itertools.product(symbols, repeat=length):
            names[prefix] = named(names[prefix[:-1]], torch.tensor([[prefix[-1]]]))
    assert len({int(name) for name in names.values()}) == len(names)


def test_silence_is_an_empty_hypothesis():
    source = Padded(torch.zeros(1, 5, 6).index_fill(2, torch.tensor([0]), 20.0), torch.tensor([5]))
    for settings in ({"spans": True}, {"beam_size": 4, "spans": True}):
        item = search(source, **settings)[0][0]
        assert item.elements.tolist() == []
        assert item.spans.shape == (0, 2)
        assert item.log_prob == pytest.approx(0, abs=1e-5)


def test_what_it_cannot_do_is_refused():
    with pytest.raises(ConfigError, match=r"`n_best` must be at most `beam_size` \(1\), but is 2"):
        validate(plugin.Config, {"n_best": 2}, path="search")
    with pytest.raises(ConfigError, match="needs a model with an output for each frame"):
        CTCSearch(CTCSearchConfig())(ToyModel(), toy_source([4, 5]))
    with pytest.raises(ConfigError, match=r"need `search: \{name: beam\}`"):
        CTCSearch(CTCSearchConfig())(FramesModel(), frames(1), [Request(prefix=(4,))] * 4)
