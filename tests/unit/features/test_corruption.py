"""Noise on texts: it can be undone, hides as much as it should, and is a function of the seed."""

from itertools import pairwise

import numpy as np
import pytest

from antiphon.features.corruption import Corruption, Infilling, Pieces, SpanCorruption

# Symbols 0 to 3 are special, 4 to 13 masks, the others pieces: even ones begin a word, and every tenth ends a sentence.
FIRST = 14
SIZE = 214
MASKS = np.arange(4, FIRST)
PIECES = ["", "", "", "", *(f"<mask_{number}>" for number in range(10))]
PIECES += [("▁x" if symbol % 2 == 0 else "x") + ("." if symbol % 10 == 3 else "") for symbol in range(FIRST, SIZE)]


def spans(*, density: float = 0.15, mean_length: float = 3.0, pieces: Pieces | None = None, masks: int = 10) -> SpanCorruption:
    return SpanCorruption(MASKS[:masks], size=SIZE, density=density, mean_length=mean_length, pieces=pieces)


def infilling(*, density: float = 0.3, sentences: Pieces | None = None, pieces: Pieces | None = None) -> Infilling:
    return Infilling(4, density=density, mean_length=3.0, sentences=sentences, pieces=pieces)


def text(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(FIRST, SIZE, length)


TABLE = Pieces(PIECES)
ALL = {
    "spans": spans(),
    "spans of words": spans(pieces=TABLE),
    "long spans": spans(density=0.9, mean_length=8.0),
    "one mask": spans(masks=1),
    "infilling": infilling(),
    "infilling of words": infilling(pieces=TABLE),
    "much infilling": infilling(density=0.95),
    "sentences": infilling(sentences=TABLE),
}


@pytest.mark.parametrize("name", ALL)
def test_noise_can_be_undone(name: str) -> None:
    corruption = ALL[name]
    for length in (*range(1, 12), 40, 133):
        for seed in range(12):
            symbols = text(length, seed)
            source, target = corruption.corrupt(symbols, seed)
            assert np.array_equal(corruption.restore(source, target), symbols), f"length {length}, seed {seed}"
            assert np.isin(source, MASKS).any(), "something is hidden"
            whole = len(TABLE.words(symbols)) == 2 if "words" in name else length == 1
            assert whole or not np.isin(source, MASKS).all(), f"length {length}, seed {seed}: something is shown"


@pytest.mark.parametrize("name", ALL)
def test_the_empty_text_stays_empty(name: str) -> None:
    source, target = ALL[name].corrupt(np.zeros(0, dtype=np.int64), 1)
    assert len(source) == len(target) == 0


def test_a_text_of_one_symbol_is_hidden() -> None:
    symbols = np.array([FIRST])
    source, target = spans().corrupt(symbols, 1)
    assert source.tolist() == [4]
    assert target.tolist() == [4, FIRST]
    source, target = infilling().corrupt(symbols, 1)
    assert 4 in source.tolist()
    assert FIRST not in source.tolist()


def test_a_text_of_two_symbols_keeps_one() -> None:
    hidden = {int(np.flatnonzero(np.isin([20, 21], spans().corrupt(np.array([20, 21]), seed)[1]))[0]) for seed in range(30)}
    assert hidden == {0, 1}, "either may be hidden"


@pytest.mark.parametrize("name", ALL)
def test_the_seed_alone_decides(name: str) -> None:
    corruption, symbols = ALL[name], text(80)
    first, again, other = (corruption.corrupt(symbols, seed) for seed in (5, 5, 6))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


def test_spans_hide_as_much_as_they_should() -> None:
    """In T5 the number of hidden symbols and of spans depend on the length only; lengths and places of spans vary."""
    symbols, lengths, hidden = np.arange(FIRST, FIRST + 100), [], np.zeros(100)
    for seed in range(2000):
        source, target = spans().corrupt(symbols, seed)
        masks = np.isin(target, MASKS)
        assert (~masks).sum() == 15
        assert masks.sum() == np.isin(source, MASKS).sum() == 5
        assert target[masks].tolist() == source[np.isin(source, MASKS)].tolist() == MASKS[:5].tolist()
        lengths += np.diff([*np.flatnonzero(masks), len(target)]).tolist()
        hidden[target[~masks] - FIRST] += 1
    assert np.mean(lengths) - 1 == pytest.approx(3)
    assert set(range(2, 10)) <= set(lengths), "span lengths vary"
    assert hidden.min() / 2000 > 0.04, "any symbol may be hidden, the first and the last too"
    assert hidden[30:70].mean() / 2000 == pytest.approx(0.15, abs=0.01)


def test_spans_do_not_touch() -> None:
    for seed in range(300):
        source, _ = spans(density=0.5, mean_length=1.0).corrupt(text(20, seed), seed)
        assert not (np.isin(source[1:], MASKS) & np.isin(source[:-1], MASKS)).any(), f"seed {seed}"


def test_there_are_no_more_spans_than_masks() -> None:
    symbols = text(1000)
    source, target = spans().corrupt(symbols, 3)
    assert np.isin(source, MASKS).sum() == 10
    assert len(target) == 160


def test_infilling_draws_poisson_lengths() -> None:
    """30 % are hidden, in spans of Poisson(3), of which 5 % are empty."""
    symbols, masks, sizes = np.arange(FIRST, FIRST + 200), [], []
    for seed in range(800):
        source, target = infilling().corrupt(symbols, seed)
        assert np.array_equal(target, symbols)
        assert np.isin(symbols, source).sum() == 140
        masks.append(int((source == 4).sum()))
        # What lies between the visible neighbours of a run of masks was hidden by it.
        visible = [FIRST - 1, *source[source >= FIRST].tolist(), FIRST + 200]
        sizes += [gap - 1 for gap in np.diff(visible) if gap > 1]
    assert np.mean(masks) == pytest.approx(60 / 3 + 0.5, rel=0.05)  # the last span is cut, so there is half a one more
    assert np.mean(sizes) == pytest.approx(3 / (1 - np.exp(-3)), rel=0.05), "spans that hide something"
    share = np.mean(np.array(sizes) == 3)
    assert share == pytest.approx(0.224 / (1 - np.exp(-3)), abs=0.02), "Poisson(3) of 3 is 0.224"


def test_some_masks_hide_nothing() -> None:
    symbols = np.arange(FIRST, FIRST + 100)
    empty = total = 0
    for seed in range(400):
        source, _ = infilling().corrupt(symbols, seed)
        padded = np.concatenate([[FIRST - 1], source, [FIRST + 100]])
        for place in np.flatnonzero(padded == 4):
            total += 1
            before, behind = padded[place - 1], padded[place + 1]
            empty += before != 4 and behind != 4 and behind == before + 1
    assert empty / total == pytest.approx(np.exp(-3), abs=0.015)


@pytest.mark.parametrize("name", ["spans of words", "infilling of words"])
def test_whole_words_are_never_split(name: str) -> None:
    for seed in range(200):
        symbols = np.concatenate([[FIRST], text(60, seed)])
        source, _ = ALL[name].corrupt(symbols, seed)
        for before, behind in pairwise(source):
            if before < FIRST <= behind:
                assert PIECES[behind].startswith("▁"), f"seed {seed}: a word goes on behind a mask"


def test_sentences_come_in_another_order() -> None:
    symbols = np.array([20, 23, 30, 33, 40, 43, 50, 53])  # four sentences of two pieces
    assert TABLE.sentences(symbols).tolist() == [0, 2, 4, 6, 8]
    orders = set()
    for seed in range(50):
        source, target = infilling(density=0.01, sentences=TABLE).corrupt(symbols, seed)
        assert np.array_equal(target, symbols)
        orders.add(tuple(symbol // 10 for symbol in source.tolist() if symbol >= FIRST and symbol % 10 == 3))
    assert len(orders) > 10


def test_words_and_sentences_of_other_pieces() -> None:
    characters = Pieces(["A", " ", ".", "b", "。", "<0x20>", "<0x2E>"])
    assert characters.words(np.array([0, 3, 1, 3, 5, 0])).tolist() == [0, 2, 4, 6]
    assert characters.sentences(np.array([0, 2, 3, 2, 1, 3])).tolist() == [0, 4, 6], "a dot within a word ends nothing"
    assert characters.sentences(np.array([0, 4, 3])).tolist() == [0, 2, 3], "no space follows a full stop of Chinese"
    assert characters.sentences(np.array([0, 6, 5, 3])).tolist() == [0, 2, 4]
    assert Pieces(["a", "b."], every=True).sentences(np.array([0, 1, 0])).tolist() == [0, 2, 3]


def test_a_target_that_says_nothing_of_a_mask_leaves_it() -> None:
    corruption: Corruption = spans()
    assert corruption.restore(np.array([20, 4, 21, 5]), np.array([99, 5, 30, 31, 5, 40])).tolist() == [20, 4, 21, 30, 31]
