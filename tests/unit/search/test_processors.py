import itertools

import numpy as np
import pytest
import torch

from antiphon.contracts.sequences import Request
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ConfigError, DataError
from antiphon.search.beam import BeamConfig, BeamSearch
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.search.limits import LimitsConfig, limits_of
from antiphon.search.processors import ProcessorsConfig, processors_for
from antiphon.search.sampling import SamplingConfig, SamplingSearch
from antiphon.search.scoring import score
from tests.toys import END, PAD, START, UNKNOWN, ToyModel, toy_source

SPEC = TokenSpec(8, PAD, UNKNOWN, START, END)
INFINITY = float("inf")


NOTHING_ASKED = Request()


def build(settings=None, requests=(NOTHING_ASKED,), width=1, spec=SPEC, **limits):
    bounds = limits_of(LimitsConfig(**limits), torch.tensor([4] * len(requests)))
    return processors_for(settings or ProcessorsConfig(), spec, bounds, requests, width, torch.device("cpu"))


def forbidden(ranking):
    return [set((row == -INFINITY).nonzero().squeeze(1).tolist()) for row in ranking]


def test_start_and_padding_are_never_said_and_the_models_logits_stay():
    logits = torch.randn(2, 8)
    before = logits.clone()
    scores = build(requests=(Request(), Request()))(logits, torch.zeros(2, 0, dtype=torch.int64))
    assert forbidden(scores.ranking) == [{PAD, START}] * 2
    assert torch.equal(logits, before)
    log_probs = scores.log_probs(torch.tensor([0, 1]), torch.tensor([4, END]))
    torch.testing.assert_close(log_probs, logits.log_softmax(-1)[[0, 1], [4, END]])


def test_the_end_symbol_may_start_and_pad():
    spec = TokenSpec(8, pad=3, unknown=1, start=3, end=3)
    assert forbidden(build(spec=spec)(torch.randn(1, 8), torch.zeros(1, 0, dtype=torch.int64)).ranking) == [set()]


def test_unknown_can_be_forbidden():
    scores = build(ProcessorsConfig(allow_unknown=False))(torch.randn(1, 8), torch.zeros(1, 0, dtype=torch.int64))
    assert forbidden(scores.ranking) == [{PAD, START, UNKNOWN}]


def test_symbols_can_be_forbidden_by_number():
    scores = build(ProcessorsConfig(forbidden=(5, 7)))(torch.randn(1, 8), torch.zeros(1, 2, dtype=torch.int64))
    assert forbidden(scores.ranking) == [{PAD, START, 5, 7}]
    with pytest.raises(ConfigError, match=r"`search\.processors\.forbidden_first` must hold symbols below 8, but holds 8\."):
        build(ProcessorsConfig(forbidden_first=(8,)))


def test_symbols_can_be_forbidden_first_behind_what_is_asked_for():
    settings, logits = ProcessorsConfig(forbidden_first=(6, END)), torch.randn(3, 8)
    rules = build(settings, requests=(Request(), Request(prefix=(6,)), Request(prefix=(4, 5))))
    everything = set(range(8))
    for step, expected in enumerate(
        [
            [{PAD, START, 6, END}, everything - {6}, everything - {4}],
            [{PAD, START}, {PAD, START, 6, END}, everything - {5}],
            [{PAD, START}, {PAD, START}, {PAD, START, 6, END}],
            [{PAD, START}] * 3,
        ]
    ):
        assert forbidden(rules(logits, torch.full((3, step), 4)).ranking) == expected
    assert forbidden(build(settings)(logits[:1], torch.zeros(1, 0, dtype=torch.int64)).ranking) == [{PAD, START, 6, END}]


def test_ngram_blocking_against_a_plain_count():
    settings = ProcessorsConfig(no_repeat_ngram_size=3)
    generator = torch.Generator().manual_seed(3)
    for length in range(9):
        history = torch.randint(4, 6, (6, length), generator=generator)
        ranking = build(settings, requests=(Request(),) * 6)(torch.randn(6, 8), history).ranking
        for row, said in enumerate(history.tolist()):
            seen = {tuple(said[i : i + 3]) for i in range(len(said) - 2)}
            expected = {symbol for symbol in range(8) if length >= 2 and (*said[-2:], symbol) in seen}
            assert forbidden(ranking)[row] == expected | {PAD, START}


