"""Prefix probabilities against sums over all alignments."""

import math

import pytest
import torch

from antiphon.contracts.sequences import select_rows
from antiphon.search.ctc_chain import chain
from antiphon.search.ctc_prefix import advance, continuations, empty_prefixes, frame_scores
from tests.unit.search.alignments import BLANK, END, FramesModel, probabilities, random_frames

LENGTHS = (5, 2, 4)
PREFIXES = [(), (4,), (4, 4), (5, 1), (4, 5, 4), (1, 1)]


def scores_of(source):
    model = FramesModel()
    return frame_scores(model.frames(model.encode(source)), BLANK)


def test_continuations_of_prefixes(seed):
    source = random_frames(LENGTHS, 6, torch.Generator().manual_seed(seed))
    frames = scores_of(source)
    every = [probabilities(source.values[row, :length].double().log_softmax(-1)) for row, length in enumerate(LENGTHS)]
    for prefix in PREFIXES:
        prefixes = empty_prefixes(frames, 2)
        for symbol in prefix:
            prefixes = advance(frames, prefixes, torch.full((6,), symbol))
        found = continuations(frames, prefixes, END)
        for row in range(6):
            own = every[row // 2]

            def beginning(start, own=own):
                return sum(p for sequence, p in own.items() if sequence[: len(start)] == start)

            check(prefixes.score[row], beginning(prefix))
            check(prefixes.whole[row], own.get(prefix, 0.0))
            check(found[row, END], own.get(prefix, 0.0))
            for symbol in (1, 4, 5):
                check(found[row, symbol], beginning((*prefix, symbol)))


def check(found, probability):
    if probability == 0:
        assert float(found) <= -9e3, "what cannot be has next to no probability, and no NaN"
    else:
        assert float(found) == pytest.approx(math.log(probability), abs=1e-9)


def test_selecting_rows_commutes_with_advancing(seed):
    frames = scores_of(random_frames(LENGTHS, 6, torch.Generator().manual_seed(seed)))
    prefixes = advance(frames, empty_prefixes(frames, 2), torch.tensor([4, 5, 5, 4, 1, 4]))
    order, kept = torch.tensor([1, 0, 5, 5]), torch.tensor([0, 2])
    symbols = torch.tensor([5, 4, 4, 1])
    chosen = advance(select_rows(frames, kept), select_rows(prefixes, order), symbols)
    whole = torch.tensor([5, 4, 4, 4, 4, 1])  # the same, each in its row of all
    first = advance(frames, prefixes, torch.tensor([4, 5, 4, 4, 4, 4]))
    second = advance(frames, prefixes, whole)
    expected = torch.stack([first.score[1], first.score[0], first.score[5], second.score[5]])
    torch.testing.assert_close(chosen.score, expected)


def test_long_recordings_lose_nothing(seed):
    """Against `ctc_loss`, over a thousand frames that are very sure of themselves."""
    generator = torch.Generator().manual_seed(seed)
    source = random_frames((1000, 700), 40, generator, scale=8.0)
    model = FramesModel(40)
    symbols, lengths = torch.randint(4, 40, (2, 60), generator=generator), torch.tensor([60, 33])
    expected = -torch.nn.functional.ctc_loss(
        source.values.double().log_softmax(-1).transpose(0, 1), symbols, source.lengths, lengths, reduction="none"
    )
    found = chain(model.frames(model.encode(source)), BLANK, symbols, lengths)
    torch.testing.assert_close(found.sum(1), expected, rtol=1e-6, atol=1e-6)
    assert bool((found <= 1e-9).all())
