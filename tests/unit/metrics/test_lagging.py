"""Average lagging: against a plain reading of the papers, and what is refused."""

import copy
import pickle

import numpy as np
import pytest

from antiphon.errors import DataError
from antiphon.metrics.lagging import lagging
from antiphon.metrics.scoring import find_metric
from antiphon.metrics.timed import TimedText


def timed(read: list[int], length: int) -> TimedText:
    return TimedText(" ".join("x" * len(read)), read, length)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_wait_k_on_as_many_words_lags_k(k: int) -> None:
    read = [min(k + place, 9) for place in range(9)]
    assert lagging(read, 9, 9) == k
    assert lagging([9] * 9, 9, 9) == 9, "what reads all first lags all of it"


def test_against_a_plain_reading_of_the_papers() -> None:
    """Ma et al. 2019, equation 8, by hand: g = 2, 3, 4, 4 with |x| = 4, |y| = 4 and 8 words of the reference."""
    found = timed([2, 3, 4, 4], 4)
    al, laal = (find_metric(name) for name in ("average_lagging", "length_adaptive_lagging"))
    assert al.aggregate(al.statistics([found], [["a b c d e f g h"]]).sum(axis=0)) == pytest.approx((2 + (3 - 1) + (4 - 2)) / 3)
    assert laal.aggregate(laal.statistics([found], [["a b c d e f g h"]]).sum(axis=0)) == pytest.approx((2 + (3 - 0.5) + (4 - 1)) / 3)
    long = timed([2, 3, 4, 4, 4, 4, 4, 4], 4)
    assert laal.statistics([long], [["a"]])[0, 0] == al.statistics([long], [["a"]])[0, 0]


def test_items_that_say_nothing_take_no_part() -> None:
    metric = find_metric("average_lagging")
    found = metric.statistics([TimedText("", [], 4), timed([4], 4)], [["a"], ["a"]])
    assert metric.taking_part(found) == 1
    assert metric.aggregate(found.sum(axis=0)) == 4
    assert np.isnan(metric.aggregate(np.zeros(2)))


def test_a_text_without_times_is_refused() -> None:
    with pytest.raises(DataError, match="item 2 must have the times of its words for the metric `average_lagging`"):
        find_metric("average_lagging").statistics([timed([1], 1), "a"], [["a"], ["a"]])


def test_a_timed_text_is_a_text() -> None:
    text = timed([1, 2], 2)
    assert text == "x x"
    assert [copy.deepcopy(text).read, pickle.loads(pickle.dumps(text)).source_length] == [(1, 2), 2]  # noqa: S301
