"""Unicode normalization: one spelling for characters that look alike.

    nfc        accents are composed, nothing else changes
    nfkc       compatibility forms too: full-width letters, ligatures, superscripts become ordinary ones, which cannot be undone
    nmt_nfkc   sentencepiece's: NFKC, any white space becomes a blank, control characters and invisible marks go

A source loses nothing that matters by being written in one way, and the same text in another encoding is understood. A target must come
out as references have it, so it is never more than composed unless a recipe says so.
"""

import unicodedata
from functools import lru_cache
from typing import Any, Literal

Side = Literal["source", "target"]
SIDES: tuple[Side, ...] = ("source", "target")
Form = Literal["nfkc", "nfc", "none"]
Rule = Literal["nmt_nfkc", "nfkc", "nfc", "none"]


def normalized(text: str, rule: Rule) -> str:
    """The text in this normalization form."""
    if rule == "none":
        return text
    if rule == "nmt_nfkc":
        return text if text.isascii() and text.isprintable() else str(sentencepiece_rule().normalize(text))
    form: Literal["NFC", "NFKC"] = "NFC" if rule == "nfc" else "NFKC"
    return text if unicodedata.is_normalized(form, text) else unicodedata.normalize(form, text)


@lru_cache(maxsize=1)
def sentencepiece_rule() -> Any:
    """The rule `nmt_nfkc` alone: blanks are left to the model, which sees the whole text."""
    import sentencepiece

    return sentencepiece.SentencePieceNormalizer(
        rule_name="nmt_nfkc", add_dummy_prefix=False, escape_whitespaces=False, remove_extra_whitespaces=False
    )
