"""What must be in a translation as it is in its source: placeholders of programs (`%s`, `%(name)d`, `{0}`, `${name}`), tags and entities.

They are those of printf and its kin (IEEE Std 1003.1, `fprintf`), of Python's `%` and `str.format` (PEP 3101), of shells and templates, and
the tags and entities of HTML.
"""

import re
from collections import Counter

from antiphon.contracts.reader import MissingError

_PRINTF = r"%(?:\d+\$)?(?:\(\w+\))?[-+#0']*(?:\*|\d+)?(?:\.(?:\*|\d+))?(?:hh|h|ll|l|q|j|z|t|L)?[diouxXeEfFgGaAcCsSpnm@](?![A-Za-z]{2})"
_BRACES = r"\$?\{\{?\s*[\w.\[\]]*(?:![rsa])?(?::[^{}\s]*)?\s*\}?\}"
_VARIABLE = r"\$[A-Za-z_]\w*"
_NAMED = r"%[A-Za-z_]\w*%"
_TAG = r"</?[A-Za-z][\w:.-]*(?:\s[^<>]*)?/?>"
_ENTITY = r"&(?:#\d+|#x[0-9A-Fa-f]+|[A-Za-z]\w*);"
_ALL = re.compile("|".join((_NAMED, _PRINTF, _BRACES, _VARIABLE, _TAG, _ENTITY)))


def placeholders(text: str) -> list[str]:
    """The placeholders in a text, in order."""
    return _ALL.findall(text.replace("%%", "\0\0"))


def check_placeholders(source: str, target: str) -> None:
    """Raise MissingError unless both texts have the same placeholders, each as often, in any order."""
    wanted, found = Counter(placeholders(source)), Counter(placeholders(target))
    lost, added = list((wanted - found).elements()), list((found - wanted).elements())
    if lost:
        raise MissingError(f"the translation lacks {', '.join(f'`{one}`' for one in lost)} of its source", tuple(lost))
    if added:
        raise MissingError(
            f"the translation has {', '.join(f'`{one}`' for one in added)}, which its source has not", tuple(wanted.elements())
        )
