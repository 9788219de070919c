"""A long source as text: shades, copied words, spaces."""

import re

import numpy as np

from antiphon.report.source_view import source_view


def plain(markup: str) -> str:
    return re.sub(r"<[^>]+>", "", markup)


def test_attention_is_shaded_and_copies_are_marked() -> None:
    weights = np.array([[0.8, 0.2, 0.0, 0.0], [0.8, 0.0, 0.0, 0.2]])
    copied = [(0.9, 0), (0.1, 3)]
    card = source_view(weights, ["zork", "reads", "files", "\uffed."], ["zork", "tool"], copied, "Best.", ["a zork tool"])
    assert '<mark class="shade-5 copied" title="1.6">zork</mark>' in card
    assert '<mark class="copied" title="copied with probability 0.90">zork</mark>' in card
    assert "zork reads files." in plain(card)  # the joiner tells that no space stood before the full stop
    assert "zork tool" in plain(card)
    assert '<span title="0">files</span>' in card
    assert "a zork tool" in card


def test_subwords_are_joined_and_markup_is_text() -> None:
    card = source_view(np.full((1, 3), 1 / 3), ["\u2581un", "known", "\u2581<b>"], ["\u2581x"], [], "Worst.", [])
    assert "unknown &lt;b&gt;" in plain(card)


def test_what_does_not_fit_is_said() -> None:
    card = source_view(np.ones((1, 700)), ["w"] * 700, ["w"], [], "Best.", [])
    assert "Not shown: the last 100 of 700 pieces" in card
