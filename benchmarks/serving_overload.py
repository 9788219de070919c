"""What a service does that is asked for ten times more than it can, and how it ends and begins anew under load.

    python benchmarks/serving_overload.py EXPORTED texts.txt --seconds 60

Clients without patience ask `antiphon serve`, ten times as many as its queue and its batches hold; who is refused comes back after a
moment. Every answer must be a result or a refusal (429, 503) with `Retry-After`, none may come later than the limit of time, and the
memory of all processes, and the latency of a client alone, must be behind it what they were before. Then 300 and
1,000 requests are sent at once, and SIGHUP and SIGTERM behind them: all must be answered. Everything stays on loopback.
"""

import argparse
import asyncio
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import http_load
from serving import Service, ours, resident
from turns import machine


def overloaded(service: Service, texts: Path, clients: int, seconds: float, limit: float) -> bool:
    """Ask too much: says what came, returns whether it was as it should be."""
    before = service.load(texts, 1, "--count=20")["p50"]
    service.load(texts, clients, "--duration=5", "--pause=0.2")  # memory grows once, with connections
    memory = resident(service.process.pid)
    found = service.load(texts, clients, f"--duration={seconds}", "--pause=0.2")
    after, grown = service.load(texts, 1, "--count=20")["p50"], resident(service.process.pid) - memory
    answered, asked = found["statuses"].get("200", 0), sum(found["statuses"].values())
    print(
        f"{asked} requests in {found['wall']:.0f} s, {asked / max(1, answered):.1f} times what was answered: statuses {found['statuses']}"
    )
    print(
        f"refusals without Retry-After {found['without_retry_after']}; the latest answer after {found['worst']:.1f} s (limit {limit:.0f})"
    )
    print(f"memory {memory:.0f} MB before, {grown:+.0f} MB; a client alone {1000 * before:.0f} ms before, {1000 * after:.0f} ms behind it")
    return set(found["statuses"]) <= {"200", "429", "503"} and found["worst"] <= limit + 1 and not found["without_retry_after"]


async def signalled(service: Service, texts: list[str], count: int, number: signal.Signals) -> Counter[int]:
    """Send `count` requests at once, and a signal when the first ones are answered: how many answers had which status."""
    task = asyncio.create_task(http_load.load(service.port, "/translate", texts, count, count=count))
    await asyncio.sleep(0)
    until = time.monotonic() + 300
    while not task.done() and await _seen(service.port) < count and time.monotonic() < until:
        await asyncio.sleep(0.05)
    service.process.send_signal(number)
    found, _ = await task
    return found.statuses


async def _seen(port: int) -> int:
    """How many requests for translations the service has read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
    lines = (await reader.read()).decode().splitlines()
    writer.close()
    counted = (line for line in lines if line.startswith(("antiphon_requests_in_progress ", 'antiphon_requests_total{route="/translate"')))
    return sum(int(float(line.rpartition(" ")[2])) for line in counted) - 1  # one is this


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exported", type=Path)
    parser.add_argument("texts", type=Path, help="a sentence a line")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--timeout", type=float, default=30.0, help="the limit of time of a request")
    parser.add_argument("--beam", type=int, default=4)
    settings = parser.parse_args()
    print(machine())
    texts, batch = settings.texts.read_text(encoding="utf-8").splitlines(), 16
    limited = ("--timeout", str(settings.timeout), "--queue", str(batch), "--batch-size", str(batch))
    with ours(settings.exported, settings.beam, *limited) as service:
        good = overloaded(service, settings.texts, 20 * batch, settings.seconds, settings.timeout)
    with ours(settings.exported, settings.beam, "--queue", "2000", "--timeout", "600") as service:
        for number, count in ((signal.SIGHUP, 300), (signal.SIGTERM, 1000)):
            found = asyncio.run(signalled(service, texts, count, number))
            print(f"{number.name} behind {count} requests: {dict(found)}")
            good &= found == {200: count}
        service.process.wait(60)
    if not good:
        raise SystemExit("Not all was as it should be.")
    print("all was as it should be", file=sys.stderr)


if __name__ == "__main__":
    main()
