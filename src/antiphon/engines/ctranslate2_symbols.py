"""The order in which a Whisper's symbols stand in CTranslate2: `exporters/ctranslate2_whisper.py` says why it is another than ours.

all but these two | end | start | what outputs begin with, once more
"""

from collections.abc import Sequence

from antiphon.contracts.specs import TokenSpec

START, NO_TIMES = "<|startoftranscript|>", "<|notimestamps|>"


def order_of(target: TokenSpec, opening: Sequence[int]) -> list[int]:
    """Our symbol for each of CTranslate2's. Where outputs begin with nothing, the start symbol is there once more."""
    others = (symbol for symbol in range(target.size) if symbol not in (target.end, target.start))
    return [*others, target.end, target.start, *(opening or (target.start,))]
