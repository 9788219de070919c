"""Shallow fusion: the fused beam finds what enumeration finds by the summed scores; n-gram models from a file answer as by hand."""

import itertools
import math

import numpy as np
import pytest
import torch

from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Padded, select_rows
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ConfigError, DataError
from antiphon.search.arpa import read_arpa
from antiphon.search.beam import BeamConfig, BeamSearch
from antiphon.search.ctc import CTCSearch, CTCSearchConfig
from antiphon.search.ctc_chain import chain
from antiphon.search.fusion import LanguageModelConfig, NeuralLanguageModel, check_same_symbols
from antiphon.search.limits import LimitsConfig
from antiphon.search.ngram import SymbolNGrams, WordNGrams, ngrams
from antiphon.search.scoring import score
from tests.conformance.variants import NOTHING, VALUES, VARIANTS, Variant, elements, fresh, shaken

TINY = TokenSpec(size=6, pad=0, unknown=1, start=2, end=3)
LONGEST = 3
EVERY = [np.array(said, dtype=np.int64) for length in range(LONGEST + 1) for said in itertools.product((1, 4, 5), repeat=length)]
SOURCE = Padded(torch.tensor([[4, 5, 4], [5, 4, 4]]), torch.tensor([3, 1]))
LIMITS = LimitsConfig(max_length=LONGEST)

ARPA = """
\\data\\
ngram 1=6
ngram 2=4
ngram 3=1

\\1-grams:
-1.2\t<unk>
-99\t<s>\t-0.3
-0.9\t</s>
-0.5\ta\t-0.2
-0.7\tb\t-0.4
-1.0\tc

\\2-grams:
-0.1\t<s> a\t-0.05
-0.3\ta b\t-0.25
-0.6\tb </s>
-0.2\ta a

\\3-grams:
-0.15\t<s> a b

\\end\\
"""


def built(variant, seed, *specs, **changes):
    return shaken(fresh(variant, seed, *specs, **changes), seed).double().eval()


def language_model(seed, name="default"):
    (variant,) = (one for one in VARIANTS["decoder_only"] if one.name == name)
    return built(variant, seed, NOTHING, TINY)


def log_probs_of(model):
    """What a language model says of every sequence."""
    nothing = Padded(torch.full((len(EVERY), 1), 4), torch.ones(len(EVERY), dtype=torch.int64))
    return np.array([one.log_prob for one in score(model, nothing, EVERY)])


def beam(weight, helper, **settings):
    settings = {"length_penalty": "none", "limits": LIMITS, **settings}
    return BeamSearch(BeamConfig(language_model=LanguageModelConfig(run="x", weight=weight), **settings), helper)


@pytest.fixture
def arpa(tmp_path):
    (tmp_path / "model.arpa").write_text(ARPA)
    return read_arpa(tmp_path / "model.arpa")


@pytest.mark.parametrize("architecture", ["lstm", "transformer"])
@pytest.mark.parametrize("helper", ["default", "lstm"])
def test_a_wide_fused_beam_finds_what_enumeration_finds(architecture, helper, seed):
    model, other = built(Variant(architecture, "default"), seed, TINY, TINY), language_model(seed + 1, helper)
    found = beam(0.7, NeuralLanguageModel(other), beam_size=len(EVERY), n_best=5)(model, SOURCE)
    for row in range(2):
        own = np.array([one.log_prob for one in score(model, select_rows(SOURCE, torch.full((len(EVERY),), row)), EVERY)])
        total = own + 0.7 * log_probs_of(other)
        best = np.argsort(-total)[:5]
        assert [one.score for one in found[row]] == pytest.approx(total[best], abs=1e-4)
        assert [one.elements.tolist() for one in found[row]] == [EVERY[index].tolist() for index in best]
        assert [one.log_prob for one in found[row]] == pytest.approx(own[best], abs=1e-4), "step scores are the model's own"


