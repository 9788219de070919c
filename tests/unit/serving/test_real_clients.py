"""The clients that users have, as their registries hand them out, ask our service: they say what they should, and fail as they should.

What they send, need back and try again is theirs to know: nothing of it is written down here.
"""

import json
import os
import subprocess
import time
import urllib.error
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.unit.serving.behind_sockets import WAIT, Service, serving

deepl = pytest.importorskip("deepl")
libretranslatepy = pytest.importorskip("libretranslatepy")
KEY = "geheim"
NODE = """
const deepl = require('deepl-node');
(async () => {
    const client = new deepl.DeepLClient('geheim', {serverUrl: process.argv[1]});
    const one = await client.translateText('grün', null, 'de');
    const several = await client.translateText(['a', 'b'], 'en', 'de', {tagHandling: 'xml', formality: 'prefer_more'});
    const targets = await client.getTargetLanguages(), usage = await client.getUsage();
    const slow = await client.translateText('sleep 7', 'en', 'de');
    let refused = '';
    try { await client.translateText('a', 'en', 'fr'); } catch (error) { refused = error.message; }
    let wrong = '';
    const stranger = new deepl.DeepLClient('falsch', {serverUrl: process.argv[1]});
    try { await stranger.getUsage(); } catch (error) { wrong = error.constructor.name; }
    console.log(JSON.stringify([one.text, one.detectedSourceLang, several.map(found => found.text), targets.map(found => found.code),
        usage.character.limitReached(), slow.text, refused, wrong]));
})();
"""


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """One that needs a key."""
    with serving(0.0, api_key=KEY, max_body=10_000) as one:
        yield one


def client(service: Service, key: str = KEY, path: str = "") -> Any:
    return deepl.DeepLClient(key, server_url=f"http://127.0.0.1:{service.port}{path}", send_platform_info=False)


def asked(service: Service, route: str) -> int:
    """How many requests a route has had."""
    import httpx

    text = httpx.get(f"http://127.0.0.1:{service.port}/metrics", headers={"x-api-key": KEY}, timeout=WAIT).text
    lines = (line for line in text.splitlines() if line.startswith("antiphon_requests_total{") and f'"{route}"' in line)
    return sum(int(float(line.rpartition(" ")[2])) for line in lines)


@pytest.mark.parametrize("path", ["", "/"])
def test_deepl_translates_texts(service: Service, path: str) -> None:
    with closing(client(service, path=path)) as translator:
        one = translator.translate_text("grün", target_lang="DE")
        assert (one.text, one.detected_source_lang, one.billed_characters) == ("GRÜN", "EN", 4)
        several = translator.translate_text(["a", "", " b\n"], source_lang="EN", target_lang="DE", formality="prefer_more")
        assert [found.text for found in several] == ["A", "", " B\n"]
        tagged = translator.translate_text("a <x>b</x> &amp; c", target_lang="DE", tag_handling="xml", ignore_tags=["y"])
        assert tagged.text == "A <x>B</x> &amp; C"
        assert translator.translate_text([], target_lang="DE") == []


def test_deepl_knows_languages_usage_and_glossaries(service: Service) -> None:
    with closing(client(service)) as translator:
        assert [(one.code, one.name) for one in translator.get_source_languages()] == [("EN", "English")]
        assert [(one.code, one.supports_formality) for one in translator.get_target_languages()] == [("DE", False)]
        assert not translator.get_usage().any_limit_reached
        glossary = translator.create_glossary("mine", "EN", "DE", {"file": "Datei"})
        assert translator.get_glossary_entries(glossary) == {"file": "Datei"}
        assert translator.translate_text("a file", source_lang="EN", target_lang="DE", glossary=glossary).text == "A FILE"
        translator.delete_glossary(glossary)


def test_deepl_raises_what_is_wrong(service: Service) -> None:
    with closing(client(service)) as translator:
        with pytest.raises(deepl.DeepLException, match="There is no target language `FR`; there are: de"):
            translator.translate_text("a", target_lang="FR")
        with pytest.raises(deepl.DeepLException, match="`formality` must be default here"):
            translator.translate_text("a", target_lang="DE", formality="less")
        with pytest.raises(deepl.DeepLException, match="A request may have 10,000 bytes"):
            translator.translate_text("a" * 20_000, target_lang="DE")
        with pytest.raises(deepl.GlossaryNotFoundException):
            translator.get_glossary("none")
    with closing(client(service, "falsch")) as stranger, pytest.raises(deepl.AuthorizationException):
        stranger.get_usage()


def test_libretranslatepy_translates_and_names_languages(service: Service) -> None:
    translator = libretranslatepy.LibreTranslateAPI(f"http://127.0.0.1:{service.port}", KEY)
    assert translator.translate("grün", "en", "de") == "GRÜN"
    assert translator.translate("a", "auto", "de") == "A"
    assert {one["code"]: one["targets"] for one in translator.languages()} == {"en": ["de"], "de": []}


def test_libretranslatepy_raises_what_is_wrong(service: Service) -> None:
    translator = libretranslatepy.LibreTranslateAPI(f"http://127.0.0.1:{service.port}", KEY)
    stranger = libretranslatepy.LibreTranslateAPI(f"http://127.0.0.1:{service.port}", "falsch")
    for call, status in (
        (lambda: translator.translate("a", "en", "fr"), 400),
        (lambda: translator.detect("a"), 400),
        (lambda: stranger.translate("a", "en", "de"), 403),
    ):
        with pytest.raises(urllib.error.HTTPError) as raised:
            call()
        assert raised.value.code == status
        raised.value.close()


@pytest.mark.slow
def test_an_answer_that_takes_long_is_asked_for_once(service: Service) -> None:
    before, began = asked(service, "/v2/translate"), time.monotonic()
    with closing(client(service)) as translator:
        assert translator.translate_text("sleep 12", source_lang="EN", target_lang="DE").text == "SLEEP 12"
    assert time.monotonic() - began >= 12
    assert asked(service, "/v2/translate") == before + 1


@pytest.mark.slow
@pytest.mark.skipif(
    "ANTIPHON_NODE_MODULES" not in os.environ, reason="npm install --prefix FOLDER deepl-node@1.28.0, then name FOLDER here"
)
def test_deepl_node_translates(service: Service) -> None:
    folder = Path(os.environ["ANTIPHON_NODE_MODULES"])
    before = asked(service, "/v2/translate")
    command = ["node", "-e", NODE, f"http://127.0.0.1:{service.port}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=WAIT)
    *found, refused, wrong = json.loads(done.stdout)
    assert found == ["GRÜN", "en", ["A", "B"], ["de"], False, "SLEEP 7"]
    assert "There is no target language `fr`; there are: de." in refused
    assert wrong == "AuthorizationError"
    assert asked(service, "/v2/translate") == before + 4, "the slow one, too, was asked for once"
