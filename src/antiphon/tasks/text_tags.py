"""The values of columns (a language, a domain) as symbols in front of a text."""

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
    """The symbol of a tag's value, `<de>`. Symbols have no blanks, so these are written as in addresses of the web, `<New%20York>`, and so
    is the first letter where others have the symbol (`<s>` begins a text); values that differ have symbols that differ."""
    written = "".join(_escaped(letter) if letter.isspace() or letter in "%\u2581" else letter for letter in value)
    return f"<{_escaped(value[0])}{written[1:]}>" if f"<{written}>" in taken else f"<{written}>"


def _escaped(letter: str) -> str:
    return f"%{ord(letter):02X}"
