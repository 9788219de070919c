"""The protocol of DeepL (https://developers.deepl.com/docs), for its own clients and the tools that speak it: OmegaT, Weblate and others.

Texts are translated, with tags and glossaries, and documents in the background. What DeepL alone knows (formality, writing style) is
refused rather than ignored, where it asks for something else than the default.
"""

import csv
import io
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, final

from antiphon.contracts.protocol import ProtocolPlugin
from antiphon.prediction.glossary import Glossary as Terms
from antiphon.serving.refused import RefusedError
from antiphon.serving.service import Service

if TYPE_CHECKING:
    from antiphon.serving.languages import Pair

_MOST_GLOSSARIES = 1000
_LIMIT = 10**12  # characters; with 0 its clients say that the quota is used up


@final
@dataclass
class _Glossary:
    """A glossary: phrases with their required translations."""

    name: str
    source: str
    target: str
    entries: dict[str, str]
    terms: Terms
    identity: str = field(default_factory=lambda: str(uuid.uuid4()))
    made: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z")

    def plain(self) -> dict[str, Any]:
        """The description of a glossary for clients."""
        return {
            "glossary_id": self.identity,
            "name": self.name,
            "ready": True,
            "source_lang": self.source,
            "target_lang": self.target,
            "creation_time": self.made,
            "entry_count": len(self.entries),
        }

    def required(self, text: str) -> list[str]:
        """The phrases that a translation of the text must contain."""
        return list(dict.fromkeys(said[0] for said in self.terms.found_in(text)))


def routes(service: Service) -> Any:
    """The routes of DeepL for texts, languages, usage and glossaries."""
    from fastapi import APIRouter

    router = APIRouter(tags=["deepl"])
    glossaries: dict[str, _Glossary] = {}
    for part in (_translations(service, glossaries), _documents(service, glossaries), _facts(service), _glossaries(glossaries)):
        router.include_router(part)
    return router


def _translations(service: Service, glossaries: Mapping[str, _Glossary]) -> Any:
    from fastapi import APIRouter, Request
    from fastapi.responses import Response

    from antiphon.serving.answering import answered
    from antiphon.serving.bodies import fields

    router = APIRouter()

    @router.post("/v2/translate")
    async def translate(request: Request) -> Response:
        """Translate `text`, one or several, into `target_lang`."""
        given = await fields(request)
        pair, glossary = _wanted(service, given, glossaries)
        return await answered(request, _translation(service, pair, given, glossary))

    return router


def _wanted(service: Service, given: Mapping[str, Any], glossaries: Mapping[str, _Glossary]) -> tuple["Pair", _Glossary | None]:
    """The requested model, and the glossary. Raises RefusedError where there is none, or for a formal style."""
    from antiphon.serving.bodies import text_of
    from antiphon.serving.languages import between

    if given.get("formality") in ("more", "less"):
        raise RefusedError(400, "`formality` must be default here, or prefer_more or prefer_less, which have no effect.")
    source, named = given.get("source_lang"), given.get("glossary_id")
    pair = between(service, str(source) if source else None, text_of(given, "target_lang"))
    if named and str(named) not in glossaries:
        raise RefusedError(404, f"There is no glossary `{named}`.")
    return pair, glossaries.get(str(named))


def _documents(service: Service, glossaries: Mapping[str, _Glossary]) -> Any:
    """Routes for documents: uploaded, polled until finished, downloaded once."""
    from fastapi import APIRouter, Request
    from fastapi.responses import Response
    from starlette.background import BackgroundTask
    from starlette.datastructures import UploadFile

    from antiphon.serving.answering import PlainJSONResponse
    from antiphon.serving.bodies import fields, text_of
    from antiphon.serving.documents import Document, Documents

    router, documents = APIRouter(), Documents(service)

    async def found(request: Request, name: str) -> Document:
        return documents.find(name, text_of(await fields(request), "document_key"))

    @router.post("/v2/document")
    async def upload(request: Request) -> Response:
        """Upload `file`, to be translated into `target_lang`."""
        async with request.form() as form:
            given = dict(form.items())
            file = given.pop("file", None)
            if not isinstance(file, UploadFile):
                raise RefusedError(400, "`file` must be a document, in a request of several parts (multipart/form-data).")
            name, content = str(given.get("filename") or file.filename or ""), await file.read()
        pair, glossary = _wanted(service, given, glossaries)
        if given.get("output_format") and not name.lower().endswith(f".{given['output_format']}".lower()):
            raise RefusedError(400, "`output_format` must be left out: a document keeps its format.")
        made = documents.add(pair, name, content, glossary.required if glossary else lambda _: [])
        return PlainJSONResponse({"document_id": made.identity, "document_key": made.key})

    @router.post("/v2/document/{name}")
    async def status(request: Request, name: str) -> Response:
        """The state of the translation."""
        one = await found(request, name)
        told: dict[str, Any] = {"document_id": one.identity, "status": one.state}
        if one.state == "error":
            told["error_message"] = one.message
        elif one.state == "done":
            told |= {"billed_characters": one.characters, "units_left_as_they_were": one.left}
        return PlainJSONResponse(told)

    @router.post("/v2/document/{name}/result")
    async def result(request: Request, name: str) -> Response:
        """The translated file; can be downloaded once."""
        one = await found(request, name)
        if one.state == "error":
            raise RefusedError(400, one.message)
        if one.state != "done":
            raise RefusedError(503, "The document is not done yet.", 5.0)
        forget = BackgroundTask(documents.forget, one)
        return Response(one.target.read_bytes(), media_type="application/octet-stream", background=forget)

    return router


