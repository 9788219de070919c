"""The protocol of OpenAI for speech (https://platform.openai.com/docs/api-reference/audio), for its clients and the tools that speak it.

A recording is answered as JSON, text or subtitles, or as events, by `response_format` and `stream` alone, since its clients ask for JSON
whatever they want. They wait for minutes, so nothing is sent before the answer is there, and errors have their status.
"""

import asyncio
import math
import re
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from antiphon.contracts.protocol import ProtocolPlugin
from antiphon.errors import DataError
from antiphon.serving.hearing import languages_of, listener
from antiphon.serving.refused import RefusedError
from antiphon.serving.service import Service
from antiphon.store.json_text import json_text

if TYPE_CHECKING:
    from antiphon.serving.pool import Pool

_FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
_UNKNOWN = ("include", "known_speaker_names", "known_speaker_references")  # what would be missed in an answer without it
_PING = 3.0  # seconds between two comments of a stream that has nothing to say yet
_PATHS = ("/v1/audio/transcriptions", "/v1/audio/translations")


@dataclass(frozen=True)
class _Wanted:
    """A request: the model, the audio and its length in seconds, and the format of the response."""

    pool: "Pool"
    sound: bytes
    seconds: float
    form: str
    streams: bool
    granularities: tuple[str, ...]
    hot_words: tuple[str, ...]


def routes(service: Service) -> Any:
    """The routes for recordings."""
    from fastapi import APIRouter, Request
    from fastapi.responses import Response

    router = APIRouter(tags=["openai"])

    @router.post("/v1/audio/transcriptions")
    async def transcriptions(request: Request) -> Response:
        """The transcript of `file`."""
        return cast(Response, await _answer(service, request, into_english=False))

    @router.post("/v1/audio/translations")
    async def translations(request: Request) -> Response:
        """The translation of `file` into English."""
        return cast(Response, await _answer(service, request, into_english=True))

    return router


async def _answer(service: Service, request: Any, *, into_english: bool) -> Any:
    from fastapi.responses import PlainTextResponse, Response, StreamingResponse
    from starlette.exceptions import HTTPException

    from antiphon.serving.answering import PlainJSONResponse, awaited, refusal
    from antiphon.serving.bodies import fields

    try:
        wanted = await _wanted(service, await fields(request), into_english=into_english)
    except RefusedError as error:
        return refusal(error, _told)
    except HTTPException as error:  # a form that cannot be read
        return refusal(RefusedError(400, f"The body must be a form of several parts: {error.detail}."), _told)
    if wanted.streams:
        return StreamingResponse(_events(service, wanted), media_type="text/event-stream")

    async def made() -> Response:
        try:
            body = await _body(service, wanted, into_english=into_english)
        except RefusedError as error:
            return refusal(error, _told)
        return PlainTextResponse(body) if wanted.form in ("text", "srt", "vtt") else PlainJSONResponse(body)

    return await awaited(request, made())


async def _wanted(service: Service, given: Mapping[str, Any], *, into_english: bool) -> _Wanted:
    """The request in a form. Raises RefusedError for what is not supported, before anything is computed."""
    from antiphon.serving.bodies import is_true, text_of

    fields = {name.removesuffix("[]"): value for name, value in given.items()}
    sound = fields.get("file")
    if not isinstance(sound, bytes):
        raise RefusedError(400, "`file` must be a recording, as a part of the form with a file name.")
    form = text_of(fields, "response_format", "json")
    if form not in _FORMATS:
        raise RefusedError(400, f"`response_format` must be one of {', '.join(_FORMATS)}, but is {form}.")
    streams = is_true(fields, "stream")
    if streams and form not in ("json", "text"):
        raise RefusedError(400, f"`stream` needs `response_format` json, but it is {form}.")
    wrong = next((name for name in _UNKNOWN if fields.get(name)), None)
    if wrong is not None:
        raise RefusedError(400, f"`{wrong}` is not supported here. Leave it out.")
    granularities = _texts(fields, "timestamp_granularities")
    if granularities and form != "verbose_json":
        raise RefusedError(400, f"`timestamp_granularities` needs `response_format` verbose_json, but it is {form}.")
    if not {"word", "segment"}.issuperset(granularities):
        raise RefusedError(400, f"`timestamp_granularities` must be word, segment or both, but is {', '.join(granularities)}.")
    spoken = _texts(fields, "language") or _texts(fields, "languages")
    pool = listener(service, text_of(fields, "model", "whisper-1"), spoken, into_english=into_english)
    try:
        seconds = await service.seconds_of(sound)
    except DataError as error:
        raise RefusedError(400, f"`file`: {error}") from error
    return _Wanted(pool, sound, seconds, form, streams, granularities, _texts(fields, "keywords"))


