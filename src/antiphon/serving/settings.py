"""How a service behaves: who may ask, for how much, and how long it may take."""

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
    """Threads that a worker computes with."""
    batch_size: Count = 64
    """The most records that a worker predicts together."""
    batch_elements: Count = 16384
    """The most elements that a worker predicts together, all records padded to the longest: characters of texts, 10 ms of sound (320
    bytes), rows of a table. A record that has more is predicted alone."""
    wait: Annotated[float, Field(ge=0, lt=1000)] = 2.0
    """Milliseconds for which a worker that is free waits for more records while several clients ask at once, so that they share a batch."""
    queue: Count = 1000
    """The most records that may wait for a model; what comes then is refused with status 429."""
    timeout: Seconds = 60.0
    """Seconds after which a request is given up with status 503, in the queue or at work."""
    max_records: Count = 500
    """The most records of one request; of rows of series, the most series."""
    max_body: Count = 32 * 2**20
    """The most bytes of one request."""
    max_seconds: Seconds = 7200.0
    """The most seconds of a recording."""
    max_sessions: Count = 32
    """The most clients that may speak to a model at the same time; one more is refused with status 429."""
    idle: Seconds = 30.0
    """Seconds without a word from a client who speaks, after which his session ends."""
    max_beam: Count = 16
    """The widest beam, and the most alternatives, that a request may ask for."""
    log_requests: bool = False
    """Whether each request is a line of the log: its number, route, status and seconds."""
    api_key: str | None = None
    """The key that requests must have; without one anybody may ask who reaches the service."""
