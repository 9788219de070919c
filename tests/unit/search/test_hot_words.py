"""Hot words against counting in lists: in the automaton, in beams by enumeration, greedily, and in the search over frames."""

import itertools

import numpy as np
import pytest
import torch

from antiphon.contracts.configuration import validate
from antiphon.contracts.search import RequestError
from antiphon.contracts.sequences import Request, select_rows
from antiphon.errors import ConfigError
from antiphon.search.beam import BeamConfig, BeamSearch, plugin
from antiphon.search.ctc import CTCSearch, CTCSearchConfig
from antiphon.search.ctc_chain import chain
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.search.hot_words import HotWordsConfig, HotWordsScorer
from antiphon.search.limits import LimitsConfig
from antiphon.search.scoring import score
from tests.toys import END, PAD, UNKNOWN, LookUpModel, ToyModel, toy_source
from tests.unit.search.test_joint_decoding import Hearing

LONGEST = 4
LIMITS = LimitsConfig(max_length=LONGEST)
EVERY = [said for length in range(LONGEST + 1) for said in itertools.product((UNKNOWN, 4, 5), repeat=length)]


def kept(said, phrases):
    """The lengths of all occurrences."""
    places = range(len(said))
    return sum(len(phrase) for phrase in phrases for place in places if said[place : place + len(phrase)] == phrase)


def under_way(said, phrases):
    """The length of the longest end of what was said that begins a phrase and does not complete it."""
    return max(
        (length for phrase in phrases for length in range(1, len(phrase)) if length <= len(said) and said[-length:] == phrase[:length]),
        default=0,
    )


