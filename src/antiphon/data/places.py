"""Formats places of records for people: a file with several of them is named once, `train.tsv:2, 7, 9`."""

from collections.abc import Sequence


def listed(places: Sequence[str], count: int) -> str:
    """Some of `count` places, followed by ", ..." if there are more."""
    shown, last = list[str](), ""
    for place in places:
        file, _, line = place.rpartition(":")
        shown.append(line.strip() if file and file == last and line.strip().isdecimal() else place)
        last = file
    return f"{', '.join(shown)}{', ...' if count > len(places) else ''}"