def test_with_ctc_the_three_scores_are_summed(seed):
    model = built(Variant("lstm", "ctc", {"ctc": True}), seed, VALUES, TINY)
    generator = torch.Generator().manual_seed(seed)
    source = Padded(elements(VALUES, (2, 7), generator), torch.tensor([7, 5]))
    other = language_model(seed + 1)
    found = beam(0.5, NeuralLanguageModel(other), beam_size=len(EVERY), n_best=3, ctc_weight=0.4)(model, source)
    symbols = torch.zeros(len(EVERY), LONGEST, dtype=torch.int64)
    for index, said in enumerate(EVERY):
        symbols[index, : len(said)] = torch.from_numpy(said)
    lengths = torch.tensor([len(said) for said in EVERY])
    for row in range(2):
        rows = select_rows(source, torch.full((len(EVERY),), row))
        own = np.array([one.log_prob for one in score(model, rows, EVERY)])
        with torch.no_grad():
            frames = model.frames(model.encode(rows))
        heard = chain(frames, TINY.pad, symbols, lengths).sum(1).detach().numpy()
        total = 0.6 * own + 0.4 * heard + 0.5 * log_probs_of(other)
        best = np.argsort(-total)[:3]
        assert [one.score for one in found[row]] == pytest.approx(total[best], abs=1e-3)
        assert found[row][0].elements.tolist() == EVERY[best[0]].tolist()


def test_a_fused_beam_of_one_is_greedy(seed):
    model, other = built(Variant("transformer", "default"), seed, TINY, TINY), language_model(seed + 1)
    found = beam(0.7, NeuralLanguageModel(other), beam_size=1)(model, SOURCE)
    with torch.no_grad():
        for row in range(2):
            source = select_rows(SOURCE, torch.tensor([row]))
            said = [TINY.start]
            while len(said) <= LONGEST and said[-1] != TINY.end:
                inputs = Padded(torch.tensor([said]), torch.tensor([len(said)]))
                nothing = Padded(torch.tensor([[4]]), torch.tensor([1]))
                own, helping = model(source, inputs).values[0, -1], other(nothing, inputs).values[0, -1]
                ranking = own.log_softmax(-1) + 0.7 * helping.log_softmax(-1)
                ranking[[TINY.pad, TINY.start]] = -math.inf
                said.append(int(ranking.argmax()))
            assert found[row][0].elements.tolist() == [symbol for symbol in said[1:] if symbol != TINY.end]


def test_a_source_alone_finds_what_it_finds_in_a_batch(seed):
    model, other = built(Variant("transformer", "default"), seed, TINY, TINY), language_model(seed + 1)
    search = beam(0.7, NeuralLanguageModel(other), beam_size=3, n_best=3)
    together = search(model, SOURCE)
    for row in range(2):
        (alone,) = search(model, select_rows(SOURCE, torch.tensor([row])))
        assert [one.elements.tolist() for one in alone] == [one.elements.tolist() for one in together[row]]


def test_a_search_ends_where_the_language_model_does(seed):
    (variant,) = (one for one in VARIANTS["transformer"] if one.name == "default")
    model = built(variant, seed, TINY, TINY)
    settings = {"name": "transformer", "dim": 8, "layers": 1, "heads": 2, "positions": "learned", "max_positions": 4}
    helper = NeuralLanguageModel(built(Variant("decoder_only", "learned", {"decoder": settings}), seed, NOTHING, TINY))
    search = beam(0.1, helper, beam_size=2, limits=LimitsConfig(min_length=9))
    assert {len(own[0].elements) for own in search(model, SOURCE)} == {3}, "and the end is the fourth"


