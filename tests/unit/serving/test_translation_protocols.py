"""LibreTranslate's and DeepL's clients are answered as they need it: fields, forms, tags, languages and errors."""

from typing import Any

import httpx
import pytest

from tests.toy_worker import Toy
from tests.unit.serving.asking import run

NAMES = ("en-de", "en-pt-BR", "fr-de")


def records() -> list[Any]:
    return [record for worker in Toy.made for one in worker.asked for record in one.records]


def test_libretranslate_takes_forms_and_json_and_lists() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        form = await client.post("/translate", data={"q": " open ", "source": "en", "target": "de", "format": "text"})
        assert form.json() == {"translatedText": " OPEN "}
        listed = await client.post("/translate", json={"q": ["open", "", "file"], "source": "en", "target": "de", "apiKey": ""})
        assert listed.json() == {"translatedText": ["OPEN", "", "FILE"]}
        one = await client.post("/translate/", json={"q": ["open"], "source": "auto", "target": "pt"})
        assert one.json() == {"translatedText": ["OPEN"], "detectedLanguage": [{"confidence": 100, "language": "en"}]}
        plain = await client.post("/translate", content=b"q=open&source=en&target=de")
        assert plain.json() == {"translatedText": "OPEN"}, "without any content type"

    run(body, names=NAMES)


def test_libretranslate_names_its_languages() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        found = (await client.get("/languages")).json()
        assert found[0] == {"code": "en", "name": "English", "targets": ["de", "pt-BR"]}
        assert {one["code"] for one in found} == {"en", "fr", "de", "pt-BR"}
        assert (await client.get("/frontend/settings")).json()["keyRequired"] is False

    run(body, names=NAMES)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"q": "a", "source": "en", "target": "it"}, "There is no target language `it`; there are: de, pt-BR."),
        ({"q": "a", "source": "de", "target": "de"}, "There is no source language `de` into `de`; there are: en, fr."),
        ({"q": "a", "source": "auto", "target": "de"}, "The source language must be named: models into `de` read en, fr."),
        ({"source": "en", "target": "de"}, "`q` is missing."),
        ({"q": [1], "source": "en", "target": "de"}, "`q` must be a text, or a list of texts."),
        ({"q": "a", "source": "en"}, "`target` is missing."),
        ({"q": "a", "source": "en", "target": "de", "alternatives": "x"}, "`alternatives` must be a whole number, but is 'x'."),
    ],
)
def test_libretranslate_refuses_in_a_sentence(body: Any, message: str) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        answer = await client.post("/translate", json=body)
        assert answer.status_code == 400
        assert answer.json()["error"].startswith(message)

    run(ask, names=NAMES)


def test_libretranslate_has_its_key_in_the_body() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        asked = {"q": "a", "source": "en", "target": "de"}
        assert (await client.post("/translate", json=asked)).status_code == 403
        assert (await client.post("/translate", data={**asked, "api_key": "geheim"})).status_code == 200
        assert (await client.post("/translate", json={**asked, "apiKey": "geheim"})).status_code == 200
        assert (await client.get("/languages")).status_code == 200
        assert (await client.post("/v2/translate", json={"text": ["a"], "target_lang": "DE"})).status_code == 403

    run(body, names=NAMES, api_key="geheim")


def test_html_comes_back_with_its_tags() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        asked = {"q": "Open <b>this file</b> &amp; close<br>it", "source": "en", "target": "de", "format": "html"}
        found = (await client.post("/translate", json=asked)).json()["translatedText"]
        assert records()[0]["source"] == "Open this file & close it"
        assert Toy.made[0].asked[0].aligned
        assert found == "OPEN <b>THIS FILE</b> &amp; CLOSE<br> IT"

    run(body, names=NAMES)


def test_deepl_takes_json_and_forms() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v2/translate", json={"text": ["open", ""], "target_lang": "DE", "source_lang": "EN"})
        assert answer.json() == {
            "translations": [
                {"detected_source_language": "EN", "text": "OPEN", "billed_characters": 4},
                {"detected_source_language": "EN", "text": "", "billed_characters": 0},
            ]
        }
        form = await client.post("/v2/translate", data={"text": ["a", "b"], "target_lang": "pt-BR"})
        assert [one["text"] for one in form.json()["translations"]] == ["A", "B"]
        assert (await client.post("/v2/translate", json={"text": [], "target_lang": "PT"})).json() == {"translations": []}

    run(body, names=NAMES)


