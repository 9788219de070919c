import numpy as np
import pytest
import torch

from antiphon.contracts.configuration import validate
from antiphon.errors import ConfigError
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.search.limits import LimitsConfig, limits_of
from tests.toys import ToyModel, toy_source


def test_limits_follow_the_source_length():
    limits = limits_of(LimitsConfig(max_ratio=1.5, max_offset=2, min_ratio=0.5), torch.tensor([1, 4, 7]))
    np.testing.assert_array_equal(limits.maximum, [4, 8, 13])
    np.testing.assert_array_equal(limits.minimum, [0, 2, 3])
    assert limits.steps == 14


def test_cap_and_minimum():
    limits = limits_of(LimitsConfig(max_ratio=1, max_offset=0, max_length=5, min_length=3), torch.tensor([1, 4, 9]))
    np.testing.assert_array_equal(limits.maximum, [3, 4, 5])
    np.testing.assert_array_equal(limits.minimum, [3, 3, 3])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"min_length": 6, "max_length": 5}, r"`search`: `min_length` must be at most `max_length` \(5\), but is 6"),
        ({"min_ratio": 3.0}, r"`min_ratio` must be at most `max_ratio` \(2.0\), but is 3.0"),
        ({"max_ratio": 0, "max_offset": 0}, "must be greater than 0"),
        ({"max_length": 0}, "`search.max_length` must be at least 1, but is 0"),
        ({"min_length": -1}, "`search.min_length` must be at least 0, but is -1"),
    ],
)
def test_impossible_limits_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        validate(LimitsConfig, values, path="search")


def test_the_limit_ends_a_hypothesis_with_its_reason():
    model = ToyModel(end_bias=-50)
    limits = LimitsConfig(max_ratio=1, max_offset=1)
    found = GreedySearch(GreedyConfig(limits=limits))(model, toy_source([4, 5, 6], [5]))
    assert [len(own[0].elements) for own in found] == [4, 2]
    assert [own[0].finish_reason for own in found] == ["length", "length"]
    assert all(len(own[0].step_scores) == len(own[0].elements) + 1 for own in found), "the end symbol was produced"


def test_one_that_ends_at_the_limit_by_itself_was_not_cut():
    model = ToyModel(end_bias=50)
    found = GreedySearch(GreedyConfig(limits=LimitsConfig(min_length=2, max_length=2)))(model, toy_source([4, 5, 6]))
    assert len(found[0][0].elements) == 2
    assert found[0][0].finish_reason == "end"


def test_minimum_length_is_kept():
    model = ToyModel(end_bias=50)
    found = GreedySearch(GreedyConfig(limits=LimitsConfig(min_ratio=1, min_length=2)))(model, toy_source([4, 5, 6], [5]))
    assert [len(own[0].elements) for own in found] == [3, 2]
