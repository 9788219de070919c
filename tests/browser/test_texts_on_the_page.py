"""The translator and the summarizer in a real browser: by mouse and by keyboard alone."""

import asyncio
from typing import Any

import pytest

from tests.browser.conftest import Serve
from tests.browser.page_worker import PageWorker

pytestmark = pytest.mark.slow


def says(page: Any, selector: str, text: str) -> None:
    """Wait until an element says something."""
    page.locator(selector, has_text=text).wait_for()


def lit(page: Any, side: str) -> list[str]:
    return page.locator(f"#{side}-mirror .lit").all_inner_texts()


def test_words_are_linked_by_mouse_and_by_keyboard(page: Any, serve: Serve) -> None:
    with serve("en-de", "de-en", "headlines") as address:
        page.goto(address)
        page.get_by_role("tab").first.wait_for()
        assert page.get_by_role("tab").all_inner_texts() == ["Translate", "Summarize"]
        page.get_by_label("English", exact=True).fill("read this file. Close\nthe door")
        says(page, "#translator-status", "3 sentences translated.")  # without a button
        target = page.get_by_label("German", exact=True)
        assert target.input_value() == "FILE. THIS READ CLOSE\nDOOR THE"
        page.locator("#translator-target-mirror span").first.hover(force=True)
        assert (lit(page, "translator-source"), lit(page, "translator-target")) == (["file."], ["FILE."])
        page.locator("#translator-source-mirror span").nth(3).hover(force=True)
        assert (lit(page, "translator-source"), lit(page, "translator-target")) == (["Close"], ["CLOSE"])
        page.mouse.move(5, 5)
        target.focus()
        page.keyboard.press("Control+End")
        assert lit(page, "translator-source") == ["the"]
        assert page.locator("#translator-links").inner_text() == "THE – the"
        page.keyboard.type("x")
        assert target.input_value() == "FILE. THIS READ CLOSE\nDOOR THE", "a translation is not typed over"
        assert not any(one.search.get("n_best") != 4 or not one.aligned for one in PageWorker.asked)


def test_a_sentence_has_alternatives_and_only_what_changed_is_asked_for(page: Any, serve: Serve) -> None:
    with serve("en-de") as address:
        page.goto(address)
        assert page.get_by_role("tablist").count() == 0, "one pane needs no tabs"
        page.get_by_label("Translate while I type").uncheck()
        source = page.get_by_label("English", exact=True)
        source.fill("read this. Close that.")
        page.keyboard.press("Control+Enter")
        says(page, "#translator-status", "2 sentences translated.")
        page.get_by_label("German", exact=True).focus()
        page.keyboard.press("Control+End")
        says(page, "#translator-others-for", "Sentence 2 of 2: Close that.")
        page.get_by_role("button", name="THAT. ANOTHER2").press("Enter")
        assert page.get_by_label("German", exact=True).input_value() == "THIS. READ THAT. ANOTHER2"
        assert page.get_by_role("button", name="THAT. ANOTHER2").get_attribute("aria-pressed") == "true"
        page.get_by_role("button", name="Copy").click()
        assert page.evaluate("() => navigator.clipboard.readText()") == "THIS. READ THAT. ANOTHER2"
        asked = len(PageWorker.asked)
        source.fill("read this. Open that.")
        page.get_by_role("button", name="Translate", exact=True).click()
        page.locator("#translator-others-list", has_text="OPEN").wait_for(state="hidden")
        says(page, "#translator-status", "2 sentences translated.")
        assert [record["source"] for one in PageWorker.asked[asked:] for record in one.records] == ["Open that."]


def test_a_model_may_need_more_than_a_text(page: Any, serve: Serve) -> None:
    with serve("tagged") as address:
        page.goto(address)
        page.get_by_label("domain").fill("help")
        page.get_by_role("textbox", name="Text").fill("one two")
        says(page, "#translator-status", "1 sentence translated.")
        assert PageWorker.asked[-1].records == [{"source": "one two", "domain": "help"}]


def test_languages_are_swapped(page: Any, serve: Serve) -> None:
    with serve("en-de", "de-en") as address:
        page.goto(address)
        page.get_by_label("English", exact=True).fill("one two")
        says(page, "#translator-status", "1 sentence translated.")
        page.get_by_role("button", name="Swap languages").click()
        assert page.get_by_label("German", exact=True).input_value() == "TWO ONE"
        says(page, "#translator-others-list", "ONE TWO")
        assert page.get_by_label("English", exact=True).input_value() == "ONE TWO"


