"""Texts with HTML or XML tags, as translators' tools send them: models read them without tags, which are put back into the predictions.

Tags are taken as they stand, whether the text is well-formed or not: two that belong together are around the words that they were around,
all others stand beside the word that they stood beside (`readers/tag_placement.py`).
"""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from antiphon.contracts.reader import Said
from antiphon.errors import DataError
from antiphon.readers.inline_tags import Inline
from antiphon.readers.tag_placement import Piece
from antiphon.serving.pool import Pool
from antiphon.serving.refused import RefusedError
from antiphon.serving.service import Service

_TAG = re.compile(r"<!--.*?-->|<([A-Za-z][\w:.-]*)[^<>]*></\1\s*>|<(/?)([A-Za-z][\w:.-]*)[^<>]*?(/?)>", re.DOTALL)
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


def marked(text: str, ignored: Sequence[str] = ()) -> Inline:
    """Parse a text with tags; the content of elements named in `ignored` stays untranslated."""
    texts, pieces, open_ones, place, end = list[str](), list[Piece](), list[tuple[str, int]](), 0, 0
    for found in _TAG.finditer(text):
        texts.append(html.unescape(text[end : found.start()]))
        place, end = place + len(texts[-1]), found.end()
        name, number = (found[3] or "").lower(), len(pieces)
        role: Literal["open", "close", "alone"] = "alone"
        partner = None
        if found[2]:
            match = next((index for index in range(len(open_ones) - 1, -1, -1) if open_ones[index][0] == name), None)
            if match is not None:
                partner, role = open_ones[match][1], "close"
                del open_ones[match:]
                pieces[partner] = replace(pieces[partner], role="open", partner=number)
        elif found[3] and not found[4] and name not in _VOID:
            open_ones.append((name, number))
        pieces.append(Piece(found[0], place, role, partner, role == "alone" and name in ignored))
        if name == "br":  # it parts two words, as a line end does
            texts.append(" ")
            place += 1
    texts.append(html.unescape(text[end:]))
    kept = [replace(piece, kept=piece.kept and piece.role == "open") for piece in pieces]
    return Inline(text, "".join(texts), tuple(kept))


async def translated(
    service: Service,
    pool: Pool,
    texts: Sequence[str],
    *,
    more: Sequence[Mapping[str, Any]] | None = None,
    search: Mapping[str, Any] | None = None,
    tags: bool = False,
    ignored: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Predictions for tagged texts, in their order, with the white space around them restored.

    more      further fields of each record
    search    settings of the search
    tags      whether the texts are of HTML or XML; so are their predictions then
    ignored   names of tags whose contents stay as they are

    A text that says nothing is its own translation. Raises RefusedError for one that cannot be used.
    """
    assert pool.card is not None, "started before"
    column = pool.card.columns[0]
    inlines = [marked(text, ignored) if tags else Inline(text, text, ()) for text in texts]
    asked = [number for number, one in enumerate(inlines) if one.plain]
    records = [{column: inlines[number].plain if tags else texts[number].strip(), **(more[number] if more else {})} for number in asked]
    aligned = any(inlines[number].pieces for number in asked)
    found = await service.predict(pool.served.name, records, search, aligned=aligned, brief=True) if records else []
    said: list[dict[str, Any]] = [{"prediction": text} for text in texts]
    for number, prediction in zip(asked, found, strict=True):
        if "error" in prediction:
            raise RefusedError(400, f"Text {number + 1}: {prediction['error']}")
        try:
            text = _tagged(inlines[number], prediction) if tags else _spaced(texts[number], prediction)
        except DataError as error:  # a control character, say, has no place between tags
            raise RefusedError(400, f"Text {number + 1}: {error}.") from error
        said[number] = {**prediction, "prediction": text}
    return said


def _spaced(source: str, prediction: Mapping[str, Any]) -> str:
    """The prediction, with the white space around its source."""
    body = source.strip()
    before = source.index(body)
    return f"{source[:before]}{str(prediction['prediction']).strip()}{source[before + len(body) :]}"


def _tagged(source: Inline, prediction: Mapping[str, Any]) -> str:
    """The prediction, with the tags of its source; an untranslated element that the prediction lacks is left out with its tags."""
    pairs = links_of(prediction.get("word_alignment"))
    text = str(prediction["prediction"])
    try:
        return source.written(Said(text, pairs))
    except DataError:
        return replace(source, pieces=tuple(replace(piece, kept=False) for piece in source.pieces)).written(Said(text, pairs))


def links_of(aligned: object) -> tuple[tuple[int, int], ...] | None:
    """The word links of a prediction, "0-0 1-2"; None where the model gives none."""
    if aligned is None:
        return None
    return tuple((int(source), int(target)) for source, _, target in (link.partition("-") for link in str(aligned).split()))