def test_ngrams_by_symbols_take_part_in_the_beam(arpa, seed):
    model = built(Variant("lstm", "default"), seed, TINY, TINY)
    pieces = ["<pad>", "<unk>", "<s>", "</s>", "a", "b"]
    found = beam(0.7, ngrams(arpa, None, TINY, pieces, str), beam_size=len(EVERY), n_best=5)(model, SOURCE)
    total = np.array([one.log_prob for one in score(model, select_rows(SOURCE, torch.zeros(len(EVERY), dtype=torch.int64)), EVERY)])
    for index, said in enumerate(EVERY):
        context = arpa.extended((), arpa.number("<s>"))
        for symbol in (*said, TINY.end):
            word = arpa.number(pieces[symbol])
            total[index] += 0.7 * arpa.log_prob(context, word)
            context = arpa.extended(context, word)
    best = np.argsort(-total)[:5]
    assert [one.score for one in found[0]] == pytest.approx(total[best], abs=1e-4)
    assert found[0][0].elements.tolist() == EVERY[best[0]].tolist()


def test_a_wide_prefix_beam_finds_what_enumeration_finds(arpa, seed):
    model = built(Variant("lstm", "ctc", {"ctc": True}), seed, VALUES, TINY)
    source = Padded(elements(VALUES, (2, 3), torch.Generator().manual_seed(seed)), torch.tensor([3, 2]))
    pieces = ["<pad>", "<unk>", "<s>", "</s>", "a", "b"]
    helper = ngrams(arpa, None, TINY, pieces, str)
    settings = CTCSearchConfig(beam_size=60, n_best=4, language_model=LanguageModelConfig(ngram="x", weight=0.8))
    found = CTCSearch(settings).with_help(helper, ())(model, source)
    symbols = torch.tensor([[*said, *[0] * (LONGEST - len(said))] for said in EVERY])
    lengths = torch.tensor([len(said) for said in EVERY])
    for row in range(2):
        rows = select_rows(source, torch.full((len(EVERY),), row))
        heard = chain(model.frames(model.encode(rows)), TINY.pad, symbols, lengths).sum(1).detach().numpy()
        state, said = helper.begin(len(EVERY), 0, torch.device("cpu")), np.zeros(len(EVERY))
        last = torch.full((len(EVERY),), TINY.start)
        for step in range(LONGEST + 1):
            log_probs, state = helper.step(last, state)
            said += np.where(lengths == step, log_probs[:, TINY.end], 0)
            if step < LONGEST:
                last = symbols[:, step]
                said += np.where(lengths > step, log_probs[torch.arange(len(EVERY)), last], 0)
        total = heard + 0.8 * said
        best = np.argsort(-total)[:4]
        assert [one.score for one in found[row]] == pytest.approx(total[best], abs=1e-3)
        assert found[row][0].elements.tolist() == EVERY[best[0]].tolist()
        assert found[row][0].log_prob == pytest.approx(heard[best[0]], abs=1e-3)


def test_backing_off_by_hand(arpa):
    def said(*words):
        context = ()
        for word in words[:-1]:
            context = arpa.extended(context, arpa.number(word))
        every = arpa.log_probs(context)[arpa.number(words[-1])]
        assert every == pytest.approx(arpa.log_prob(context, arpa.number(words[-1]))), "one word and all words at once agree"
        return every / math.log(10)

    assert said("<s>", "a") == pytest.approx(-0.1)
    assert said("<s>", "a", "b") == pytest.approx(-0.15)
    assert said("<s>", "a", "a") == pytest.approx(-0.05 - 0.2)
    assert said("<s>", "a", "c") == pytest.approx(-0.05 - 0.2 - 1.0)
    assert said("a", "b", "</s>") == pytest.approx(-0.25 - 0.6)
    assert said("<s>", "b", "c") == pytest.approx(-0.4 - 1.0)
    assert said("c", "a") == pytest.approx(-0.5)
    assert said("a", "never seen") == pytest.approx(-0.2 - 1.2)


