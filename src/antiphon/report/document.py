"""A complete page in one file, which loads nothing else.

Its content security policy allows one thing only: its own style sheet, by hash. No script, image, font or address can be loaded, whatever
the data holds; with `media`, pictures and sounds that are written into the page.
"""

import base64
import hashlib
from importlib.resources import files
from pathlib import Path

from antiphon.errors import CheckpointError
from antiphon.report.markup import Markup, element, join
from antiphon.store.atomic import replacing


def document(title: str, body: Markup, *, media: bool = False) -> Markup:
    """The page."""
    return join([Markup("<!DOCTYPE html>\n"), element("html", {"lang": "en"}, _head(title, media), element("body", None, body))])


def _head(title: str, media: bool) -> Markup:
    style = files("antiphon.report").joinpath("style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    allowed = "img-src data:; media-src data:; " if media else ""
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; {allowed}base-uri 'none'; form-action 'none'"
    return element(
        "head",
        None,
        element("meta", {"charset": "utf-8"}),
        element("meta", {"http-equiv": "Content-Security-Policy", "content": policy}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("meta", {"name": "color-scheme", "content": "light dark"}),
        element("title", None, title),
        element("style", None, Markup(style)),  # our own file: to escape it would change its hash
    )


def write_page(path: Path, page: str) -> None:
    """Write the page in one step, so that no reader finds an incomplete one. Raises CheckpointError when it cannot be written."""
    try:
        with replacing(path) as file:
            file.write(page)
    except OSError as error:
        remedy = "Make room, or make the run's folder writable."
        raise CheckpointError(f"The report {path} cannot be written: {error.strerror}. {remedy}") from error
