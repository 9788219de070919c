"""Settings of a batch's budget: a number of elements or `auto`, and a limit on memory."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from antiphon.contracts.configuration import Count

_UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SIZE = re.compile(rf"(\d+(?:\.\d+)?)\s*({'|'.join(_UNITS)})")


def in_bytes(size: str) -> int:
    """The number of bytes in `4 GB` or `512 MiB`. Raises ValueError for anything else."""
    found = _SIZE.fullmatch(size.strip())
    if found is None or not float(found[1]):
        raise ValueError(f"must be a size of memory such as `4 GB`, `800 MB` or `16 GiB`, but is {size!r}.")
    return int(float(found[1]) * _UNITS[found[2]])


def in_words(size: int) -> str:
    """A number of bytes, formatted for display."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _checked_size(size: str) -> str:
    in_bytes(size)
    return size


def _number_or_auto(value: Any) -> Any:
    if value != "auto" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError(f"must be `auto`, or a whole number of at least 1, but is {value!r}.")
    return value


TargetTokens = Annotated[Count | Literal["auto"], BeforeValidator(_number_or_auto)]
"""A number of elements, or `auto`."""
MemorySize = Annotated[str, AfterValidator(_checked_size)]
"""A size of memory with its unit."""
