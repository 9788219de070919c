"""What two writings have in common when they sound alike."""

import pytest

from antiphon.contracts import registry
from antiphon.metrics.spoken_text import spoken


@pytest.mark.parametrize(
    ("written", "heard"),
    [
        ("Don\u2019t stop!", "don't stop"),
        ("  'Twenty-one',  he said\u2026 ", "twenty one he said"),
        ("\uff26\uff35\uff2c\uff2c \u20ac5", "full 5"),
        ("Stra\u00dfe, \u00c9T\u00c9", "stra\u00dfe \u00e9t\u00e9"),
        ("?!", ""),
        ("", ""),
    ],
)
def test_case_and_punctuation_do_not_count(written, heard):
    assert spoken(written) == heard
    assert spoken(heard) == heard


@pytest.mark.parametrize("name", ["wer_normalized", "cer_normalized"])
def test_normalized_error_rates_name_their_normalizer(name):
    metric = registry.find("metrics", name)
    assert "norm:spoken" in metric.signature
    statistics = metric.statistics(["He said: Yes.", "one two"], [["he said yes"], ["one three"]])
    assert statistics[0, :3].sum() == 0
    assert statistics[1, :3].sum() > 0
    plain = registry.find("metrics", "word_error_rate")
    assert plain.statistics(["He said: Yes."], [["he said yes"]])[0, :3].sum() == 3
    assert "norm:none" in plain.signature
