"""Search for transducers against plain ones, with a joiner whose log-probabilities are known."""

import itertools
import math

import numpy as np
import pytest
import torch

from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Padded, Request, select_rows
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import AntiphonError, ConfigError
from antiphon.search.arpa import read_arpa
from antiphon.search.ngram import SymbolNGrams
from antiphon.search.transducer import TransducerSearch, TransducerSearchConfig, plugin
from antiphon.search.transducer_beam import TransducerBeam
from antiphon.search.transducer_path import LikeliestPath, parts_of
from tests.conformance.variants import TOKENS, VARIANTS, batch, build
from tests.toys import ToyModel

KIND = "values to tokens"
SMALL = [VARIANTS["transducer"][1], VARIANTS["transducer"][3]]
every_model = pytest.mark.parametrize("variant", SMALL, ids=lambda variant: variant.name)


def made(variant, seed):
    """A model of which symbols 4 to 7 are likely, and blanks more so."""
    model = build(variant, seed, KIND)
    with torch.no_grad():
        model.joiner.weight *= 2
        model.joiner.bias -= 8
        model.joiner.bias[:8] += torch.tensor([10.0, 0, 0, 0, 8, 8, 8, 8])
    return model, batch(KIND, seed, source=(12, 5, 9)).source


def search(model, source, **settings):
    return TransducerSearch(TransducerSearchConfig(**settings))(model, source)


def log_probs(model, side, predicted):
    found = model.join(side, predicted).log_softmax(-1)
    found[..., [TOKENS.start, TOKENS.end]] = -math.inf
    return found


@torch.no_grad()
def walked(model, source, row, most):
    """State by state and symbol by symbol."""
    heard = model.heard(model.encode(select_rows(source, torch.tensor([row]))))[0]
    predicted, state = model.begin(1)
    said, states, total = [], [], 0.0
    for place, side in enumerate(heard):
        for count in range(most + 1):
            scores = log_probs(model, side, predicted[0])
            symbol = int(scores.argmax()) if count < most else TOKENS.pad
            total += float(scores[symbol])
            if symbol == TOKENS.pad:
                break
            said.append(symbol)
            states.append(place)
            predicted, state = model.advance(torch.tensor([symbol]), state)
    return said, states, total


@every_model
@pytest.mark.parametrize("most", [1, 3])
def test_the_likeliest_path_is_that_of_a_plain_loop(variant, most, seed):
    model, source = made(variant, seed)
    for row, (found,) in enumerate(search(model, source, max_symbols=most, spans=True)):
        said, states, total = walked(model, source, row, most)
        assert found.elements.tolist() == said
        assert found.spans[:, 0].tolist() == states
        assert found.log_prob == found.score == pytest.approx(total)
        assert found.finish_reason == "end"


@torch.no_grad()
def beamed(model, source, row, width, most, bonus=lambda _: 0.0, last=lambda _: 0.0):
    """A beam search with a table of sequences; `bonus` is what a language model says of one so far, `last` of its end."""
    heard = model.heard(model.encode(select_rows(source, torch.tensor([row]))))[0]
    known = {(): model.begin(1)}

    def behind(said):
        if said not in known:
            known[said] = model.advance(torch.tensor([said[-1]]), behind(said[:-1])[1])
        return known[said]

    beam = {(): 0.0}
    for side in heard:
        growing, waiting = beam, {}
        for count in range(most + 1):
            grown = {}
            for said, score in growing.items():
                scores = log_probs(model, side, behind(said)[0][0]).tolist()
                silent = score + scores[TOKENS.pad]
                waiting[said] = np.logaddexp(waiting.get(said, -math.inf), silent)
                for symbol, more in enumerate(scores):
                    if symbol != TOKENS.pad and more > -math.inf:
                        grown[(*said, symbol)] = score + more
            if count == 0:
                worst = min(score + bonus(said) for said, score in waiting.items()) if len(waiting) == width else -math.inf
            best = sorted(grown.items(), key=lambda item: -item[1] - bonus(item[0]))[:width]
            growing = {said: score for said, score in best if score + bonus(said) > worst}
        beam = dict(sorted(waiting.items(), key=lambda item: -item[1] - bonus(item[0]))[:width])
    return sorted(((score + bonus(said) + last(said), score, said) for said, score in beam.items()), reverse=True)


@every_model
@pytest.mark.parametrize(("width", "most"), [(2, 2), (5, 1), (5, 3)])
def test_the_beam_is_that_of_a_plain_one(variant, width, most, seed):
    model, source = made(variant, seed)
    for row, own in enumerate(search(model, source, beam_size=width, n_best=width, max_symbols=most, spans=True)):
        expected = beamed(model, source, row, width, most)
        assert [tuple(item.elements.tolist()) for item in own] == [said for _, _, said in expected]
        assert [item.log_prob for item in own] == pytest.approx([score for _, score, _ in expected], abs=1e-6)
        for item in own:
            assert sum(item.step_scores) == pytest.approx(item.log_prob)
            assert max(item.step_scores) <= 0
            assert (np.diff(item.spans[:, 0]) >= 0).all()


@every_model
def test_the_beam_is_at_least_as_likely_as_the_path(variant, seed):
    model, source = made(variant, seed)
    for (path,), (best,) in zip(search(model, source), search(model, source, beam_size=20), strict=True):
        assert best.log_prob >= path.log_prob - 1e-9


