"""Languages of the served models: a model called `en-de`, or `en-pt-BR`, translates between these two."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from antiphon.errors import nearest
from antiphon.serving.pool import Pool
from antiphon.serving.refused import RefusedError
from antiphon.serving.service import Service

_CODE = r"[a-z]{2,3}(?:[-_][A-Z][A-Za-z]+)?"
_PAIR = re.compile(rf"({_CODE})-({_CODE})")

# ISO 639, in English, as clients show them.
_NAMES = {
    "af": "Afrikaans", "ar": "Arabic", "az": "Azerbaijani", "be": "Belarusian", "bg": "Bulgarian", "bn": "Bengali", "bs": "Bosnian",
    "ca": "Catalan", "cs": "Czech", "cy": "Welsh", "da": "Danish", "de": "German", "el": "Greek", "en": "English", "eo": "Esperanto",
    "es": "Spanish", "et": "Estonian", "eu": "Basque", "fa": "Persian", "fi": "Finnish", "fr": "French", "ga": "Irish", "gl": "Galician",
    "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "hy": "Armenian", "id": "Indonesian", "is": "Icelandic",
    "it": "Italian", "ja": "Japanese", "ka": "Georgian", "kk": "Kazakh", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian",
    "mk": "Macedonian", "ml": "Malayalam", "mr": "Marathi", "ms": "Malay", "mt": "Maltese", "nb": "Norwegian", "nl": "Dutch",
    "nn": "Norwegian Nynorsk", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak",
    "sl": "Slovenian", "sq": "Albanian", "sr": "Serbian", "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "th": "Thai",
    "tl": "Tagalog", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "uz": "Uzbek", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip


@final
@dataclass(frozen=True)
class Pair:
    """A model that translates from one language into another."""

    pool: Pool
    source: str
    target: str


def is_language(code: str) -> bool:
    """Whether this is a language code, with or without a region."""
    return re.fullmatch(_CODE, code) is not None and code.replace("_", "-").partition("-")[0] in _NAMES


def pair_of(name: str) -> tuple[str, str] | None:
    """The two languages in the name of a model; None where it is not a language pair."""
    found = _PAIR.fullmatch(name)
    return (found[1], found[2]) if found is not None and is_language(found[1]) and is_language(found[2]) else None


def codes() -> list[str]:
    """The codes of all languages whose names are known here."""
    return list(_NAMES)


def code_of(language: str) -> str:
    """The code of a language given by its English name; anything else is returned unchanged."""
    return next((code for code, name in _NAMES.items() if name.lower() == language.lower()), language)


def name_of(code: str) -> str:
    """The English name of a language, or its code where the name is not known."""
    base, _, region = code.replace("_", "-").partition("-")
    name = _NAMES.get(base.lower(), base)
    return f"{name} ({region})" if region else name


def pairs(service: Service) -> list[Pair]:
    """The language pairs of the models whose names are pairs."""
    found = ((pool, _PAIR.fullmatch(name)) for name, pool in service.pools.items())
    return [Pair(pool, match[1], match[2]) for pool, match in found if match is not None]


def between(service: Service, source: str | None, target: str) -> Pair:
    """The model that translates between two languages; with None as source, the model of the target language if there is only one. Regions
    count where a model's name has them.

    Raises RefusedError when there is no such model, or no single one.
    """
    known = pairs(service)
    if not known:
        raise RefusedError(400, "No model here is named after two languages. Serve one as `en-de=RUN`.")
    targets = _alike(known, target, lambda pair: pair.target)
    if not targets:
        raise _unknown("target", target, {pair.target for pair in known})
    found = targets if source is None else _alike(targets, source, lambda pair: pair.source)
    if not found:
        raise _unknown("source", str(source), {pair.source for pair in targets}, f" into `{target}`")
    if source is None and len(found) > 1:
        sources = ", ".join(sorted(pair.source for pair in found))
        raise RefusedError(400, f"The source language must be named: models into `{target}` read {sources}.")
    return found[0]


def _alike(known: list[Pair], wanted: str, code: Callable[[Pair], str]) -> list[Pair]:
    exact = [pair for pair in known if _parts(code(pair)) == _parts(wanted)]
    return exact or [pair for pair in known if _parts(code(pair))[0] == _parts(wanted)[0]]


def _parts(code: str) -> tuple[str, str]:
    base, _, region = code.replace("_", "-").lower().partition("-")
    return base, region


def _unknown(side: str, code: str, known: set[str], more: str = "") -> RefusedError:
    listed = sorted(known)
    return RefusedError(400, f"There is no {side} language `{code}`{more}; there are: {', '.join(listed)}.{nearest(code, listed)}")
