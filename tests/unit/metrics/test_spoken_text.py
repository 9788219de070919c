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
        ("It costs 1,000.50, or 3.5%.", "it costs 1,000.50 or 3.5"),
        ("At 12:30, on 1/2; 7.", "at 12:30 on 1/2 7"),
        ("\uff13\uff0e\uff15, \u00bd, \u0663\u066b\u0665", "3.5 1\u20442 \u0663\u066b\u0665"),
        ("1990-2000, 5.x, v.2, 1. 2", "1990 2000 5 x v 2 1 2"),
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
    assert "norm:spoken.2" in metric.signature
    statistics = metric.statistics(["He said: Yes.", "one two"], [["he said yes"], ["one three"]])
    assert statistics[0, :3].sum() == 0
    assert statistics[1, :3].sum() > 0
    numbers = metric.statistics(["It is 3.5 or 1,000."], [["it is 35 or 1000"]])
    assert numbers[0, :3].sum() == 2, "3.5 is not 35, nor two numbers"
    plain = registry.find("metrics", "word_error_rate")
    assert plain.statistics(["He said: Yes."], [["he said yes"]])[0, :3].sum() == 3
    assert "norm:none" in plain.signature
