"""The script in which texts are written, as far as it affects word boundaries: Chinese, Japanese and Korean have tokenizers of their own.

Unusual: a fifth of the letters is enough, since one of theirs stands for several Latin ones, and technical texts are full of names.
"""

import re
from collections.abc import Iterable
from typing import Literal

Script = Literal["zh", "ja", "ko"]

_HAN = re.compile(r"[\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
_KANA = re.compile(r"[\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f]")
_HANGUL = re.compile(r"[\u1100-\u11ff\u3131-\u318e\ua960-\ua97f\uac00-\ud7ff]")
_SHARE = 0.2  # of the letters
_KANA_SHARE = 0.1  # of the letters of Chinese or Japanese; Chinese has next to none, Japanese about half


def script_of(texts: Iterable[str]) -> Script | None:
    """The script of most of the texts; None for all scripts that separate words by blanks and punctuation."""
    joined = "".join(texts)
    han, kana, hangul = (len(pattern.findall(joined)) for pattern in (_HAN, _KANA, _HANGUL))
    own = han + kana + hangul
    if own == 0 or own < _SHARE * sum(map(str.isalpha, joined)):
        return None
    if hangul >= han + kana:
        return "ko"
    return "ja" if kana >= _KANA_SHARE * (han + kana) else "zh"
