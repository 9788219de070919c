"""The web page at `/`, a user interface for `/v1/predict`: plain files in `serving/page/`, which load nothing from other sites.

What it may do is said in its headers (Content-Security-Policy): scripts, styles and requests of its own address alone. Addresses in it are
relative to its `base`, so that it works behind a proxy's path, or mounted in another application. Whoever needs a key gives it on the page.
"""

import hashlib
from importlib.resources import files
from typing import Any

from antiphon.contracts.protocol import ProtocolPlugin
from antiphon.serving.refused import RefusedError
from antiphon.serving.service import Service

_KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
NAMES = (
    *("icon.svg", "page.css", "page.js", "shared.js", "translator.js", "summarizer.js", "words.js"),
    *("recorder.js", "live.js", "sound.js", "capture.js", "subtitles.js", "forecaster.js", "chart.js", "csv.js"),
)
"""The files that the page loads; they hold nothing private, so no key is needed."""
HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            *(f"{what}-src 'self'" for what in ("script", "style", "img", "connect", "worker")),
            "media-src 'self' blob:",
            "base-uri 'self'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # ask whether it is still the same, by its ETag
}
_BASE = '<base href="/">'


def routes(service: Service) -> Any:
    """Routes for the page, and for the files that it loads."""
    from fastapi import APIRouter, Request
    from fastapi.responses import Response

    router = APIRouter(include_in_schema=False)

    def answered(request: Request, name: str, content: bytes) -> Response:
        tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        headers = {**HEADERS, "ETag": tag}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=f"{_KINDS[name.rpartition('.')[2]]}; charset=utf-8", headers=headers)

    @router.get("/")
    async def page(request: Request) -> Response:
        """The page, with the path that it is served under."""
        from html import escape

        base = f'<base href="{escape(request.scope.get("root_path", ""))}/">'
        return answered(request, "index.html", content_of("index.html").replace(_BASE.encode(), base.encode(), 1))

    @router.get("/page/{name}")
    async def part(name: str, request: Request) -> Response:
        """A file that the page loads."""
        if name not in NAMES:
            raise RefusedError(404, f"The page has no file {name}.")
        return answered(request, name, content_of(name))

    return router


def content_of(name: str) -> bytes:
    """The content of a file of the page."""
    return (files("antiphon.serving") / "page" / name).read_bytes()


plugin = ProtocolPlugin(
    "page",
    "a page for people: translate, summarize, transcribe, forecast",
    routes,
    own_keys=tuple(f"/page/{name}" for name in NAMES),
)
