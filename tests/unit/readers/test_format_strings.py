"""Format strings keep what their programs put into them, in an order that these can follow."""

import pytest

from antiphon.contracts.reader import MissingError
from antiphon.errors import DataError
from antiphon.readers.format_strings import fitted


@pytest.mark.parametrize(
    ("source", "target", "flag", "found"),
    [
        ("%s has %d", "%s hat %d", "c-format", "%s hat %d"),
        ("%s has %d", "%d hat %s", "c-format", "%2$d hat %1$s"),
        ("%1$s has %2$d", "%2$d hat %1$s", "c-format", "%2$d hat %1$s"),
        ("100%% of %s", "100% von %s", "c-format", "100%% von %s"),
        ("100% of {n}", "100 % von {n}", "python-brace-format", "100 % von {n}"),
        ("%(a)s and %(b)s", "%(b)s und %(a)s", "python-format", "%(b)s und %(a)s"),
        ("% d of %s", "% d von %s", "c-format", "% d von %s"),
        ("50% off", "50% weniger", "no-c-format", "50% weniger"),
    ],
)
def test_what_fits(source: str, target: str, flag: str, found: str) -> None:
    assert fitted(source, target, frozenset({flag})) == found


@pytest.mark.parametrize(
    ("source", "target", "flag", "message"),
    [
        ("%s has %d", "%d hat %s", "python-format", "has %d, %s where its source has %s, %d"),
        ("%s has %s and %d", "%s %d %s", "c-format", "in this order"),
        ("%*d of %s", "%s von %*d", "c-format", "in this order"),
        ("{n} left", "{n} übrig }", "python-brace-format", "braces that are no placeholder"),
    ],
)
def test_what_does_not(source: str, target: str, flag: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fitted(source, target, frozenset({flag}))


def test_what_is_missing() -> None:
    with pytest.raises(MissingError, match="lacks `%s`"):
        fitted("a %s", "a", frozenset({"c-format"}))