def _texts(fields: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """One text or several. Raises RefusedError if the field is a file."""
    value = fields.get(name) or ()
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not all(isinstance(one, str) for one in values):
        raise RefusedError(400, f"`{name}` must be text.")
    return values


async def _predicted(service: Service, wanted: _Wanted) -> dict[str, Any]:
    """The prediction. Raises RefusedError if the recording, or what is requested, is not supported."""
    assert wanted.pool.card is not None, "started before"
    record: dict[str, Any] = {wanted.pool.card.columns[0]: wanted.sound}
    if wanted.hot_words:
        record["hot_words"] = list(wanted.hot_words)
    suffix = f".{wanted.form}" if wanted.form in ("srt", "vtt") else None
    (found,) = await service.predict(wanted.pool.served.name, [record], timed="word" in wanted.granularities, suffix=suffix)
    if "error" in found:
        raise RefusedError(400, f"`file`: {found['error']}")
    return found


async def _body(service: Service, wanted: _Wanted, *, into_english: bool) -> Any:
    found = await _predicted(service, wanted)
    text = str(found["prediction"])
    if wanted.form == "text":
        return f"{text}\n"
    if wanted.form in ("srt", "vtt"):
        return found["written"]
    if wanted.form == "verbose_json":
        return _verbose(wanted, found, "translate" if into_english else "transcribe")
    return {"text": text, "usage": _usage(wanted)}


def _usage(wanted: _Wanted) -> dict[str, Any]:
    return {"type": "duration", "seconds": math.ceil(wanted.seconds)}


def _verbose(wanted: _Wanted, found: Mapping[str, Any], task: str) -> dict[str, Any]:
    """All details, under Whisper's names. Details that are unknown for a segment are those of the whole recording, or empty."""
    from antiphon.serving.languages import name_of

    heard = languages_of(wanted.pool)[0]
    body: dict[str, Any] = {
        "task": task,
        "language": "unknown" if heard is None else name_of(heard).lower(),
        "duration": round(wanted.seconds, 3),
        "text": str(found["prediction"]),
        "usage": _usage(wanted),
    }
    if "word" in wanted.granularities:
        words = found.get("words")
        if words is None or not all("start" in word for word in words):
            raise RefusedError(
                400, f"`timestamp_granularities` must be segment for `{wanted.pool.served.name}`, which does not know when words are said."
            )
        body["words"] = [{name: word[name] for name in ("word", "start", "end")} for word in words]
    if "segment" in wanted.granularities or not wanted.granularities:
        body["segments"] = [_segment(number, one, found) for number, one in enumerate(found.get("segments", ()))]
    return body


def _segment(number: int, segment: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    text = str(segment["text"])
    content = text.encode()
    return {
        "id": number,
        "seek": round(100 * float(segment["start"])),
        "start": segment["start"],
        "end": segment["end"],
        "text": text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": float(found.get("score") or 0.0),
        "compression_ratio": round(len(content) / len(zlib.compress(content)), 4),
        "no_speech_prob": 0.0,
    }


async def _events(service: Service, wanted: _Wanted) -> AsyncIterator[bytes]:
    """Events with the text as it becomes known, and with the whole text at the end."""
    task = asyncio.ensure_future(_predicted(service, wanted))
    try:
        while not (await asyncio.wait({task}, timeout=_PING))[0]:
            yield b": at work\n\n"
        found = task.result()
        text, done = str(found["prediction"]), 0
        for segment in found.get("segments", ()):
            begin = text.find(str(segment["text"]), done)
            end = begin + len(str(segment["text"]))
            if begin >= 0 and end > done:  # with the blank before it
                yield _event({"type": "transcript.text.delta", "delta": text[done:end]})
                done = end
        if done < len(text):
            yield _event({"type": "transcript.text.delta", "delta": text[done:]})
        yield _event({"type": "transcript.text.done", "text": text, "usage": _usage(wanted)})
    except RefusedError as error:
        yield _event(_told(error)[1])
    finally:  # also when the client leaves
        task.cancel()


def _event(content: Mapping[str, Any]) -> bytes:
    return f"data: {json_text(content, ascii_only=True)}\n\n".encode("ascii")


_KINDS = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded", 503: "server_is_overloaded"}


def _told(error: RefusedError) -> tuple[int, dict[str, Any]]:
    """An error in the form that OpenAI's clients read, with the field that it is about."""
    status = 401 if error.status == 403 else error.status
    kind = "server_error" if status >= 500 else "rate_limit_error" if status == 429 else "invalid_request_error"
    field = re.match(r"`([a-z_]+)`", str(error))
    return status, {"error": {"message": str(error), "type": kind, "param": field and field[1], "code": _KINDS.get(status)}}


plugin = ProtocolPlugin(
    "openai_audio",
    "speech as OpenAI's clients ask for it: transcripts, translations, subtitles, events",
    routes,
    tells=dict.fromkeys(_PATHS, _told),
)
