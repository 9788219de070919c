"""Splits a text of several lines, which are predicted one by one and joined as before.

What stands between lines (line ends, blank lines, indentation) and at the edges of a text (blanks, no-break spaces) is not for a model of
sentences, and most vocabularies lose it. So it is kept aside, and stands around the predictions as it stood around their sources.

Unusual: U+0085 ends no line here, since in real text it is mostly a mis-read ellipsis.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np

from antiphon.contracts.sequences import Prediction, one_behind_another

_BLANKS = re.compile(r"\s+")
_LINE_ENDS = frozenset("\n\r\v\f\u2028\u2029")


@final
@dataclass(frozen=True)
class TextParts:
    """The lines of a text that are not blank, and the text around them: before the first, between two, after the last."""

    lines: tuple[str, ...]
    around: tuple[str, ...]

    @staticmethod
    def of(text: str) -> "TextParts":
        """The parts of a text; no lines if it is blank."""
        if (line := text.strip()) and _LINE_ENDS.isdisjoint(text):  # most texts
            begin = text.index(line)
            return TextParts((line,), (text[:begin], text[begin + len(line) :]))
        lines, around, end = [], [""], 0
        for blanks in _BLANKS.finditer(text):
            first, last = blanks.start() == 0, blanks.end() == len(text)
            if not (first or last) and _LINE_ENDS.isdisjoint(blanks[0]):
                continue
            if not first:
                lines.append(text[end : blanks.start()])
                around.append("")
            around[-1], end = blanks[0], blanks.end()
        if end < len(text):
            lines.append(text[end:])
            around.append("")
        return TextParts(tuple(lines), tuple(around))

    def joined(self, predictions: Sequence[Prediction]) -> Prediction:
        """The prediction for the whole text, from those for its lines; its alternatives are all second-best lines, all third-best lines,
        ..."""
        assert len(predictions) == len(self.lines) > 0, f"{len(self.lines)} lines need as many predictions, not {len(predictions)}"
        others = (self._one(found) for found in zip(*(one.alternatives for one in predictions), strict=False))
        return replace(self._one(predictions), alternatives=tuple(others))

    def _one(self, predictions: Sequence[Prediction]) -> Prediction:
        first, *others = self.around
        text = first + "".join(f"{one.value}{behind}" for one, behind in zip(predictions, others, strict=True))
        if len(predictions) == 1:
            return predictions[0] if text == predictions[0].value else replace(predictions[0], value=text)  # which may know more
        hypothesis = replace(one_behind_another([one.hypothesis for one in predictions]), alignment=_alignment(predictions))
        return Prediction(text, hypothesis, (), dict(_details(predictions)))


def _alignment(predictions: Sequence[Prediction]) -> np.ndarray | None:
    """Each line's alignment with itself: blocks on a diagonal."""
    blocks = [one.hypothesis.alignment for one in predictions]
    found = [block for block in blocks if block is not None]
    if len(found) < len(blocks):
        return None
    whole = np.zeros(np.sum([block.shape for block in found], axis=0), dtype=found[0].dtype)
    row = column = 0
    for block in found:
        whole[row : row + block.shape[0], column : column + block.shape[1]] = block
        row, column = row + block.shape[0], column + block.shape[1]
    return whole


def _details(predictions: Sequence[Prediction]) -> Iterator[tuple[str, list[Any]]]:
    """The pieces of all lines concatenated, and the copied symbols, with places counted over all lines."""
    for name in ("source_pieces", "target_pieces"):
        if all(name in one.details for one in predictions):
            yield name, [piece for one in predictions for piece in one.details[name]]
    if all("copied" in one.details for one in predictions):
        copied, before = [], 0
        for one in predictions:
            for entry in one.details["copied"]:
                place = entry["position"]
                copied.append({**entry, "position": place + before if place >= 0 else place})
            before += len(one.details["source_pieces"])
        yield "copied", copied
