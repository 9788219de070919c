"""Covariates as channels."""

import numpy as np
import pytest

from antiphon.errors import ConfigError, DataError
from antiphon.features.covariates import NumberColumns, StaticColumns


def test_numbers_are_standardized_over_all_that_was_seen() -> None:
    rng = np.random.default_rng(5)
    numbers = np.stack([rng.normal(1e9, 3, 400), rng.integers(0, 2, 400), np.full(400, 7.0)], axis=1)
    numbers[3, 0] = np.nan
    columns = NumberColumns(("large", "binary", "constant"))
    for part in np.split(numbers, 4):
        columns.observe(part)
    columns.finish()
    channels = columns.apply(numbers)
    assert channels.dtype == np.float32
    assert abs(np.nanmean(channels[:, 0])) < 1e-3
    assert abs(np.nanstd(channels[:, 0]) - 1) < 1e-3
    assert set(channels[:, 1].tolist()) == {0.0, 1.0}
    assert not channels[:, 2].any()
    again = NumberColumns(columns.names)
    again.restore(columns.to_plain())
    np.testing.assert_array_equal(again.apply(numbers), channels)


def test_static_columns() -> None:
    columns = StaticColumns(("region", "size", "code"), categorical=("code",))
    for values in (("north", "1", 7), ("south", 3, 8), ("north", 5.0, 7)):
        columns.observe(values)
    columns.finish()
    assert columns.width == 2 + 1 + 2
    np.testing.assert_allclose(columns.apply(("south", 5, 8)), [0, 1, np.sqrt(1.5), 0, 1], rtol=1e-6)
    again = StaticColumns(columns.names, ("code",))
    again.restore(columns.to_plain())
    np.testing.assert_array_equal(again.apply(("north", 1, "7")), columns.apply(("north", 1, 7)))
    with pytest.raises(
        DataError, match=r"`region` must be a category of the training data \(north, south\), but is 'nort'. Did you mean `north`"
    ):
        columns.apply(("nort", 1, 7))
    with pytest.raises(DataError, match=r"`size` must be a number, as in training, but is 'big'"):
        columns.apply(("north", "big", 7))


def test_a_column_that_names_each_series_is_refused() -> None:
    columns = StaticColumns(("name",), ())
    for number in range(1001):
        columns.observe((f"s{number}",))
    with pytest.raises(ConfigError, match="at most 1000 categories, but `name` has 1,001"):
        columns.finish()
    with pytest.raises(DataError, match="`name` must have a value, but is missing"):
        columns.observe((None,))
