"""Settings of a service: who may send requests, how large they may be, and how long they may take."""

from typing import Annotated

from pydantic import Field

from antiphon.contracts.configuration import Count, config

Seconds = Annotated[float, Field(gt=0, lt=1e6)]


@config
class ServeConfig:
    """The settings of a service; `antiphon serve` has an option for each."""

    workers: Count = 1
    """Processes for each model."""
    threads: Count = 1
    """Threads that each worker computes with."""
    batch_size: Count = 64
    """The most records that a worker predicts in one batch."""
    batch_elements: Count = 16384
    """The most elements of one batch, all records padded to the longest: characters of texts, 10 ms of sound (320 bytes), rows of a table.
    A record that has more is predicted alone."""
    wait: Annotated[float, Field(ge=0, lt=1000)] = 2.0
    """Milliseconds for which an idle worker waits for more records while several clients send requests, so that these share a batch."""
    queue: Count = 1000
    """The most records that may wait for a model; further ones are refused with status 429."""
    timeout: Seconds = 60.0
    """Seconds after which a request is given up with status 503, in the queue or while it is computed."""
    max_records: Count = 500
    """The most records in one request; where records are rows of series, the most series."""
    max_body: Count = 32 * 2**20
    """The most bytes in the body of one request."""
    max_seconds: Seconds = 7200.0
    """The longest recording, in seconds."""
    max_sessions: Count = 32
    """The most live speech sessions of a model at the same time; one more is refused with status 429."""
    idle: Seconds = 30.0
    """Seconds without a message from a live speech client after which its session ends."""
    max_beam: Count = 16
    """The widest beam, and the most alternatives, that a request may set."""
    log_requests: bool = False
    """Whether each request is logged: its number, route, status and seconds."""
    api_key: str | None = None
    """The API key that requests must have; without one, anybody who reaches the service may use it."""