def test_deepl_keeps_what_weblate_looks_for() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        asked = {
            "text": ['Delete <x id="12"></x> files'],
            "target_lang": "DE",
            "source_lang": "en",
            "tag_handling": "xml",
            "ignore_tags": ["x"],
        }
        answer = await client.post("/v2/translate", json=asked)
        assert answer.json()["translations"][0]["text"] == 'DELETE <x id="12"></x> FILES'

    run(body, names=NAMES)


def test_deepl_names_languages_in_all_ways_that_clients_ask() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        sources = [
            {"language": "EN", "name": "English", "supports_formality": False},
            {"language": "FR", "name": "French", "supports_formality": False},
        ]
        assert (await client.get("/v2/languages")).json() == sources
        assert (await client.post("/v2/languages")).json() == sources
        for answer in (
            await client.get("/v2/languages?type=target"),
            await client.request("GET", "/v2/languages", content=b"type=target"),
            await client.post("/v2/languages", data={"type": "target"}),
        ):
            assert [one["language"] for one in answer.json()] == ["DE", "PT-BR"]
        weblate = (await client.get("/v3/languages?resource=translate_text")).json()
        assert {one["lang"]: (one["usable_as_source"], one["usable_as_target"]) for one in weblate}["de"] == (False, True)
        assert (await client.get("/v2/usage")).json() == {"character_count": 0, "character_limit": 10**12}

    run(body, names=NAMES)


def test_deepl_requires_what_a_glossary_says() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        asked = {
            "name": "mine",
            "source_lang": "EN",
            "target_lang": "DE",
            "entries": "file\tDatei\nfolder\tOrdner",
            "entries_format": "tsv",
        }
        made = await client.post("/v2/glossaries", json=asked)
        assert made.status_code == 201
        name = made.json()["glossary_id"]
        await client.post("/v2/translate", json={"text": ["a file"], "target_lang": "DE", "source_lang": "EN", "glossary_id": name})
        assert records() == [{"source": "a file", "required": ["Datei"]}]
        assert (await client.get(f"/v2/glossaries/{name}/entries")).text == "file\tDatei\nfolder\tOrdner"
        assert (await client.delete(f"/v2/glossaries/{name}")).status_code == 204
        answer = await client.post("/v2/translate", json={"text": ["a"], "target_lang": "DE", "source_lang": "EN", "glossary_id": name})
        assert (answer.status_code, answer.json()["message"]) == (404, f"There is no glossary `{name}`.")
        wrong = await client.post("/v2/glossaries", json={**asked, "entries": "file"})
        assert wrong.json()["message"] == "`entries` must be rows with a phrase and its translation, but row 1 is not."

    run(body, names=NAMES)


def test_formality_is_refused_rather_than_ignored() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        for wanted, status in (("more", 400), ("default", 200), ("prefer_less", 200)):
            asked = {"text": ["a"], "target_lang": "DE", "source_lang": "EN", "formality": wanted}
            assert (await client.post("/v2/translate", json=asked)).status_code == status

    run(body, names=NAMES)


def test_half_a_character_is_refused() -> None:
    """JSON can say it, but neither a table of phrases nor a key can be written with it."""

    async def body(client: httpx.AsyncClient) -> None:
        half = b'"\\ud800"'
        glossary = b'{"name": "a", "source_lang": "en", "target_lang": "de", "entries_format": "tsv", "entries": "a\\t\\ud800"}'
        key = {"authorization": "Bearer geheim"}
        answer = await client.post("/v2/glossaries", content=glossary, headers=key)
        assert (answer.status_code, answer.json()["message"]) == (400, "`entries` must be Unicode, but has half of a surrogate pair.")
        answer = await client.post(
            "/v2/translate", content=b'{"target_lang": "DE", "source_lang": "EN", "text": [' + half + b"]}", headers=key
        )
        assert (answer.status_code, answer.json()["message"]) == (400, "`text` must be Unicode, but has half of a surrogate pair.")
        answer = await client.post("/translate", content=b'{"q": "a", "source": "en", "target": "de", "api_key": ' + half + b"}")
        assert answer.status_code == 403

    run(body, names=NAMES, api_key="geheim")


def test_what_no_xml_can_hold_is_refused() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        asked = {"text": ["fine", "a\x01b"], "target_lang": "DE", "source_lang": "EN", "tag_handling": "xml"}
        answer = await client.post("/v2/translate", json=asked)
        assert (answer.status_code, answer.json()["message"]) == (
            400,
            "Text 2: the translation has the character U+0001, which XML cannot hold.",
        )

    run(body, names=NAMES)
