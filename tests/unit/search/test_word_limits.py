"""Limits that count words rather than symbols."""

import dataclasses

import numpy as np
import pytest
import torch

from antiphon.contracts.registry import find
from antiphon.contracts.sequences import Padded
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ConfigError
from antiphon.models.lstm import LSTMConfig, build
from antiphon.search.limits import LimitsConfig

# Symbols 4 to 7 begin a word, 8 to 11 go on with one.
STARTS = np.array([False] * 4 + [True] * 4 + [False] * 4)
SPEC = TokenSpec(size=12, pad=0, unknown=1, start=2, end=3, fingerprint="test", word_starts=STARTS)
SOURCE = Padded(torch.tensor([[4, 8, 5, 3], [6, 9, 3, 0]]), torch.tensor([4, 3]))


def searched(name: str, spec: TokenSpec = SPEC, seed: int = 0, **limits: object) -> list[np.ndarray]:
    """The elements that a search with these limits finds with a random model."""
    torch.manual_seed(seed)
    model = build(LSTMConfig(dim=16), spec, spec).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    plugin = find("search", name)
    search = plugin.build(plugin.Config(limits=LimitsConfig(unit="words", **limits)))  # type: ignore[arg-type]
    return [hypotheses[0].elements for hypotheses in search(model, SOURCE)]


@pytest.mark.parametrize("name", ["greedy", "beam", "sampling"])
@pytest.mark.parametrize("seed", range(4))
def test_words_are_limited_from_both_sides(name: str, seed: int) -> None:
    for elements in searched(name, seed=seed, min_length=2, max_length=3):
        count = STARTS[elements].sum()
        assert count <= 3, f"seed {seed}"
        assert count >= 2 or len(elements) >= 12 * 3, f"seed {seed}"  # only the limit of symbols may end a hypothesis earlier


def test_a_ratio_is_of_the_words_of_the_source() -> None:
    first, second = searched("greedy", min_ratio=1.0, max_ratio=1.0, max_offset=0)
    assert STARTS[first].sum() <= 2  # the first source has two words, the second one
    assert STARTS[second].sum() <= 1


def test_open_words_are_words() -> None:
    spec = dataclasses.replace(SPEC, open_words=3)
    assert all(STARTS[elements].sum() <= 2 for elements in searched("beam", spec, max_length=2))


def test_symbols_that_do_not_say_where_words_begin_are_refused() -> None:
    with pytest.raises(ConfigError, match="must be `symbols` unless"):
        searched("greedy", dataclasses.replace(SPEC, word_starts=None))
