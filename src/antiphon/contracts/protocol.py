"""What a file in `protocols/` defines as `plugin`: the routes by which one kind of client sends requests to the service."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ProtocolPlugin:
    """A protocol. `routes(service)` makes a FastAPI router that answers its requests; paths of protocols must not clash. One that is not
    HTTP has `listen(service, host, port)` instead, which gives an `asyncio.Server`.

    Requests for paths in `own_keys` have their key in the body, so that the protocol checks it (`service.check_key`). `tells` has for
    paths how what is refused before they are reached (a wrong key, a body that is too long) is told: a `serving.answering.Tell`.
    """

    name: str
    summary: str
    routes: Callable[[Any], Any] | None = None
    own_keys: tuple[str, ...] = ()
    tells: Mapping[str, Callable[[Any], tuple[int, dict[str, Any]]]] = field(default_factory=dict)
    listen: Callable[[Any, str, int], Awaitable[Any]] | None = None
