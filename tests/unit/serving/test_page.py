"""The page's files: who may have them, what their headers allow, and that its scripts, its names and its addresses fit together."""

import asyncio
import re

import httpx
import pytest
from fastapi import FastAPI

from antiphon.protocols.page import NAMES, content_of
from antiphon.serving.app import application
from antiphon.serving.pool import Served
from antiphon.serving.settings import ServeConfig
from antiphon.serving.worker import Card
from tests.toy_worker import Toy
from tests.unit.serving.asking import run

SCRIPTS = {name: content_of(name).decode() for name in NAMES if name.endswith(".js")}
PAGE = content_of("index.html").decode()


def test_the_page_needs_no_key_and_says_what_it_may_do() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        for path in ("/", *(f"/page/{name}" for name in NAMES)):
            answer = await client.get(path)
            assert answer.status_code == 200
            policy = answer.headers["content-security-policy"].split("; ")
            assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"} <= set(policy)
            assert not re.search("unsafe|https?:|\\*", answer.headers["content-security-policy"])
            assert answer.headers["x-content-type-options"] == "nosniff"
            again = await client.get(path, headers={"if-none-match": answer.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
        assert (await client.get("/page/page.js")).headers["content-type"] == "text/javascript; charset=utf-8"
        assert (await client.get("/v1/models")).status_code == 403

    run(body, api_key="geheim")


@pytest.mark.parametrize("name", ["nothing.js", "index.html", "..%2Fworker.py", "%2E%2E/worker.py", "page.js/x"])
def test_no_other_file_is_given(name: str) -> None:
    async def body(client: httpx.AsyncClient) -> None:
        answer = await client.get(f"/page/{name}")
        assert answer.status_code == 404
        assert answer.json()["message"].endswith(("has no file nothing.js.", "has no file index.html.", "/docs lists what there is."))

    run(body)


def test_the_page_knows_the_path_it_is_served_under() -> None:
    async def main() -> None:
        Toy.reset(is_open=True)
        inner = application([Served("one", ("runs/one",))], ServeConfig(wait=0, api_key="geheim"), make=Toy)
        outer = FastAPI()
        outer.mount("/translate", inner)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(outer), base_url="http://here") as client:
            assert '<base href="/translate/">' in (await client.get("/translate/")).text
            assert (await client.get("/translate/page/page.css")).status_code == 200
            assert (await client.get("/translate/healthz")).status_code == 200
            assert (await client.get("/translate/v1/models")).status_code == 403
        async with httpx.AsyncClient(transport=httpx.ASGITransport(inner, root_path='/"x'), base_url="http://here") as client:
            assert '<base href="/&quot;x/">' in (await client.get("/")).text

    asyncio.run(main())


def test_models_say_what_a_page_needs() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        found = (await client.get("/v1/models")).json()
        assert found["limits"] == {"max_records": 500, "max_body": 33554432, "max_beam": 16}
        first, second = found["data"]
        assert first["languages"] == {"source": {"code": "en", "name": "English"}, "target": {"code": "de", "name": "German"}}
        assert second["languages"] is None
        assert (first["reads"], first["about"]) == ("text", {"lengths": [2, 5]})

    run(body, Card("summarization", ("document",), False, False, None, {}, {"lengths": [2, 5]}), names=("en-de", "two"))


def test_requests_may_ask_for_links_of_words() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        for stream in (False, True):
            await client.post("/v1/predict", json={"inputs": ["a"], "aligned": True, "stream": stream})
        assert [one.aligned for one in Toy.made[0].asked] == [True, True]

    run(body)


def test_every_name_that_scripts_use_is_in_the_page_once() -> None:
    ids = re.findall(r'\bid="([^"]+)"', PAGE)
    assert len(ids) == len(set(ids))
    for name, text in SCRIPTS.items():
        used = re.findall(r'\$\("([^"]+)"\)', text)
        used += [f"{pane}-{part}" for pane in re.findall(r'new Work\("([^"]+)"\)', text) for part in ("status", "progress", "cancel")]
        assert set(used) <= set(ids), name
    tabs = {f"tab-{name}" for name in re.findall(r'id="(\w+)" class="pane"', PAGE)}
    for attribute in ("for", "aria-labelledby", "aria-describedby", "aria-controls"):
        named = {word for value in re.findall(rf'\b{attribute}="([^"]+)"', PAGE) for word in value.split()}
        assert named <= {*ids, *tabs}, attribute


def test_every_field_has_a_label() -> None:
    labelled = set(re.findall(r'<label for="([^"]+)"', PAGE))
    inside = set(re.findall(r'<label class="[^"]*"><input id="([^"]+)"', PAGE))
    fields = set(re.findall(r'<(?:input|select|textarea) id="([^"]+)"', PAGE))
    assert fields - labelled - inside == set()
    assert all('id="' in tag for tag in re.findall(r"<(?:input|select|textarea)\b[^>]*>", PAGE))


def test_nothing_comes_from_elsewhere() -> None:
    for name in ("index.html", *NAMES):
        text = re.sub(r"^\s*//.*$|[:;] //.*$", "", content_of(name).decode().replace("http://www.w3.org/2000/svg", ""), flags=re.M)
        assert not re.search(r"https?:|wss?:/|//[a-z]|@import", text), name
    written_in = r"\bstyle=|\bon[a-z]+=|<script(?! type=\"module\" src=)|<style"
    assert not re.search(written_in, PAGE), "which the policy forbids"


def luminance(colour: str) -> float:
    """Of `#rrggbb`, by the Web Content Accessibility Guidelines 2.2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_stands_out_and_so_does_what_can_be_pressed(scheme: int) -> None:
    blocks = re.findall(r":root \{(.*?)\}", content_of("page.css").decode(), flags=re.S)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", blocks[scheme]))

    def contrast(one: str, other: str) -> float:
        low, high = sorted((luminance(colours[one]), luminance(colours[other])))
        return (high + 0.05) / (low + 0.05)

    assert len(blocks) == 2
    on_card = [(text, ground) for text in ("ink", "quiet", "accent", "wrong") for ground in ("card", "paper")]
    for text, ground in [*on_card, ("accent-ink", "accent"), ("ink", "lit"), ("card", "wrong")]:
        assert contrast(text, ground) >= 4.5, (text, ground)
    for edge in ("edge", "accent", "copied", "past"):
        assert contrast(edge, "card") >= 3, edge


def test_scripts_load_files_that_are_there() -> None:
    for name, text in SCRIPTS.items():
        assert set(re.findall(r'from "\./([^"]+)"', text)) <= set(NAMES), name
    panes = re.findall(r"^  (\w+): ", SCRIPTS["page.js"].split("PANES = {")[1].split("}")[0], flags=re.M)
    assert {f"{pane}.js" for pane in panes} <= set(NAMES)
    assert set(panes) == set(re.findall(r'<section id="(\w+)" class="pane"', PAGE))
