"""Speech while it is spoken, in a real browser: its microphone beeps, and a tiny model writes what it hears."""

from typing import Any

import pytest

from tests.browser.conftest import Serve
from tests.browser.test_sound_and_series_on_the_page import recording, says
from tests.tiny_listener import Listener, listener

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def ears() -> None:
    """What all workers here ask."""
    Listener.model = listener()


def words(page: Any) -> list[str]:
    return page.locator("#recorder-text").inner_text().split()


def test_words_appear_while_one_speaks(page: Any, serve: Serve) -> None:
    with serve("ears", make=Listener, api_key="geheim") as address:
        page.goto(address)
        page.get_by_label("Key", exact=True).fill("geheim")
        page.keyboard.press("Enter")
        sockets: list[Any] = []
        page.on("websocket", lambda socket: sockets.append(socket))
        page.get_by_role("button", name="Record", exact=True).press("Enter")
        says(page, "#recorder-status", "Listening: words appear as they are said.")
        page.locator("#recorder-text:not(:empty)").wait_for()
        so_far = words(page)
        page.get_by_role("button", name="Stop").press("Enter")
        says(page, "#recorder-status", "written.")
        assert words(page)[: len(so_far) - 1] == so_far[:-1], "the last one may have grown"
        assert page.locator("#recorder-rows tr").count() > 0
        assert [socket.url.split("/", 3)[3] for socket in sockets] == ["v1/audio/live"], "without a key in it"


def test_the_recording_is_written_as_a_whole_when_nobody_listens_any_more(page: Any, serve: Serve) -> None:
    with serve("ears", make=Listener) as address:
        page.goto(address)
        page.evaluate(
            """() => {
                const send = WebSocket.prototype.send;
                WebSocket.prototype.send = function (data) {
                    if (typeof data === "string" && data.includes("end")) this.close();
                    else send.call(this, data);
                };
            }"""
        )
        page.get_by_role("button", name="Record", exact=True).click()
        says(page, "#recorder-time", "0:02.")
        page.get_by_role("button", name="Stop").click()
        says(page, "#recorder-status", "written.")


def test_words_of_a_file_have_times(page: Any, serve: Serve) -> None:
    with serve("ears", make=Listener) as address:
        page.goto(address)
        page.locator("#recorder-file").set_input_files({"name": "a.wav", "mimeType": "audio/wav", "buffer": recording()})
        says(page, "#recorder-status", "written.")
        title = page.locator("#recorder-text .word").first.get_attribute("title")
        assert title is not None
        assert title.startswith("0:0")
