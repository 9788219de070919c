"""A file that several records stand in is named once."""

from antiphon.data.places import listed


def test_lines_of_one_file_are_numbers() -> None:
    assert listed(["a.tsv:2", "a.tsv:7", "a.tsv:9"], 3) == "a.tsv:2, 7, 9"
    assert listed(["a.tsv:2", "b.tsv:7", "b.tsv:9", "a.tsv:2"], 5) == "a.tsv:2, b.tsv:7, 9, a.tsv:2, ..."


def test_what_is_no_line_stays() -> None:
    assert listed(["series a", "series b"], 2) == "series a, series b"
    assert listed(["a:b", "a:c"], 2) == "a:b, a:c"
    assert listed([], 3) == ", ..."
