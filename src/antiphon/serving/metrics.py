"""Counters of a service in Prometheus format: requests by status, batches, queue lengths, refusals, and workers that died."""

from collections import defaultdict
from typing import final

_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SMOOTH = 0.1  # how much the latest batch counts in what is expected of the next one


@final
class Metrics:
    """The counters of one application, in a registry of its own, so that several applications can share a process."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.registry = CollectorRegistry()
        self._requests = Counter("antiphon_requests", "Requests by route and status", ["route", "status"], registry=self.registry)
        self._open = Gauge("antiphon_requests_in_progress", "Requests that are not answered yet", registry=self.registry)
        self._latency = Histogram("antiphon_request_seconds", "Time to answer", ["route"], buckets=_SECONDS, registry=self.registry)
        self._sizes = Histogram("antiphon_batch_records", "Records of a batch", ["model"], buckets=_BATCHES, registry=self.registry)
        self._times = Histogram("antiphon_batch_seconds", "Time of a batch", ["model"], buckets=_SECONDS, registry=self.registry)
        self._waiting = Gauge("antiphon_waiting_requests", "What waits for a worker", ["model"], registry=self.registry)
        self._sessions = Gauge("antiphon_sessions", "Clients who speak", ["model"], registry=self.registry)
        self._refused = Counter("antiphon_refused", "What was refused, by reason", ["model", "reason"], registry=self.registry)
        self._died = Counter("antiphon_workers_died", "Workers that ended by themselves", ["model"], registry=self.registry)
        self._expected: defaultdict[str, float] = defaultdict(float)

    def begun(self) -> None:
        """Count a request that has arrived."""
        self._open.inc()

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered, or whose client has disconnected."""
        self._open.dec()
        self._requests.labels(route, str(status)).inc()
        self._latency.labels(route).observe(seconds)

    def batch(self, model: str, records: int, seconds: float) -> None:
        """Count a predicted batch."""
        self._sizes.labels(model).observe(records)
        self._times.labels(model).observe(seconds)
        known = self._expected[model]
        self._expected[model] = seconds if known == 0 else known + _SMOOTH * (seconds - known)

    def seconds_of(self, model: str) -> float:
        """An estimate of the seconds that a batch takes."""
        return self._expected[model]

    def waiting(self, model: str, count: int) -> None:
        """Set the number of records that wait."""
        self._waiting.labels(model).set(count)

    def sessions(self, model: str, count: int) -> None:
        """Set the number of open speech sessions."""
        self._sessions.labels(model).set(count)

    def refused(self, model: str, reason: str) -> None:
        """Count a refused request."""
        self._refused.labels(model, reason).inc()

    def died(self, model: str) -> None:
        """Count a worker that died."""
        self._died.labels(model).inc()

    def text(self) -> bytes:
        """All counters in Prometheus format."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry)
