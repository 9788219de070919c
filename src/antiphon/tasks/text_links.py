"""Turns word alignments in Pharaoh's format (`0-0 1-2`, source by target, counted from 0) into links between symbols."""

import re

import numpy as np
from jaxtyping import Int

from antiphon.errors import DataError
from antiphon.features.pretrained_text import PretrainedText
from antiphon.features.text import TextFeature
from antiphon.features.word_places import NO_WORD, places_of, words_in

Links = Int[np.ndarray, "N 2"]
_LINK = re.compile(r"(\d+)-(\d+)")


def word_links(value: object, column: str, source: str, target: str) -> Links:
    """The word links in a value of the column. Raises DataError for an invalid value, or words that do not exist."""
    wanted = f"`{column}` must be an alignment such as `0-0 1-2`, of words of the source by words of the target, but"
    if not isinstance(value, str):
        what = "is missing" if value is None else f"is {value!r:.40}"
        raise DataError(f"{wanted} {what}.")
    found = [_LINK.fullmatch(link) for link in value.split()]
    if None in found:
        wrong = value.split()[found.index(None)]
        raise DataError(f"{wanted} has {wrong!r}.")
    links = np.array([[int(link[1]), int(link[2])] for link in found if link is not None], dtype=np.int64).reshape(-1, 2)
    for side, text, numbers in (("source", source, links[:, 0]), ("target", target, links[:, 1])):
        count = len(words_in(text))
        if len(numbers) and int(numbers.max()) >= count:
            raise DataError(
                f"`{column}` must link words that are there, but names word {int(numbers.max())} of the {side}, which has {count}, counted"
                " from 0. Words are separated by white space."
            )
    return links


def symbol_links(links: Links, source: Int[np.ndarray, " S"], target: Int[np.ndarray, " T"]) -> Int[np.ndarray, "M 2"]:
    """Links between all symbols of linked words; `source` and `target` give the word of each symbol."""
    there = np.zeros((int(source.max(initial=0)) + 1, int(target.max(initial=0)) + 1), dtype=bool)
    there[links[:, 0], links[:, 1]] = True
    linked = there[np.ix_(source, target)] & (source != NO_WORD)[:, None] & (target != NO_WORD)[None, :]
    return np.stack(np.nonzero(linked), axis=1)


def side_places(
    feature: TextFeature | PretrainedText, symbols: Int[np.ndarray, " S"], text: str, before: str, *, closed: bool
) -> Int[np.ndarray, " S"] | None:
    """The word of each symbol of an encoded side, with an end symbol if `closed`; None if sampled symbols do not tell. An empty side has no
    words."""
    spec = feature.spec
    inner = np.where(symbols >= spec.size, spec.unknown, symbols)  # open words
    inner = inner[:-1] if closed else inner
    found = np.full(0, NO_WORD) if not len(inner) else places_of(feature, inner, text, before)
    return None if found is None else np.append(found, NO_WORD) if closed else found