def test_words_are_scored_when_they_are_complete(arpa):
    pieces = ["<pad>", "<unk>", "<s>", "</s>", "\u2581a", "\u2581", "b"]
    starts = np.array([False] * 4 + [True, True, False])
    spec = TokenSpec(7, 0, 1, 2, 3, word_starts=starts)
    helper = ngrams(arpa, None, spec, pieces, lambda symbols: "".join(pieces[symbol] for symbol in symbols).replace("\u2581", " "))
    assert isinstance(helper, WordNGrams)
    state, total = helper.begin(1, 9, torch.device("cpu")), 0.0
    for last, following in itertools.pairwise([2, 4, 5, 6, 3]):  # <s> a b </s>, where b is two symbols
        log_probs, state = helper.step(torch.tensor([last]), state)
        total += float(log_probs[0, following])
        assert float(log_probs[0, 6]) == 0, "what goes on with a word costs nothing yet"
    assert total / math.log(10) == pytest.approx(-0.1 - 0.15 - 0.25 - 0.6, abs=1e-5)
    reordered = state.select_rows(torch.tensor([0, 0]))
    assert helper.step(torch.tensor([4, 6]), reordered)[0].shape == (2, 7)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\end\\", "", "breaks off"),
        ("ngram 2=4", "ngram 2=5", "must have the 5 2-grams that it announces, but has 4"),
        ("-0.3\ta b\t-0.25", "x\ta b\t-0.25", r"model\.arpa:17: an entry must be a number, 2 words"),
        ("-0.3\ta b\t-0.25", "-0.3\ta d", "every word must have a 1-gram"),
        ("\\data\\", "", "in the ARPA format"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path, old, new, message):
    (tmp_path / "model.arpa").write_text(ARPA.replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        read_arpa(tmp_path / "model.arpa")


@pytest.mark.parametrize("space", ["\u00a0", "\u3000", "\u2009", "\x0b", "\x85"])
def test_only_blanks_and_tabs_stand_between_words(tmp_path, space):
    """A no-break space is part of a word (10 000), as KenLM reads it."""
    word = f"10{space}000"
    text = ARPA.replace("\tc\n", f"\t{word}\n").replace("-0.2\ta a", f"-0.2\ta {word}").replace("-0.9\t</s>", f"-0.9\t</s>{' '}")
    (tmp_path / "model.arpa").write_text(text, encoding="utf-8", newline="")
    arpa = read_arpa(tmp_path / "model.arpa")
    assert word in arpa.words
    assert arpa.log_prob((arpa.number("a"),), arpa.number(word)) == pytest.approx(-0.2 * math.log(10))
    (tmp_path / "edge.arpa").write_text(ARPA.replace("\tc\n", f"\t{space}\n"), encoding="utf-8", newline="")
    assert space in read_arpa(tmp_path / "edge.arpa").words


def test_what_cannot_be_used_is_refused(arpa):
    with pytest.raises(ConfigError, match="either a `run` or an `ngram`"):
        validate(LanguageModelConfig, {})
    with pytest.raises(ConfigError, match="only with an `ngram`"):
        validate(LanguageModelConfig, {"run": "x", "level": "words"})
    with pytest.raises(ConfigError, match="must have symbols of the vocabulary as entries"):
        SymbolNGrams(arpa, TINY, ["<pad>", "<unk>", "<s>", "</s>", "x", "y"])
    with pytest.raises(ConfigError, match="must be `symbols`"):
        ngrams(arpa, "words", TINY, [], str)
    with pytest.raises(ConfigError, match="must have the vocabulary of the model that it helps"):
        check_same_symbols(TokenSpec(6, 0, 1, 2, 3, "other"), TINY, "runs/other")
    with pytest.raises(ConfigError, match="must be an `ngram`, but is a `run`"):
        validate(CTCSearchConfig, {"beam_size": 3, "language_model": {"run": "x"}})
    with pytest.raises(ConfigError, match="must be at least 2 with a `language_model`"):
        validate(CTCSearchConfig, {"language_model": {"ngram": "x"}})
    with pytest.raises(ConfigError, match="with_help"):
        BeamSearch(BeamConfig(language_model=LanguageModelConfig(run="x")))(built(Variant("lstm", "default"), 1, TINY, TINY), SOURCE)
