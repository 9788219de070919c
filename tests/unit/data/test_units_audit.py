"""What an audit counts in files of units: states, files, and targets that lost placeholders."""

from antiphon.data.units_audit import UnitCounts
from antiphon.readers.placeholders import placeholders


def test_units_are_counted_by_state_and_file() -> None:
    counts = UnitCounts(placeholders)
    assert counts.result() is None
    for number, (source, target, state, file) in enumerate(
        [
            ("%s of %d", "%d von %s", "translated", "a.po"),
            ("one", "eins", "translated", "b.po"),
            ("a {x}", "ein", "fuzzy", "b.po"),
            ("plain", "<b>fett</b>", "translated", "a.po"),
        ]
    ):
        counts.add(number, {"unit": number + 1, "state": state, "file": file}, source, target)
    counts.add(9, {"source": "%s of a table", "target": ""}, "%s", "")
    found = counts.result()
    assert found is not None
    assert found.states == {"translated": 3, "fuzzy": 1}
    assert (found.files, found.placeholders, found.with_placeholders) == (2, 3, 2)
    assert found.unlike.records == 2
    assert found.unlike.listed == [[2], [3]]
