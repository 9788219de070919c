"""Real workers behind the page: tiny runs, in processes of their own."""

from pathlib import Path
from typing import Any

import pytest

from antiphon.serving.pool import WorkerProcess
from tests.browser.conftest import Serve
from tests.browser.test_texts_on_the_page import says

pytestmark = pytest.mark.slow

RUNS = Path(__file__).parents[1] / "checkpoints"


def test_a_translation_and_a_forecast(page: Any, serve: Serve) -> None:
    runs = {"en-de": str(RUNS / "translation"), "numbers": str(RUNS / "forecasting")}
    with serve(make=WorkerProcess, runs=runs) as address:
        page.goto(address)
        page.get_by_label("English", exact=True).fill("abcd abc")
        says(page, "#translator-status", "1 sentence translated.")
        assert page.get_by_label("German", exact=True).input_value()
        page.get_by_label("German", exact=True).press("Home")
        says(page, "#translator-links", "–")
        assert page.locator("#translator-others-list li").count() > 1
        page.get_by_role("tab", name="Forecast").click()
        head = (page.get_by_label("Table").get_attribute("placeholder") or "").splitlines()[0]
        rows = [[{"unique_id": "a", "ds": str(day)}.get(name, f"{10 + day % 7}") for name in head.split(",")] for day in range(60)]
        page.get_by_label("Table").fill("\n".join([head, *(",".join(row) for row in rows)]))
        page.get_by_role("button", name="Forecast").click()
        page.get_by_role("slider").wait_for()
        assert page.locator("#forecaster-rows tr").count() > 0
        assert page.locator("svg polyline.future").count() == 1
