"""The plural forms of a language, from the header of a PO file: how many there are, and for which numbers."""

import gettext
import re
from dataclasses import dataclass
from typing import final

from antiphon.errors import DataError
from antiphon.readers.placeholders import placeholders

_FORMS = re.compile(r"nplurals\s*=\s*(\d+)\s*;\s*plural\s*=\s*([^;]+?)\s*(?:;|$)")
_NUMBERS = 1001  # as many as gettext's own check looks at


@final
@dataclass(frozen=True)
class PluralForms:
    """`count` forms, and whether the form of the number 1 is for 1 alone. By default one is for 1 and one for all other numbers."""

    count: int = 2
    of_one: int = 0
    alone: bool = True

    def source(self, form: int, singular: str, plural: str) -> str:
        """The text that a form translates: the singular if it suits all numbers of the form, else the plural.

        A singular without the number ("One file") is for a form that is used for 1 alone; "%d file" may be said of 21, too.
        """
        if form != self.of_one or self.count == 1:
            return plural
        return singular if self.alone or sorted(placeholders(singular)) == sorted(placeholders(plural)) else plural


def plural_forms(header: str, place: str) -> PluralForms | None:
    """The plural forms in a header; None if it has none (a template).

    Raises DataError for a rule that is none.
    """
    line = next((line for line in header.split("\n") if line.lower().startswith("plural-forms:")), "")
    said = line.partition(":")[2].strip()
    if not said or "EXPRESSION" in said:
        return None
    found = _FORMS.search(said)
    try:
        if found is None:
            raise ValueError
        count, rule = int(found[1]), gettext.c2py(found[2])
        forms = [rule(number) for number in range(_NUMBERS)]
        if not 0 < count <= 10 or not all(0 <= form < count for form in forms):
            raise ValueError
    except (ValueError, ZeroDivisionError, RecursionError) as error:
        raise DataError(
            f"{place} must have plural forms in its header such as `nplurals=2; plural=(n != 1);`, but has `{said}`."
        ) from error
    return PluralForms(count, forms[1], forms.count(forms[1]) == 1)
