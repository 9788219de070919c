"""Encodes values of columns (a language, a domain) as symbols before a text."""

from collections.abc import Collection, Iterable, Sequence

from antiphon.contracts.records import Record
from antiphon.errors import ConfigError

MAX_TAGS = 1000  # a column with more different values holds texts rather than tags


def collect_tags(records: Iterable[Record], columns: Sequence[str], taken: Collection[str]) -> dict[str, str]:
    """The symbol of each value of the columns. Raises ConfigError when a column has very many."""
    found: dict[str, str] = {}
    for record in records:
        for column in columns:
            value = str(record[column])
            if value not in found:
                found[value] = tag_symbol(value, taken)
            if len(found) > MAX_TAGS:
                raise ConfigError(f"`task.tags` must name columns with at most {MAX_TAGS} different values, but `{column}` has more.")
    return found


def tag_symbol(value: str, taken: Collection[str]) -> str:
    """The symbol for a tag's value, `<de>`. Symbols have no blanks, so these are percent-encoded, `<New%20York>`, as is the first letter if
    another symbol has the same name (`<s>` begins a text); different values have different symbols."""
    written = "".join(_escaped(letter) if letter.isspace() or letter in "%\u2581" else letter for letter in value)
    return f"<{_escaped(value[0])}{written[1:]}>" if f"<{written}>" in taken else f"<{written}>"


def _escaped(letter: str) -> str:
    return f"%{ord(letter):02X}"
