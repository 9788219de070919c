"""The protocol of LibreTranslate (libretranslate.com/docs), for the tools that speak it: OmegaT, Weblate, libretranslatepy and others.

A key stands in the body, as `api_key`; what is wrong has status 400 and an `error`, as there. Languages are not guessed.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from antiphon.contracts.protocol import ProtocolPlugin
from antiphon.serving.refused import RefusedError
from antiphon.serving.service import Service

if TYPE_CHECKING:
    from antiphon.serving.languages import Pair

_NO_GUESS = "Languages are not detected here. Name the source language."


def routes(service: Service) -> Any:
    """Those routes of LibreTranslate that are useful for models of one's own."""
    from fastapi import APIRouter, Request
    from fastapi.responses import Response

    from antiphon.serving.answering import PlainJSONResponse, answered
    from antiphon.serving.bodies import fields, text_of
    from antiphon.serving.languages import between

    router = APIRouter(tags=["libretranslate"])

    @router.post("/translate")
    async def translate(request: Request) -> Response:
        """Translate `q`, a text or a list of texts, from `source` to `target`; `format` is text or html."""
        given = await fields(request)
        _check_key(service, given)
        source = text_of(given, "source", "auto")
        pair = between(service, None if source == "auto" else source, text_of(given, "target"))
        return await answered(request, _translation(service, pair, given, guessed=source == "auto"), _told)

    @router.get("/languages")
    @router.post("/languages")
    async def languages(request: Request) -> Response:
        """The source languages, each with the languages it can be translated into."""
        return PlainJSONResponse(_languages(service))

    @router.post("/detect")
    async def detect(request: Request) -> Response:
        """Refused: there is no language detection."""
        raise RefusedError(400, _NO_GUESS)

    @router.get("/frontend/settings")
    async def settings() -> Response:
        """The settings that the web page of LibreTranslate needs."""
        known = _languages(service)
        first = known[0] if known else {"code": "", "name": "", "targets": [""]}
        language = {"source": {"code": first["code"], "name": first["name"]}, "target": {"code": first["targets"][0], "name": ""}}
        needed = service.settings.api_key is not None
        return PlainJSONResponse(
            {
                "charLimit": -1,
                "apiKeys": needed,
                "keyRequired": needed,
                "suggestions": False,
                "filesTranslation": False,
                "language": language,
            }
        )

    return router


async def _translation(service: Service, pair: "Pair", given: Mapping[str, Any], *, guessed: bool) -> dict[str, Any]:
    from antiphon.serving.bodies import texts_of
    from antiphon.serving.tagged_texts import translated

    texts, is_list = texts_of(dict(given), "q"), isinstance(given.get("q"), list)
    wanted = _alternatives(given)
    search = {"n_best": wanted + 1, "beam_size": max(wanted + 1, 4)} if wanted else {}
    found = await translated(service, pair.pool, texts, search=search, tags=given.get("format") == "html")
    body: dict[str, Any] = {"translatedText": _one_or_all([one["prediction"] for one in found], is_list)}
    if wanted:
        body["alternatives"] = _one_or_all([[other["prediction"] for other in one.get("alternatives", ())] for one in found], is_list)
    if guessed:
        body["detectedLanguage"] = _one_or_all([{"confidence": 100, "language": pair.source}] * len(texts), is_list)
    return body


def _one_or_all(found: list[Any], is_list: bool) -> Any:
    return found if is_list else found[0]


def _alternatives(given: Mapping[str, Any]) -> int:
    try:
        return max(0, int(given.get("alternatives") or 0))
    except (TypeError, ValueError) as error:
        raise RefusedError(400, f"`alternatives` must be a whole number, but is {given['alternatives']!r}.") from error


def _languages(service: Service) -> list[dict[str, Any]]:
    """All languages, including those that are only targets, as clients look for both here."""
    from antiphon.serving.languages import name_of, pairs

    known = pairs(service)
    codes = dict.fromkeys([pair.source for pair in known] + [pair.target for pair in known])
    return [{"code": code, "name": name_of(code), "targets": [pair.target for pair in known if pair.source == code]} for code in codes]


def _check_key(service: Service, given: Mapping[str, Any]) -> None:
    service.check_key(str(given.get("api_key") or given.get("apiKey") or ""))


def _told(error: RefusedError) -> tuple[int, dict[str, Any]]:
    status = error.status if error.status in (403, 429, 503) else 400
    return status, {"error": str(error), "message": str(error)}


plugin = ProtocolPlugin(
    "libretranslate",
    "translation as LibreTranslate's clients ask for it",
    routes,
    own_keys=("/translate", "/languages", "/detect", "/frontend/settings"),
)