ARPA = """\\data\\
ngram 1=7
ngram 2=2

\\1-grams:
-1.0 <s> -0.3
-1.0 </s>
-1.0 <unk>
-2.0 d
-0.3 e -0.1
-0.9 f -0.2
-1.5 g

\\2-grams:
-0.1 <s> f
-0.2 f e

\\end\\
"""


@every_model
def test_n_grams_have_a_say(variant, seed, tmp_path):
    model, source = made(variant, seed)
    (tmp_path / "lm.arpa").write_text(ARPA, encoding="utf-8")
    ngrams = SymbolNGrams(read_arpa(tmp_path / "lm.arpa"), TOKENS, ["<pad>", "<unk>", "<s>", "</s>", *"defghij"])
    settings = {"beam_size": 4, "n_best": 4, "max_symbols": 2, "language_model": {"ngram": str(tmp_path / "lm.arpa"), "weight": 0.7}}
    plain = TransducerSearch(validate(TransducerSearchConfig, settings))
    with pytest.raises(ConfigError, match="needs `with_help`"):
        plain(model, source)

    def following(said):
        state, last = ngrams.begin(1, 0, torch.device("cpu")), TOKENS.start
        for symbol in (*said, None):
            scores, state = ngrams.step(torch.tensor([last]), state)
            if symbol is None:
                return scores[0]
            last = symbol
        raise AssertionError

    def bonus(said):
        return sum(0.7 * float(following(said[:place])[symbol]) for place, symbol in enumerate(said))

    for row, own in enumerate(plain.with_help(ngrams, ())(model, source)):
        expected = beamed(model, source, row, 4, 2, bonus, lambda said: 0.7 * float(following(said)[TOKENS.end]))
        assert [tuple(item.elements.tolist()) for item in own] == [said for _, _, said in expected]
        assert [item.score for item in own] == pytest.approx([rank for rank, _, _ in expected], abs=1e-5)
        assert [item.log_prob for item in own] == pytest.approx([score for _, score, _ in expected], abs=1e-5)


@every_model
def test_hot_words_have_a_say_and_records_may_have_their_own(variant, seed):
    model, source = made(variant, seed)
    settings = {"beam_size": 4, "n_best": 4, "max_symbols": 2, "hot_words": {"phrases": ["as text"], "weight": 1.2}}
    own = [Request(hot=((7,),)), Request(), Request()]
    with pytest.raises(ConfigError, match=r"`search\.hot_words\.phrases` need `with_help`"):
        TransducerSearch(validate(TransducerSearchConfig, settings))(model, source)
    found = TransducerSearch(validate(TransducerSearchConfig, settings)).with_help(None, ((5, 6),))(model, source, own)
    for row, hypotheses in enumerate(found):

        def bonus(said, whole=False, row=row):
            pairs = sum(pair == (5, 6) for pair in itertools.pairwise(said))
            under_way = said[-1:] == (5,) and not whole
            return 1.2 * (2 * pairs + under_way + (said.count(7) if row == 0 else 0))

        expected = beamed(model, source, row, 4, 2, bonus, lambda said, bonus=bonus: bonus(said, True) - bonus(said))
        assert [tuple(item.elements.tolist()) for item in hypotheses] == [said for _, _, said in expected]
        assert [item.score for item in hypotheses] == pytest.approx([rank for rank, _, _ in expected], abs=1e-5)
    with pytest.raises(ConfigError, match="must be at least 2 where records have `hot_words`"):
        TransducerSearch(TransducerSearchConfig())(model, source, own)


def test_what_cannot_be_is_refused(seed):
    model, source = made(SMALL[0], seed)
    with pytest.raises(ConfigError, match=r"needs `model: transducer`, and no ensemble, but this model is a ToyModel"):
        search(ToyModel(), source)
    with pytest.raises(ConfigError, match=r"required or banned phrases need a model with a decoder.*this is a transducer"):
        TransducerSearch(TransducerSearchConfig())(model, source, [Request(banned=((4,),))] * 3)
    for settings, message in (
        ({"n_best": 2}, "`n_best` must be at most `beam_size`"),
        ({"language_model": {"ngram": "x"}}, "`beam_size` must be at least 2"),
        ({"hot_words": {"phrases": ["x"]}}, "`beam_size` must be at least 2 with `hot_words`"),
        ({"beam_size": 2, "language_model": {"run": "x"}}, "must be an `ngram`, but is a `run`"),
    ):
        with pytest.raises(ConfigError, match=message):
            validate(plugin.Config, settings)
    with torch.no_grad():
        model.joiner.bias[0] = math.nan
    for settings in ({}, {"beam_size": 2}):
        with pytest.raises(AntiphonError, match="must be numbers, but are NaN"):
            search(model, source, **settings)


def test_a_source_of_nothing_says_nothing(seed):
    model, _ = made(SMALL[1], seed)
    assert isinstance(model.target, TokenSpec)
    parts = Padded(torch.zeros(1, 0, 10, dtype=torch.float64), torch.tensor([0]))
    path, beam = LikeliestPath(parts_of(model, "x"), 1, 2), TransducerBeam(parts_of(model, "x"), 1, 3, 2)
    for one in (path, beam):
        one.extend(parts.values, parts.lengths)
    assert path.rows[0].symbols == []
    assert beam.hypotheses(3)[0][0].elements.tolist() == []
