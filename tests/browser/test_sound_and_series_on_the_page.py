"""The recorder and the forecaster in a real browser: a microphone that beeps, files that are opened, and files that are saved."""

import io
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.browser.conftest import Serve
from tests.browser.page_worker import PageWorker

pytestmark = pytest.mark.slow

TABLE = "store;day;sold\n" + "".join(f"{store};d{day};{day},5\n" for store in ("north", "south, west") for day in range(30))


def says(page: Any, selector: str, text: str) -> None:
    """Wait until an element says something."""
    page.locator(selector, has_text=text).wait_for()


def saved(page: Any, button: str) -> tuple[str, str]:
    """The name and the content of the file that a button saves."""
    with page.expect_download() as found:
        page.get_by_role("button", name=button).click()
    return found.value.suggested_filename, Path(found.value.path()).read_text(encoding="utf-8")


def recording(seconds: float = 4.0, rate: int = 44100) -> bytes:
    """Two channels of a tone."""
    tone = (8000 * np.sin(np.arange(int(seconds * rate)) / 20)).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(2)
        written.setsampwidth(2)
        written.setframerate(rate)
        written.writeframes(np.stack([tone, tone], axis=1).tobytes())
    return file.getvalue()


def test_a_recording_becomes_text_with_times_and_subtitles(page: Any, serve: Serve) -> None:
    with serve("digits") as address:
        page.goto(address)
        page.locator("#recorder-file").set_input_files({"name": "talk.wav", "mimeType": "audio/wav", "buffer": recording()})
        says(page, "#recorder-status", "3 words written.")
        assert page.locator("#recorder-text").inner_text().split() == ["one", "two", "<three>"]
        assert page.locator("#recorder-text .unsure").all_inner_texts() == ["<three>"]
        ((rate, channels, seconds),) = PageWorker.sounds
        assert (rate, channels) == (8000, 1), "as the model hears"
        assert seconds == pytest.approx(4.0, abs=0.01)
        assert saved(page, "Save SRT") == ("talk.srt", "1\n00:00:00,000 --> 00:00:02,500\none two <three>\n")
        assert saved(page, "Save WebVTT") == ("talk.vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:02.500\none two &lt;three&gt;\n")
        assert saved(page, "Save text") == ("talk.txt", "one two <three>\n")
        page.locator("#recorder-text .word").nth(1).click()
        page.locator("#recorder-text .lit", has_text="two").wait_for()
        page.get_by_role("button", name="Play from 0:00.0").press("Enter")
        page.locator("#recorder-text .lit", has_text="one").wait_for()


def test_the_microphone_is_recorded_at_the_rate_of_the_model(page: Any, serve: Serve) -> None:
    with serve("digits") as address:
        page.goto(address)
        page.get_by_role("button", name="Record", exact=True).press("Enter")
        says(page, "#recorder-time", "0:01.")
        page.get_by_role("button", name="Stop").press("Enter")
        says(page, "#recorder-status", "3 words written.")
        ((rate, channels, seconds),) = PageWorker.sounds
        assert (rate, channels) == (8000, 1)
        assert 1 < seconds < 20
        assert page.get_by_role("button", name="Record", exact=True).get_attribute("aria-pressed") == "false"


def test_a_recording_that_is_cancelled_asks_nothing(page: Any, serve: Serve) -> None:
    with serve("digits") as address:
        page.goto(address)
        page.get_by_role("button", name="Record", exact=True).click()
        says(page, "#recorder-time", "0:00.")
        page.get_by_role("button", name="Cancel").click()
        says(page, "#recorder-status", "Cancelled.")
        page.get_by_role("button", name="Record", exact=True).wait_for()
        assert PageWorker.asked == []


def test_what_is_no_recording_is_refused_in_a_sentence(page: Any, serve: Serve) -> None:
    with serve("digits", max_body=20_000) as address:
        page.goto(address)
        page.locator("#recorder-file").set_input_files({"name": "talk.wav", "mimeType": "audio/wav", "buffer": b"none"})
        says(page, "#recorder-status.wrong", "talk.wav is no recording that this browser can read.")
        page.locator("#recorder-file").set_input_files({"name": "talk.wav", "mimeType": "audio/wav", "buffer": recording()})
        says(page, "#recorder-status.wrong", "The recording is longer than the")


