"""Charts are well-formed, draw what they are given, and lose no spike."""

import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from antiphon.report.plots import LineChart, Marker, Series, bars, histogram, interval_bar, thinned


def drawn(markup: str) -> ElementTree.Element:
    """The figure as a tree; fails where elements are not nested well."""
    return ElementTree.fromstring(markup)  # noqa: S314 - our own markup


def titles(markup: str) -> list[str]:
    return [str(found.text) for found in drawn(markup).iter("title")]


def test_a_chart_has_a_mark_for_every_value() -> None:
    training = Series("training", [(20.0, 3.7), (40.0, 2.5)])
    validation = Series("validation", [(40.0, 2.0)], dots=True)
    figure = LineChart("Loss <x>", [training, validation], 40, Marker(40, "best: step 40")).figure()
    expected = ["training, step 20: 3.700", "training, step 40: 2.500", "validation, step 40: 2", "best: step 40: 40"]
    assert titles(figure) == expected
    assert "Loss &lt;x&gt;" in figure
    assert [found.get("class") for found in drawn(figure).iter("span")] == ["legend", "key key0", "key key1"]


def test_higher_values_stand_higher_and_later_steps_further_right() -> None:
    figure = LineChart("Loss", [Series("a", [(0.0, 1.0), (50.0, 3.0), (100.0, 2.0)], dots=True)], 100).figure()
    places = [(float(found.get("cx", 0)), float(found.get("cy", 0))) for found in drawn(figure).iter("circle")]
    assert [x for x, _ in places] == sorted({x for x, _ in places})
    assert places[0][1] > places[2][1] > places[1][1]


def test_a_logarithmic_chart_says_so() -> None:
    assert "logarithmic" in LineChart("Norm", [Series("a", [(1.0, 0.001), (2.0, 100.0)])], 2).figure()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=3000))
def test_thinning_keeps_ends_and_extremes(values: list[float]) -> None:
    points = [(float(step), value) for step, value in enumerate(values)]
    kept = thinned(points, 100)
    assert len(kept) <= 103
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert {min(values), max(values)} <= {value for _, value in kept}
    assert kept == sorted(set(kept))


def test_a_histogram_counts_and_marks_the_tail() -> None:
    bins = [(1, 2, 10), (3, 4, 30), (5, 40, 60)]
    figure = histogram("Length", bins, "symbols", marks=[("median: 4", 4.0)])
    assert titles(figure) == ["1 to 2 symbols: 10 (10.0%)", "3 to 4 symbols: 30 (30.0%)", "5 to 40 symbols: 60 (60.0%)", "median: 4: 4"]
    heights = [float(found.get("height", 0)) for found in drawn(figure).iter("rect")]
    assert heights[1] / heights[0] == 3.0
    labels = [found.text for found in drawn(figure).iter("text")]
    assert {"1", "5+"} <= set(labels)


def test_a_mark_stands_in_its_bin() -> None:
    figure = histogram("Length", [(1, 2, 1), (3, 4, 1), (5, 99, 1)], "symbols", marks=[("m", 4.0)])
    rects = list(drawn(figure).iter("rect"))
    path = next(found.get("d", "") for found in drawn(figure).iter("path") if found.get("class") == "marker")
    x = float(re.findall(r"M([\d.]+)", path)[0])
    assert float(rects[1].get("x", 0)) < x < float(rects[2].get("x", 0))


def test_an_interval_is_drawn_to_scale() -> None:
    svg = interval_bar(50.0, 40.0, 60.0, 100.0, "chrF")
    assert titles(svg) == ["chrF: 50, 95% interval 40 to 60"]
    widths = {found.get("class"): float(found.get("width", 0)) for found in drawn(svg).iter("rect")}
    assert abs(widths["bar"] / widths["track"] - 0.5) < 0.01
    assert "whisker" in svg
    assert "whisker" not in interval_bar(50.0, None, None, 100.0, "chrF")


def test_bars_name_their_rows() -> None:
    figure = bars("By length", "words", [("1 to 3", 20.0, "7 items"), ("4 <", 40.0, "9 items")])
    assert titles(figure) == ["1 to 3: 20 (7 items)", "4 <: 40 (9 items)"]
    widths = [float(found.get("width", 0)) for found in drawn(figure).iter("rect")]
    assert widths[1] == 2 * widths[0]