def test_what_is_wrong_is_a_sentence_and_the_rest_is_there(page: Any, serve: Serve) -> None:
    with serve("en-de") as address:
        page.goto(address)
        page.get_by_label("English", exact=True).fill("Read this. This is poison.")
        says(page, "#translator-status.wrong", "“This is poison.” cannot be translated: the source is poison.")
        assert page.get_by_label("German", exact=True).input_value() == "THIS. READ [This is poison.]"


def test_work_shows_that_it_goes_on_and_can_be_cancelled(page: Any, serve: Serve) -> None:
    with serve("en-de") as address:
        page.goto(address)
        PageWorker.gate = asyncio.Event()
        try:
            page.get_by_label("English", exact=True).fill("read this.")
            page.get_by_role("progressbar", name="Translated sentences").wait_for()
            page.get_by_role("button", name="Cancel").click()
            says(page, "#translator-status", "Cancelled.")
            assert page.get_by_role("progressbar").count() == 0
        finally:
            PageWorker.gate = None


def test_a_key_is_asked_for_and_kept_for_the_tab(page: Any, serve: Serve) -> None:
    with serve("en-de", api_key="geheim") as address:
        page.goto(address)
        page.get_by_label("Key", exact=True).fill("wrong")
        page.keyboard.press("Enter")
        says(page, "#key-why", "The API key is missing or wrong.")
        page.get_by_label("Key", exact=True).fill("geheim")
        page.keyboard.press("Enter")
        page.get_by_label("English", exact=True).fill("read this")
        says(page, "#translator-status", "1 sentence translated.")
        page.reload()
        page.get_by_label("English", exact=True).fill("read this")
        says(page, "#translator-status", "1 sentence translated.")
        assert page.evaluate("() => localStorage.length") == 0


def test_a_summary_has_the_length_that_is_wished_and_shows_what_was_copied(page: Any, serve: Serve) -> None:
    with serve("en-de", "headlines") as address:
        page.goto(f"{address}#summarizer")
        document = page.get_by_label("Document")
        document.fill("a long document that says much")
        assert page.locator("#summarizer-length-name").inner_text() == "3 to 4 words"
        page.keyboard.press("Control+Enter")
        says(page, "#summarizer-facts", "6 words became 4; 3 of them copied.")
        assert page.get_by_label("Summary").input_value() == "New long document that"
        assert page.locator("#summarizer-source-mirror .copied").all_inner_texts() == ["long", "document", "that"]
        page.locator("#summarizer-target-mirror span").nth(2).hover(force=True)
        assert lit(page, "summarizer-source") == ["document"]
        slider = page.get_by_role("slider", name="Length")
        slider.focus()
        page.keyboard.press("ArrowLeft")
        says(page, "#summarizer-facts", "6 words became 2; 1 of them copied.")
        assert slider.get_attribute("aria-valuetext") == "1 to 2 words"
        assert [one.records[0]["length"] for one in PageWorker.asked] == [4, 2]


def test_a_model_without_lengths_is_steered_and_a_file_is_summarized(page: Any, serve: Serve) -> None:
    with serve("plain") as address:
        page.goto(address)
        page.locator("#summarizer-file").set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"What stands in a file"})
        says(page, "#summarizer-facts", "5 words became 3")
        page.get_by_role("slider", name="Length").press("ArrowRight")
        says(page, "#summarizer-length-name", "longer")
        says(page, "#summarizer-status", "Summarized.")
        assert [one.search for one in PageWorker.asked][-1] == {"length_reward": 0.6, "length_penalty": "none"}


def test_tabs_are_moved_through_by_keyboard(page: Any, serve: Serve) -> None:
    with serve("en-de", "headlines") as address:
        page.goto(address)
        page.get_by_role("tab", name="Translate").focus()
        page.keyboard.press("ArrowRight")
        assert page.get_by_role("tabpanel").get_attribute("id") == "summarizer"
        assert page.get_by_role("tab", name="Summarize").get_attribute("aria-selected") == "true"
        assert page.evaluate("() => document.activeElement.id") == "tab-summarizer"
        assert page.url.endswith("#summarizer")
