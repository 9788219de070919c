"""The order of a Whisper's symbols in CTranslate2; `exporters/ctranslate2_whisper.py` explains why it differs from ours.

all but these two | end | start | what outputs begin with, once more
"""

from collections.abc import Sequence

from antiphon.contracts.specs import TokenSpec

START, NO_TIMES = "<|startoftranscript|>", "<|notimestamps|>"


def order_of(target: TokenSpec, opening: Sequence[int]) -> list[int]:
    """Our symbol for each of CTranslate2's. Where outputs have no fixed beginning, the start symbol occurs twice."""
    others = (symbol for symbol in range(target.size) if symbol not in (target.end, target.start))
    return [*others, target.end, target.start, *(opening or (target.start,))]