def test_a_table_becomes_a_chart_and_a_table(page: Any, serve: Serve) -> None:
    with serve("sales") as address:
        page.goto(address)
        page.get_by_label("Table").fill(TABLE)
        says(page, "#forecaster-size", "60 rows, 3 columns")
        page.keyboard.press("Control+Enter")
        says(page, "#forecaster-status", "2 series forecast 3 steps ahead.")
        assert PageWorker.asked[0].records[1] == {"store": "north", "day": "d1", "sold": 1.5}
        chart = page.get_by_role("slider", name="Forecast of north, step")
        chart.press("ArrowRight")
        assert chart.get_attribute("aria-valuetext") == "next 2: 31.5; 80 %: 29.5 to 33.5"
        assert (page.locator("svg .band").count(), page.locator("polyline.past").count()) == (1, 1)
        page.locator("#forecaster-series").select_option(label="south, west")
        assert page.get_by_role("slider", name="Forecast of south, west, step").count() == 1
        assert page.locator("#forecaster-rows tr").first.inner_text().split("\t") == ["next 1", "30.5", "28.5", "32.5"]
        name, text = saved(page, "Save CSV")
        assert (name, text.splitlines()[0], len(text.splitlines())) == ("forecast.csv", "store,day,sold,sold-lo-80,sold-hi-80", 7)
        assert text.splitlines()[4] == '"south, west",next 1,30.5,28.5,32.5'


def test_columns_are_chosen_and_a_file_is_read(page: Any, serve: Serve) -> None:
    with serve("sales") as address:
        page.goto(address)
        table = "when,shop,count\n" + "".join(f"d{day},a,{day or ''}\n" for day in range(5))
        page.locator("#forecaster-file").set_input_files({"name": "a.csv", "mimeType": "text/csv", "buffer": table.encode()})
        says(page, "#forecaster-status", "1 series forecast 3 steps ahead.")
        page.locator("#forecaster-id").select_option("shop")
        page.get_by_role("button", name="Forecast").click()
        page.get_by_role("slider", name="Forecast of a, step").wait_for()
        assert PageWorker.asked[-1].records[0] == {"store": "a", "day": "d0", "sold": None}, "a missing value is none"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "There is no table yet."),
        ("day,sold", "A table needs a line with the names of its columns, and rows below it."),
        ("day,day\n1,2", "The table has two columns called day."),
        ("day,sold\n1,2\n3", "Row 2 has 1 values, but the table has 2 columns."),
        ("day,sold\n1,many", "Row 1: sold must be a number, but is “many”."),
        ('day,sold\n"1,2', "A quote in the table is not closed."),
        ("store,day,sold\nwrong,1,2\na,1,2", "1 series could not be forecast: Series `wrong` must have at least 2 steps"),
    ],
)
def test_a_table_that_cannot_be_used_is_told_in_a_sentence(page: Any, serve: Serve, table: str, message: str) -> None:
    with serve("sales") as address:
        page.goto(address)
        page.get_by_label("Table").fill(table)
        page.get_by_role("button", name="Forecast").click()
        says(page, "#forecaster-status.wrong", message)


def test_many_series_are_asked_for_in_parts(page: Any, serve: Serve) -> None:
    with serve("sales", max_records=50) as address:
        page.goto(address)
        rows = [f"s{number},{day},{day}" for number in range(4) for day in range(20)] + [f"long,{day},{day}" for day in range(60)]
        page.get_by_label("Table").fill("store,day,sold\n" + "\n".join(rows))
        page.get_by_role("button", name="Forecast").click()
        says(page, "#forecaster-status", "5 series forecast 3 steps ahead. Of 1 series the last 50 rows were read")
        assert [len(one.records) for one in PageWorker.asked] == [40, 40, 50]
        assert PageWorker.asked[-1].records[0]["day"] == "10"


def test_it_fits_on_a_narrow_screen_in_the_dark(browser: Any, serve: Serve) -> None:
    with serve("en-de", "headlines", "digits", "sales") as address:
        context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme="dark")
        page = context.new_page()
        for pane in ("translator", "summarizer", "recorder", "forecaster"):
            page.goto(f"{address}#{pane}")
            page.reload()
            page.locator(f"#{pane}").wait_for()
            if pane == "forecaster":
                page.get_by_label("Table").fill(TABLE.replace("south, west", "a name that is far longer than the screen is wide"))
                page.get_by_role("button", name="Forecast").click()
                page.get_by_role("slider").wait_for()
            assert page.evaluate("() => document.documentElement.scrollWidth") == 360, pane
        assert page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor") == "rgb(18, 21, 23)"
        context.close()
