"""Documents of many formats are translated in the background, keep what is no text, and are handed out once."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from antiphon.serving.worker import Answer, Asked
from tests.toy_worker import Toy
from tests.unit.serving.asking import run

NAMES = ("en-de", "fr-de")
HTML = "<!DOCTYPE html><html><body><p>Open <b>this file</b>.</p><pre>code</pre></body></html>"
PO = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "open %s"\nmsgstr ""\n'
XLIFF = """<?xml version="1.0"?><xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2">
<file original="a" source-language="en" target-language="de" datatype="plaintext"><body>
<trans-unit id="1"><source>open <g id="1">it</g></source></trans-unit></body></file></xliff>"""
TOLD = {"target_lang": "DE", "source_lang": "EN"}


async def uploaded(client: httpx.AsyncClient, name: str, content: str, **fields: str) -> dict[str, str]:
    answer = await client.post("/v2/document/", data={**TOLD, **fields}, files={"file": (name, content.encode())})
    assert answer.status_code == 200, answer.text
    made = answer.json()
    return {"path": f"/v2/document/{made['document_id']}", "document_key": made["document_key"]}


async def done(client: httpx.AsyncClient, made: dict[str, str]) -> Any:
    while True:
        status = (await client.post(made["path"], json={"document_key": made["document_key"]})).json()
        if status["status"] in ("done", "error"):
            return status
        await asyncio.sleep(0.01)


async def result(client: httpx.AsyncClient, made: dict[str, str]) -> httpx.Response:
    return await client.post(f"{made['path']}/result", data={"document_key": made["document_key"]})


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", "One line.\n\nAnother one.\n", "ONE LINE.\n\nANOTHER ONE.\n"),
        ("a.HTML", HTML, HTML.replace("Open <b>this file</b>", "OPEN <b>THIS FILE</b>")),
        ("a.md", "# Open *it*\n\n    code\n", "# OPEN *IT*\n\n    code\n"),
        ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\nopen it\n", "1\n00:00:01,000 --> 00:00:02,000\nOPEN IT\n"),
    ],
)
def test_a_document_comes_back_in_its_form(name: str, content: str, expected: str) -> None:
    async def body(client: httpx.AsyncClient) -> None:
        made = await uploaded(client, name, content)
        status = await done(client, made)
        assert status["status"] == "done", status
        assert status["billed_characters"] > 0
        assert (await result(client, made)).text == expected
        gone = await result(client, made)
        assert gone.status_code == 404
        assert "handed out already" in gone.json()["message"]

    run(body, names=NAMES)


def test_units_of_translators_files() -> None:
    class Careful(Toy):
        """Loses a placeholder unless it is required, as models do."""

        async def ask(self, asked: list[Asked]) -> list[Answer]:
            self.asked.extend(asked)
            return [[{"prediction": " ".join(["SAGT", *record.get("required", ())])} for record in one.records] for one in asked]

    async def body(client: httpx.AsyncClient) -> None:
        made = await uploaded(client, "de.po", PO)
        assert (await done(client, made))["units_left_as_they_were"] == 0
        assert 'msgstr "SAGT %s"' in (await result(client, made)).text
        assert [record.get("required") for one in Toy.made[0].asked for record in one.records] == [None, ["%s"]]
        made = await uploaded(client, "a.xlf", XLIFF)
        assert (await done(client, made))["status"] == "done"
        assert "SAGT</target>" in (await result(client, made)).text.replace('<g id="1">', "").replace("</g>", "")

    run(body, names=NAMES, make=Careful)


def test_nothing_is_there_before_it_is_done_and_repeated_uploads_are_one() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        made = await uploaded(client, "a.txt", "open")
        assert await uploaded(client, "a.txt", "open") == made
        status = await client.post(made["path"], data={"document_key": made["document_key"]})
        assert status.json()["status"] in ("queued", "translating")
        early = await result(client, made)
        assert (early.status_code, early.headers["retry-after"]) == (503, "5")
        wrong = await client.post(made["path"], json={"document_key": "other"})
        assert wrong.status_code == 404
        Toy.gate.set()
        assert (await done(client, made))["status"] == "done"
        assert len(Toy.made[0].asked) == 1

    run(body, names=NAMES, is_open=False)


def test_a_document_is_forgotten_with_its_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("antiphon.serving.documents.KEPT", 0.05)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    async def body(client: httpx.AsyncClient) -> None:
        made = await uploaded(client, "a.txt", "open")
        assert len(list(tmp_path.glob("antiphon-document-*"))) == 1
        await done(client, made)
        await asyncio.sleep(0.2)
        assert (await client.post(made["path"], json={"document_key": made["document_key"]})).status_code == 404
        assert not list(tmp_path.glob("antiphon-document-*"))

    run(body, names=NAMES)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("a.docx", {}, "A document must be a file of .htm, .html, .markdown, .md, .mdown, .po,"),
        ("a", {}, "A document must be a file of "),
        ("a.txt", {"target_lang": "it"}, "There is no target language `it`"),
        ("a.txt", {"formality": "more"}, "`formality` must be default here"),
        ("a.txt", {"glossary_id": "x"}, "There is no glossary `x`."),
        ("a.txt", {"output_format": "pdf"}, "`output_format` must be left out: a document keeps its format."),
    ],
)
def test_what_cannot_be_is_refused_at_once(name: str, fields: dict[str, str], message: str) -> None:
    async def body(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v2/document", data={**TOLD, **fields}, files={"file": (name, b"x")})
        assert answer.status_code in (400, 404)
        assert answer.json()["message"].startswith(message)
        assert (await client.post("/v2/document", data=TOLD)).json()["message"].startswith("`file` must be a document")

    run(body, names=NAMES)


def test_what_goes_wrong_is_told_by_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(client: httpx.AsyncClient) -> None:
        made = await uploaded(client, "broken.xlf", "<xliff version='1.2'><file>")
        status = await done(client, made)
        assert status["status"] == "error"
        assert "antiphon-document" not in status["error_message"], "where files lie is nobody's concern"
        answer = await result(client, made)
        assert (answer.status_code, answer.json()["message"]) == (400, status["error_message"])
        monkeypatch.setattr("antiphon.serving.documents._MOST_UNITS", 1)
        made = await uploaded(client, "long.txt", "One.\n\nTwo.")
        assert (await done(client, made))["error_message"] == "A document may have 1 units, but long.txt has more. Cut it."

    run(body, names=NAMES)


def test_a_document_waits_while_others_fill_the_queue_and_asks_for_less_when_it_takes_long() -> None:
    class Slow(Toy):
        """Takes as long as there are records."""

        async def ask(self, asked: list[Asked]) -> list[Answer]:
            await asyncio.sleep(0.1 * len(asked))
            return await super().ask(asked)

    async def body(client: httpx.AsyncClient) -> None:
        made = await uploaded(client, "a.txt", "\n\n".join("abcd"))
        assert (await done(client, made))["status"] == "done"
        assert (await result(client, made)).text == "A\n\nB\n\nC\n\nD"

    run(body, names=NAMES, make=Slow, timeout=0.35)


def test_a_glossary_is_required_in_documents() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        asked = {"name": "mine", "source_lang": "EN", "target_lang": "DE", "entries": "file\tDatei", "entries_format": "tsv"}
        glossary = (await client.post("/v2/glossaries", json=asked)).json()["glossary_id"]
        await done(client, await uploaded(client, "a.txt", "a file\n\na door", glossary_id=glossary))
        assert [record.get("required") for one in Toy.made[0].asked for record in one.records] == [["Datei"], None]

    run(body, names=NAMES)