async def _translation(service: Service, pair: "Pair", given: dict[str, Any], glossary: _Glossary | None) -> dict[str, Any]:
    from antiphon.serving.bodies import texts_of
    from antiphon.serving.tagged_texts import translated

    texts = texts_of(given, "text") if given.get("text") not in (None, []) else []
    ignored = given.get("ignore_tags") or []
    names = ignored.split(",") if isinstance(ignored, str) else ignored
    required = [{"required": found} if glossary and (found := glossary.required(text)) else {} for text in texts]
    said = await translated(
        service, pair.pool, texts, more=required, tags=given.get("tag_handling") in ("xml", "html"), ignored=[str(name) for name in names]
    )
    detected = _upper(pair.source).partition("-")[0]
    return {
        "translations": [
            {"detected_source_language": detected, "text": one["prediction"], "billed_characters": len(text)}
            for one, text in zip(said, texts, strict=True)
        ]
    }


def _facts(service: Service) -> Any:
    from fastapi import APIRouter, Request
    from fastapi.responses import Response

    from antiphon.serving.answering import PlainJSONResponse
    from antiphon.serving.bodies import fields
    from antiphon.serving.languages import name_of, pairs

    router = APIRouter()

    def codes(side: str) -> list[str]:
        return list(dict.fromkeys(getattr(pair, side) for pair in pairs(service)))

    @router.get("/v2/languages")
    @router.post("/v2/languages")
    async def languages(request: Request) -> Response:
        """The source languages, or with `type` target the target languages."""
        side = "target" if (await fields(request)).get("type") == "target" else "source"
        found = [{"language": _upper(code), "name": name_of(code), "supports_formality": False} for code in codes(side)]
        return PlainJSONResponse(found)

    @router.get("/v3/languages")
    async def all_languages() -> Response:
        """All languages, each marked as source, target or both."""
        sources, targets = codes("source"), codes("target")
        return PlainJSONResponse(
            [
                {
                    "lang": code.lower(),
                    "name": name_of(code),
                    "usable_as_source": code in sources,
                    "usable_as_target": code in targets,
                    "features": {},
                }
                for code in dict.fromkeys([*sources, *targets])
            ]
        )

    @router.get("/v2/usage")
    @router.post("/v2/usage")
    async def usage() -> Response:
        """The usage; nothing is billed."""
        return PlainJSONResponse({"character_count": 0, "character_limit": _LIMIT})

    return router


def _glossaries(known: dict[str, _Glossary]) -> Any:
    """Routes for glossaries, which are kept as long as the service runs."""
    from fastapi import APIRouter, Request
    from fastapi.responses import PlainTextResponse, Response

    from antiphon.serving.answering import PlainJSONResponse
    from antiphon.serving.bodies import fields, text_of

    router = APIRouter()

    def found(name: str) -> _Glossary:
        if name not in known:
            raise RefusedError(404, f"There is no glossary `{name}`.")
        return known[name]

    @router.post("/v2/glossaries")
    async def create(request: Request) -> Response:
        """Create a glossary: `name`, `source_lang`, `target_lang`, `entries` in the format `entries_format` (tsv or csv)."""
        given = await fields(request)
        if len(known) >= _MOST_GLOSSARIES:
            raise RefusedError(429, f"There are {_MOST_GLOSSARIES} glossaries already. Delete some.")
        entries = _entries(text_of(given, "entries"), text_of(given, "entries_format", "tsv"))
        sides = (text_of(given, "source_lang").lower(), text_of(given, "target_lang").lower())
        made = _Glossary(text_of(given, "name"), *sides, entries, Terms(entries.items(), "exact"))
        known[made.identity] = made
        return PlainJSONResponse(made.plain(), 201)

    @router.get("/v2/glossaries")
    async def listed() -> Response:
        """All glossaries."""
        return PlainJSONResponse({"glossaries": [one.plain() for one in known.values()]})

    @router.get("/v2/glossaries/{name}")
    async def one(name: str) -> Response:
        """The description of a glossary."""
        return PlainJSONResponse(found(name).plain())

    @router.get("/v2/glossaries/{name}/entries")
    async def entries(name: str) -> Response:
        """The entries of a glossary."""
        lines = (f"{source}\t{target}" for source, target in found(name).entries.items())
        return PlainTextResponse("\n".join(lines), media_type="text/tab-separated-values; charset=utf-8")

    @router.delete("/v2/glossaries/{name}")
    async def delete(name: str) -> Response:
        """Delete a glossary."""
        del known[found(name).identity]
        return Response(status_code=204)

    @router.get("/v2/glossary-language-pairs")
    async def languages() -> Response:
        """The language pairs that glossaries support: all of them."""
        return PlainJSONResponse({"supported_languages": []})

    return router


def _entries(text: str, kind: str) -> dict[str, str]:
    """The phrases in a table. Raises RefusedError for a row without two of them."""
    rows: Sequence[Sequence[str]] = (
        [line.split("\t") for line in text.splitlines() if line] if kind == "tsv" else [row for row in csv.reader(io.StringIO(text)) if row]
    )
    wrong = next((number for number, row in enumerate(rows, 1) if len(row) < 2 or not row[0].strip() or not row[1].strip()), None)
    if not rows or wrong is not None:
        raise RefusedError(400, f"`entries` must be rows with a phrase and its translation, but row {wrong or 1} is not.")
    return {row[0].strip(): row[1].strip() for row in rows}


def _upper(code: str) -> str:
    return code.replace("_", "-").upper()


plugin = ProtocolPlugin("deepl", "translation as DeepL's clients ask for it, with tags, glossaries and documents", routes)
