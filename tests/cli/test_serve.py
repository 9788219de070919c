"""`antiphon serve` answers as `predict` does, lets what was accepted end, and replaces a worker that was killed."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

import antiphon
from tests.cli.conftest import Command

WAIT = 240  # seconds, on a machine that has much else to do
WORDS = ["abc" * (number % 5 + 1) + str(number) for number in range(20)]  # of several lengths


@pytest.fixture
def service(trained: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The address of a service, and its process."""
    command = [sys.executable, "-m", "antiphon", "serve", f"toy={trained}", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            found = re.search(r"Serving toy at (http://\S+)", process.stderr.readline())
            assert found
            yield found.group(1), process
        finally:
            process.kill()


def asked(address: str, texts: list[str]) -> list[str]:
    answer = httpx.post(f"{address}/v1/predict", json={"inputs": texts}, timeout=WAIT)
    assert answer.status_code == 200, answer.text
    return [one["prediction"] for one in answer.json()["predictions"]]


def _brief(prediction: dict[str, Any]) -> dict[str, Any]:
    kept = {key: prediction[key] for key in ("prediction", "score")}
    return {**kept, "alternatives": [_brief(one) for one in prediction["alternatives"]]} if "alternatives" in prediction else kept


def workers(process: "subprocess.Popen[str]") -> list[int]:
    """The processes that hold a model."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in children if "antiphon.serving.worker" in Path(f"/proc/{pid}/cmdline").read_text()]


def test_a_service_from_its_beginning_to_its_end(service: tuple[str, "subprocess.Popen[str]"], trained: Path) -> None:
    address, process = service
    expected = [one.text for one in antiphon.load(trained, device="cpu").predict(WORDS)]
    assert asked(address, WORDS) == expected

    with ThreadPoolExecutor(8) as threads:
        assert [one for found in threads.map(lambda word: asked(address, [word]), WORDS) for one in found] == expected, "alone or together"

    body = {"inputs": WORDS[:3], "brief": True, "search": {"beam_size": 3, "n_best": 2}}
    brief = httpx.post(f"{address}/v1/predict", json=body, timeout=WAIT).json()["predictions"]
    whole = httpx.post(f"{address}/v1/predict", json={**body, "brief": False}, timeout=WAIT).json()["predictions"]
    assert brief == [_brief(one) for one in whole]

    old = workers(process)
    os.kill(old[0], signal.SIGKILL)
    assert asked(address, WORDS) == expected
    until = time.monotonic() + WAIT
    while workers(process) == old and time.monotonic() < until:
        time.sleep(0.1)

    process.send_signal(signal.SIGHUP)
    assert asked(address, WORDS) == expected

    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(asked, address, [word]) for word in WORDS]
        waiting[0].result()
        process.send_signal(signal.SIGTERM)
        answers = [future.exception() or future.result() for future in waiting]
    refused = [one for one in answers if isinstance(one, Exception)]
    assert all(isinstance(one, httpx.ConnectError | httpx.RemoteProtocolError | httpx.ReadError) for one in refused), "not let in any more"
    assert [one for one, text in zip(answers, expected, strict=True) if one in refused or one == [text]] == answers
    assert process.wait(WAIT) in (0, 143, -signal.SIGTERM)


def test_what_cannot_be_served_is_one_sentence(antiphon: Command, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for arguments, message in (
            (["nowhere"], "There is no run or checkpoint nowhere"),
            (["nowhere", "--port", port], f"The service cannot listen at 127.0.0.1:{port}: Address already in use"),
            (["a=x", "a=y"], "Two models are called `a`"),
            (["nowhere", "--listen", "wyomin=127.0.0.1:1"], "Did you mean `wyoming`?"),  # before anything is loaded
            (["nowhere", "--listen", "deepl=127.0.0.1:1"], "deepl is spoken at `--port`"),
        ):
            result = antiphon("serve", "--port", 0, *arguments)
            assert result.status == 1
            assert message in result.err
            assert len(result.err.strip().splitlines()) == 1