def test_a_row_that_has_ended_may_repeat_the_end():
    history = torch.tensor([[4, END, END]])
    ranking = build(ProcessorsConfig(no_repeat_ngram_size=2))(torch.randn(1, 8), history).ranking
    assert forbidden(ranking) == [{PAD, START}]


def test_repetition_penalty_formula():
    logits = torch.tensor([[0.1, 0.2, 0.3, 0.4, 2.0, -2.0, 1.0, -1.0]])
    scores = build(ProcessorsConfig(repetition_penalty=1.5))(logits, torch.tensor([[4, 5, 4]]))
    changed = logits.clone()
    changed[0, 4], changed[0, 5] = 2.0 / 1.5, -2.0 * 1.5
    torch.testing.assert_close((scores.ranking - scores.ranking_norm)[:, 3:], changed.log_softmax(-1)[:, 3:])
    torch.testing.assert_close(scores.log_probs(torch.tensor([0]), torch.tensor([4])), logits.log_softmax(-1)[0, 4:5])


def test_repetition_penalty_changes_the_ranking_and_not_the_reported_scores():
    model, source = ToyModel(seed=5, end_bias=-2), toy_source([4, 5, 6])
    limits = LimitsConfig(min_length=3, max_length=6)
    settings = BeamConfig(length_penalty="none", processors=ProcessorsConfig(repetition_penalty=3.0), limits=limits)
    best = BeamSearch(settings)(model, source)[0][0]
    assert score(model, source, [best.elements])[0].log_prob == pytest.approx(best.log_prob, abs=1e-4)
    assert best.score != pytest.approx(best.log_prob, abs=1e-3)


def test_banned_phrases_of_different_length():
    request = Request(banned=((4,), (5, 6), (7, 4, 5)))
    processors = build(requests=(request, Request()))
    logits = torch.randn(2, 8)

    def after(*said):
        return forbidden(processors(logits, torch.tensor([said, said], dtype=torch.int64).view(2, len(said))).ranking)

    assert after() == [{PAD, START, 4}, {PAD, START}]
    assert after(5) == [{PAD, START, 4, 6}, {PAD, START}]
    assert after(6, 7, 4) == [{PAD, START, 4, 5}, {PAD, START}]
    assert after(7, 6, 4) == [{PAD, START, 4}, {PAD, START}]


def test_fewer_banned_phrases_than_a_neighbour_ban_nothing_else():
    spec = TokenSpec(8, pad=0, unknown=1, start=0, end=0)
    requests = (Request(banned=((4,), (5,))), Request(banned=((4,),)), Request())
    processors = build(requests=requests, spec=spec)
    assert forbidden(processors(torch.randn(3, 8), torch.zeros(3, 0, dtype=torch.int64)).ranking) == [{4, 5}, {4}, set()]


def test_a_prefix_is_forced_whatever_the_rules_say():
    request = Request(prefix=(UNKNOWN, 4), banned=((4,),))
    processors = build(ProcessorsConfig(allow_unknown=False), requests=(Request(), request), width=2)
    logits = torch.randn(4, 8)
    scores = processors(logits, torch.zeros(4, 0, dtype=torch.int64))
    first = scores.ranking
    assert forbidden(first) == [{PAD, START, UNKNOWN}] * 2 + [set(range(8)) - {UNKNOWN}] * 2
    assert torch.equal(first[2:, UNKNOWN], scores.ranking_norm[2:, 0]), "it was not chosen, so it costs nothing"
    torch.testing.assert_close(scores.log_probs(torch.tensor([2]), torch.tensor([UNKNOWN])), logits[2:3].log_softmax(-1)[:, UNKNOWN])
    second = processors(logits, torch.full((4, 1), 5)).ranking
    assert forbidden(second)[2:] == [set(range(8)) - {4}] * 2
    third = processors(logits, torch.full((4, 2), 5)).ranking
    assert forbidden(third)[2:] == [{PAD, START, UNKNOWN, 4}] * 2


