"""What a program puts into a text, or a browser makes of it, stays in its translation."""

import pytest

from antiphon.contracts.reader import MissingError
from antiphon.readers.placeholders import check_placeholders, masked, placeholders


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Open %s of %d files", ["%s", "%d"]),
        ("%1$s by %2$-5.2f", ["%1$s", "%2$-5.2f"]),
        ("%(count)d of %(name)s", ["%(count)d", "%(name)s"]),
        ("100% sure, 50% of 3%, 20%%s", []),
        (
            "{0} {name} {count:>5} {user.name!r} ${HOME} {{ item }} {}",
            ["{0}", "{name}", "{count:>5}", "{user.name!r}", "${HOME}", "{{ item }}", "{}"],
        ),
        ("$USER has $5", ["$USER"]),
        (
            "a <b>bold</b> <br/> <a href='x y'>link</a> &amp; &#160; 3 < 4 > 2",
            ["<b>", "</b>", "<br/>", "<a href='x y'>", "</a>", "&amp;", "&#160;"],
        ),
        ("%lu %lld %zu %@", ["%lu", "%lld", "%zu", "%@"]),
        ("%APPDATA% in {a set of words}", ["%APPDATA%"]),
        ("%1 of %L2, %2$s, grew 5%", ["%1", "%L2", "%2$s"]),
        ("usage: cp <source file> <target>", []),
        ("<unknown>, <link>here</link>, <a href='x'>", ["<link>", "</link>", "<a href='x'>"]),
    ],
)
def test_placeholders_are_found(text: str, found: list[str]) -> None:
    assert placeholders(text) == found


def test_order_is_free_and_numbers_are_not() -> None:
    check_placeholders("%(a)s and %(b)s", "%(b)s und %(a)s")
    with pytest.raises(MissingError, match=r"lacks `%s` of its source") as lost:
        check_placeholders("%s and %s", "%s und")
    assert lost.value.phrases == ("%s",)
    with pytest.raises(MissingError, match=r"has `\{1\}` that its source does not have") as added:
        check_placeholders("{0}", "{0} {1}")
    assert added.value.phrases == ("{0}",)


def test_placeholders_are_masked_in_their_places() -> None:
    assert masked("a %s <b>c</b> 5%% {x}!") == "a       c     5      !"
    assert len(masked("%% %s")) == 5
