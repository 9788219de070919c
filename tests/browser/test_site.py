"""The site of the documentation, built and looked at: nothing is wider than the screen, links lead somewhere, and search finds."""

import functools
import http.server
import importlib.util
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.package.source_files import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

# What is wider than its place: the page, a table in its frame, a picture. Code may be scrolled.
TOO_WIDE = """() => {
  const screen = document.documentElement, found = [];
  if (screen.scrollWidth > screen.clientWidth) found.push(`the page: ${screen.scrollWidth} > ${screen.clientWidth}`);
  for (const table of document.querySelectorAll(".md-typeset table")) {
    const frames = [table.closest(".md-typeset__scrollwrap") || table, table];
    if (frames.some((frame) => frame.scrollWidth > frame.clientWidth + 1)) found.push(`a table: ${table.textContent.trim().slice(0, 60)}`);
  }
  for (const picture of document.querySelectorAll(".md-typeset img, .md-typeset svg")) {
    if (picture.getBoundingClientRect().right > screen.clientWidth + 1) found.push(`a picture: ${picture.outerHTML.slice(0, 60)}`);
  }
  return found;
}"""


# Tables without a frame, and names in a first column that go on in a second line.
UNLIKE_TABLES = """() => {
  const found = [];
  for (const table of document.querySelectorAll(".md-typeset table:not(.highlighttable):not(.stacked)")) {
    if (getComputedStyle(table).borderTopStyle !== "solid") found.push(`no frame: ${table.textContent.trim().slice(0, 60)}`);
    for (const code of table.querySelectorAll("td:first-child code")) {
      if (/^\\w+$/.test(code.textContent) && code.getClientRects().length > 1) found.push(`broken: ${code.textContent}`);
    }
  }
  return found;
}"""


@pytest.fixture(scope="module")
def site() -> Path:
    """The site as `make docs` builds it, without the trainings of the gallery."""
    if importlib.util.find_spec("zensical") is None:
        pytest.skip("needs the extra `docs`")
    for command in (["scripts/site_pages.py"], ["-m", "zensical", "build", "--strict"]):
        subprocess.run([sys.executable, *command], cwd=ROOT, check=True, timeout=600, capture_output=True)
    return ROOT / "site"


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the site is served."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Nothing is said of requests."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join(30)
    server.server_close()


def pages_of(site: Path) -> list[str]:
    """Every page, as its address below the site's."""
    return sorted(path.parent.relative_to(site).as_posix().removeprefix(".") for path in site.rglob("index.html"))


def test_nothing_is_wider_than_the_screen(site: Path, address: str, page: Any) -> None:
    found = {}
    for name in pages_of(site):
        page.goto(f"{address}{name}/" if name else address, wait_until="load")
        for width in (390, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            for _ in range(2):  # tables are fitted in one frame, and seen in the next
                page.evaluate("() => new Promise(requestAnimationFrame)")
            if wide := page.evaluate(TOO_WIDE):
                found[f"{name} at {width}"] = wide
    assert found == {}


def test_tables_are_drawn_as_tables_at_every_width(address: str, page: Any) -> None:
    """Also after a narrower window had them row by row; names of settings in the first column are not broken."""
    for name in ("", "serving/", "results/", "recipes/"):
        page.goto(f"{address}{name}", wait_until="load")
        for width in (1440, 390, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            for _ in range(2):
                page.evaluate("() => new Promise(requestAnimationFrame)")
        assert page.evaluate(UNLIKE_TABLES) == [], name


def test_links_of_the_site_lead_somewhere(site: Path) -> None:
    broken = []
    for file in site.rglob("index.html"):
        for link in re.findall(r'<(?:a|link|img|script)[^>]*?\s(?:href|src)="([^"#?]+)', file.read_text(encoding="utf-8")):
            target = file.parent / unquote(link)
            if re.match(r"[a-z]+:", link) or "reports" in target.parts:  # reports are there when the gallery was trained
                continue
            if not (target / "index.html" if target.is_dir() else target).exists():
                broken.append(f"{file.relative_to(site)}: {link}")
    assert broken == []


def test_search_finds_a_setting_and_a_function(address: str, page: Any) -> None:
    for wanted, place in (("label_smoothing", "recipes/"), ("import_model", "api/")):
        page.goto(address, wait_until="networkidle")  # keys are listened to, and the index is there
        page.keyboard.press("Control+k")
        page.keyboard.type(wanted)
        page.wait_for_selector(f'a[href*="{place}?h="]', state="attached")