def test_the_end_waits_for_the_minimum_and_comes_at_the_maximum():
    processors = build(min_length=1, max_length=2)
    logits = torch.randn(1, 8)
    assert END in forbidden(processors(logits, torch.zeros(1, 0, dtype=torch.int64)).ranking)[0]
    assert END not in forbidden(processors(logits, torch.full((1, 1), 4)).ranking)[0]
    last = processors(logits, torch.full((1, 2), 4))
    assert forbidden(last.ranking) == [set(range(8)) - {END}]
    assert last.cut is not None


def test_a_row_with_nothing_left_to_say_ends():
    everything = tuple((symbol,) for symbol in range(SPEC.size) if symbol not in (PAD, START, END))
    ranking = build(requests=(Request(banned=everything),), min_length=3)(torch.randn(1, 8), torch.zeros(1, 0, dtype=torch.int64)).ranking
    assert forbidden(ranking) == [set(range(8)) - {END}]


SEARCHES = [
    GreedySearch(GreedyConfig(limits=LimitsConfig(max_length=8))),
    BeamSearch(BeamConfig(beam_size=3, n_best=3, limits=LimitsConfig(max_length=8))),
    SamplingSearch(SamplingConfig(samples=4, limits=LimitsConfig(max_length=8))),
]


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.settings.name)
def test_every_search_keeps_prefixes_and_bans(search):
    requests = [Request(prefix=(6, 6, 4)), Request(), Request(banned=((4, 5), (6,)))]
    found = search(ToyModel(seed=2, end_bias=-1), toy_source([4, 5], [6, 5, 4], [5, 5]), requests)
    assert all(item.elements[:3].tolist() == [6, 6, 4] for item in found[0])
    for item in found[2]:
        said = item.elements.tolist()
        assert 6 not in said
        assert (4, 5) not in itertools.pairwise(said)


@pytest.mark.parametrize("name", ["greedy", "beam", "sampling"])
def test_every_search_blocks_ngrams(name, seed):
    processors, limits = ProcessorsConfig(no_repeat_ngram_size=2), LimitsConfig(max_length=12)
    search = {
        "greedy": GreedySearch(GreedyConfig(processors=processors, limits=limits)),
        "beam": BeamSearch(BeamConfig(processors=processors, limits=limits)),
        "sampling": SamplingSearch(SamplingConfig(samples=3, processors=processors, limits=limits)),
    }[name]
    for own in search(ToyModel(seed=seed, end_bias=-4), toy_source([4, 5, 4], [6])):
        for item in own:
            pairs = list(zip(item.elements.tolist(), item.elements.tolist()[1:], strict=False))
            assert len(pairs) == len(set(pairs))


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.settings.name)
@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            Request(prefix=(4,) * 9),
            "Source 1 of the batch: the prefix must have at most 8 symbols, the limit for the source's length, but has 9",
        ),
        (Request(prefix=(END,)), "Source 1 of the batch: the prefix must hold symbols below 7 other than pad, start and end, but holds 3"),
        (
            Request(prefix=(4, UNKNOWN)),
            "Source 1 of the batch: the prefix must be what the model can write, but holds symbol 1, which stands",
        ),
        (Request(banned=((4, 7),)), "Source 1 .* the banned phrase .* but holds 7"),
        (Request(banned=((),)), "Source 1 of the batch: a banned phrase must have at least one symbol, but is empty"),
    ],
)
def test_impossible_requests_are_refused(search, request_, message):
    with pytest.raises(DataError, match=message):
        search(ToyModel(), toy_source([4], [5]), [Request(), request_])


def test_elements_are_int64_and_own_their_memory():
    item = SEARCHES[0](ToyModel(), toy_source([4, 5]))[0][0]
    assert item.elements.dtype == np.int64
    assert item.elements.base is None
