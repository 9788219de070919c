"""Clients of a service that say one text after another, each over a connection of its own that stays open: what they got, as JSON.

    python benchmarks/http_load.py --port 8000 --path /translate --texts texts.txt --clients 32 --count 640

Needs nothing but the standard library. Requests and answers are bytes that are looked at as little as possible, since whoever measures on
two cores must not be what is measured. What is sent goes to loopback only.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Found:
    """What clients got: how many answers of each status (0: the connection ended before one), seconds to each, and what was said."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    said: dict[int, bytes] = field(default_factory=dict)
    unready: int = 0  # refusals without `Retry-After`

    def plain(self, wall: float) -> dict[str, Any]:
        """As JSON, without what was said."""
        ordered = sorted(self.seconds) or [0.0]
        return {
            "wall": wall,
            "cpu": time.process_time(),
            "statuses": dict(self.statuses),
            "p50": statistics.median(ordered),
            "p95": ordered[int(0.95 * (len(ordered) - 1))],
            "worst": ordered[-1],
            "without_retry_after": self.unready,
        }


def body_of(path: str, text: str) -> bytes:
    """The body of a request for a text, as the protocol behind a path wants it."""
    if path == "/v1/predict":
        return json.dumps({"inputs": [text]}).encode()
    return json.dumps({"q": text, "source": "en", "target": "de"}).encode()


def request_of(path: str, body: bytes) -> bytes:
    """All bytes of a request."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    """Status, head and body of an answer, which has its length or comes in chunks. Raises EOFError when it ends before its time."""
    head = await reader.readuntil(b"\r\n\r\n")
    status, lower = int(head[9:12]), head.lower()
    at = lower.find(b"content-length:")
    if at >= 0:
        return status, lower, await reader.readexactly(int(lower[at + 15 : lower.index(b"\r\n", at)]))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return status, lower, body


async def client(port: int, requests: Sequence[bytes], numbers: Any, found: Found, until: float, pause: float) -> None:
    """One client: takes the next of `numbers`, asks, waits; a refusal lets it wait for `pause` seconds."""
    reader, writer = None, None
    for number in numbers:
        if time.monotonic() > until:
            break
        began, status = time.perf_counter(), 0
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(requests[number % len(requests)])
            assert reader is not None
            status, head, body = await answer_of(reader)
            found.said[number] = body
            found.unready += status in (429, 503) and b"retry-after" not in head
        except (OSError, EOFError):
            if writer is not None:
                writer.close()
            reader, writer = None, None
        found.statuses[status] += 1
        found.seconds.append(time.perf_counter() - began)
        if status != 200 and pause:
            await asyncio.sleep(pause)
    if writer is not None:
        writer.close()


async def load(
    port: int, path: str, texts: Sequence[str], clients: int, *, count: int | None = None, duration: float = 3600.0, pause: float = 0.0
) -> tuple[Found, float]:
    """So many clients who together ask `count` times, or for `duration` seconds: what they got, and how many seconds it took."""
    requests = [request_of(path, body_of(path, text)) for text in texts]
    found, numbers = Found(), iter(range(count if count is not None else sys.maxsize))
    began, until = time.perf_counter(), time.monotonic() + duration
    await asyncio.gather(*(client(port, requests, numbers, found, until, pause) for _ in range(clients)))
    return found, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/translate")
    parser.add_argument("--texts", type=Path, required=True, help="a text a line")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--count", type=int, default=None, help="requests of all clients together")
    parser.add_argument("--duration", type=float, default=600.0, help="seconds after which nobody asks any more")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds that a client waits who was refused")
    settings = parser.parse_args()
    os.environ.pop("PYTHONASYNCIODEBUG", None)
    texts = settings.texts.read_text(encoding="utf-8").splitlines()
    found, wall = asyncio.run(
        load(settings.port, settings.path, texts, settings.clients, count=settings.count, duration=settings.duration, pause=settings.pause)
    )
    print(json.dumps(found.plain(wall)))


if __name__ == "__main__":
    main()
