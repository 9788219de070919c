"""The log of a service is lines of JSON in which no text of a user stands."""

import asyncio
import json
import logging

import httpx
import pytest

from antiphon.serving.log import log_as_json, say
from tests.unit.serving.asking import run

SECRET = "geheimer Text"


def test_an_event_is_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    say("worker_died", "A worker has died.\nÜ", level="warning", more={"model": "de"})
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert told.pop("time").endswith("Z")
    assert told == {"level": "warning", "event": "worker_died", "model": "de", "message": "A worker has died.\nÜ"}


def test_an_exception_is_told_by_type_and_place(capsys: pytest.CaptureFixture[str]) -> None:
    log_as_json("antiphon.test")
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger("antiphon.test.below").exception("It failed.\n%s", SECRET)
    written = capsys.readouterr().err
    told = json.loads(written)
    assert (told["level"], told["exception"], told["message"]) == ("error", "ValueError", "It failed.")
    assert told["at"][-1].startswith(__file__)
    assert SECRET not in written


def test_requests_are_logged_by_route_with_the_number_that_clients_see(capsys: pytest.CaptureFixture[str]) -> None:
    async def body(client: httpx.AsyncClient) -> None:
        found = await asyncio.gather(
            client.post("/v1/predict", json={"inputs": [SECRET]}), client.get(f"/{SECRET}"), client.get("/v2/glossaries/mine")
        )
        told = {one["id"]: one for one in map(json.loads, capsys.readouterr().err.splitlines())}
        lines = [told[one.headers["x-request-id"]] for one in found]
        assert [(one["route"], one["method"], one["status"]) for one in lines] == [
            ("/v1/predict", "POST", 200),
            ("other", "GET", 404),
            ("/v2/glossaries/{name}", "GET", 404),
        ]
        assert not any(SECRET in str(one) for one in lines)

    run(body, log_requests=True)