def test_each_step_adds_what_counting_in_lists_adds(seed):
    generator = np.random.default_rng(seed)
    sets = [tuple({tuple(map(int, generator.integers(0, 4, generator.integers(1, 6)))) for _ in range(6)}) for _ in range(3)]
    requests = [*(Request(hot=phrases) for phrases in sets), Request()]
    state = HotWordsScorer(HotWordsConfig(weight=0.5), None).begun(requests, 2, torch.device("cpu"))
    said = [() for _ in range(8)]
    for _ in range(30):
        scores = torch.zeros(8, 6)
        state.add_to(scores, 0.5)
        for row, own in enumerate(said):
            phrases = (*sets, ())[row // 2]
            now = kept(own, phrases) + under_way(own, phrases)
            expected = [
                kept((*own, symbol), phrases) + under_way((*own, symbol), phrases) - now if symbol < 4 else -under_way(own, phrases)
                for symbol in range(6)
            ]
            assert scores[row].tolist() == [0.5 * value for value in expected]
            assert max(expected) <= state.steepest / 0.5

        symbols = generator.integers(0, 6, 8)
        order = [row // 2 * 2 + int(generator.integers(2)) for row in range(8)]
        state = state.select_rows(torch.tensor(order)).advance(torch.from_numpy(symbols))
        said = [(*said[parent], int(symbol)) for parent, symbol in zip(order, symbols, strict=True)]


@pytest.mark.parametrize("penalty", ["none", "average"])
def test_a_wide_beam_finds_what_enumeration_finds(penalty, seed):
    model, hot = ToyModel(size=6, seed=seed), ((4, 5), (5, 5, 4), (5,))
    requests = [Request(hot=hot[1:]), Request()]
    settings = BeamConfig(beam_size=200, n_best=6, length_penalty=penalty, hot_words=HotWordsConfig(weight=0.8), limits=LIMITS)
    found = BeamSearch(settings).with_help(None, hot[:1])(model, toy_source([4, 5, 4], [5]), requests)
    for sentence, own, phrases in zip(([4, 5, 4], [5]), found, (hot, hot[:1]), strict=True):
        repeated = select_rows(toy_source(sentence), torch.zeros(len(EVERY), dtype=torch.int64))
        scored = score(model, repeated, [np.array(said, dtype=np.int64) for said in EVERY])
        totals = [one.log_prob + 0.8 * kept(said, phrases) for one, said in zip(scored, EVERY, strict=True)]
        totals = [total / (len(said) + 1 if penalty == "average" else 1) for total, said in zip(totals, EVERY, strict=True)]
        best = np.argsort(-np.array(totals))[:6]
        assert [one.score for one in own] == pytest.approx([totals[index] for index in best], abs=1e-4)
        assert [one.log_prob for one in own] == pytest.approx([scored[index].log_prob for index in best], abs=1e-4), "the model's own"


def test_the_exact_stop_waits_for_what_can_still_be_gained():
    # The empty output is by far the likeliest at first, but three symbols of a phrase are worth more.
    table = {
        (): [-9, -9, -9, 5.0, 0, -9],
        (4,): [-9, -9, -9, -9, -9, 9.0],
        (4, 5): [-9, -9, -9, -9, 9.0, -9],
        (4, 5, 4): [-9, -9, -9, 9.0, 0, 0],
    }
    model, limits = LookUpModel(table, 6), LimitsConfig(max_length=4)
    for weight, expected in ((1.5, []), (1.8, [4, 5, 4])):
        settings = BeamConfig(beam_size=2, length_penalty="none", hot_words=HotWordsConfig(weight=weight), limits=limits)
        found = BeamSearch(settings)(model, toy_source([4]), [Request(hot=((4, 5, 4),))])[0][0]
        assert found.elements.tolist() == expected


def test_greedy_search_says_them_and_takes_back_what_was_given():
    table = {(): [-9, -9, -9, 0, 1.0, 0.5], (5,): [-9, -9, -9, 0, 1.0, 0.5]}
    model, search = (
        LookUpModel(table, 6),
        GreedySearch(GreedyConfig(limits=LimitsConfig(max_length=2), hot_words=HotWordsConfig(weight=1.0))),
    )
    free, asked = (search(model, toy_source([4]), [Request(hot=hot)])[0][0] for hot in ((), ((5, 5, 4),)))
    assert free.elements[0] == 4
    assert asked.elements.tolist() == [5, 5]
    assert asked.score == pytest.approx(asked.log_prob, abs=1e-6), "the phrase is not complete"
    assert free.score == free.log_prob


def test_a_wide_search_over_frames_finds_what_enumeration_finds(seed):
    model, source = Hearing(size=6, seed=seed), toy_source([4, 5, 4, 5], [5, 4])
    hot = ((4, 5), (5, 5))
    settings = CTCSearchConfig(beam_size=120, n_best=4, hot_words=HotWordsConfig(weight=0.9))
    found = CTCSearch(settings).with_help(None, hot)(model, source, [Request(), Request(hot=((5,),))])
    symbols = torch.tensor([[*said, *[0] * (LONGEST - len(said))] for said in EVERY])
    lengths = torch.tensor([len(said) for said in EVERY])
    for row, phrases in enumerate((hot, (*hot, (5,)))):
        rows = select_rows(source, torch.full((len(EVERY),), row))
        heard = chain(model.frames(model.encode(rows)), PAD, symbols, lengths).sum(1).numpy()
        total = heard + 0.9 * np.array([kept(said, phrases) for said in EVERY])
        best = np.argsort(-total)[:4]
        assert [one.score for one in found[row]] == pytest.approx(total[best], abs=1e-3)
        assert found[row][0].elements.tolist() == list(EVERY[best[0]])


@pytest.mark.parametrize("search", [BeamSearch(BeamConfig(beam_size=3, n_best=3)), GreedySearch(GreedyConfig())])
def test_a_source_alone_finds_what_it_finds_in_a_batch(search, seed):
    model, source = ToyModel(size=9, seed=seed), toy_source([4, 5, 6], [7], [5, 5])
    requests = [Request(hot=((4, 5), (6, 7, 8))), Request(), Request(hot=((8,),))]
    found = search(model, source, requests)
    for row, own in enumerate(found):
        (alone,) = search(model, select_rows(source, torch.tensor([row])), [requests[row]])
        assert [one.elements.tolist() for one in alone] == [one.elements.tolist() for one in own]
        assert [one.score for one in alone] == pytest.approx([one.score for one in own], abs=1e-4)


def test_what_cannot_be_used_is_refused():
    model, source = ToyModel(), toy_source([4])
    with pytest.raises(ConfigError, match=r"`hot_words\.phrases` must be texts, but one of them is empty"):
        validate(plugin.Config, {"hot_words": {"phrases": ["a", " "]}}, path="search")
    with pytest.raises(ConfigError, match=r"`search\.hot_words\.phrases` need `with_help`"):
        GreedySearch(GreedyConfig(hot_words=HotWordsConfig(phrases=("a",))))(model, source)
    with pytest.raises(RequestError, match="the hot phrase must be what the model can write, but holds symbol 1"):
        GreedySearch(GreedyConfig())(model, source, [Request(hot=((UNKNOWN,),))])
    with pytest.raises(RequestError, match=f"the hot phrase must hold symbols below 7 other than pad, start and end, but holds {END}"):
        GreedySearch(GreedyConfig())(model, source, [Request(hot=((END,),))])
    with pytest.raises(ConfigError, match="must be at least 2 with `hot_words`"):
        validate(CTCSearchConfig, {"hot_words": {"phrases": ["a"]}})
    with pytest.raises(ConfigError, match="must be at least 2 where records have `hot_words`"):
        CTCSearch(CTCSearchConfig())(Hearing(), source, [Request(hot=((4,),))])


def test_a_phrase_longer_than_any_output_is_no_error():
    found = GreedySearch(GreedyConfig(limits=LIMITS))(ToyModel(), toy_source([4]), [Request(hot=((4, 5) * 9,))])
    assert len(found[0][0].elements) <= LONGEST
