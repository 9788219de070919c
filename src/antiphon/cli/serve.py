"""antiphon serve: runs and exported folders over HTTP."""

import os
from typing import Annotated

import typer

from antiphon.cli.options import Set, TrustCode
from antiphon.errors import ConfigError


def serve(
    run: Annotated[
        list[str],
        typer.Argument(
            help="Runs or exported folders. Each is a model named after its folder; NAME=RUN gives it another name.", show_default=False
        ),
    ],
    host: Annotated[str, typer.Option(help="The address to listen at; 0.0.0.0 is reached from other machines, too.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen at.", min=0, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="Processes for each model.", min=1)] = 1,
    threads: Annotated[int, typer.Option(help="Threads that a worker computes with.", min=1)] = 1,
    batch_size: Annotated[int, typer.Option(help="The most records that a worker predicts together.", min=1)] = 64,
    batch_elements: Annotated[
        int, typer.Option(help="The most characters (10 ms of sound, rows) that it predicts together, with padding.", min=1)
    ] = 16384,
    wait: Annotated[float, typer.Option(help="Milliseconds that a free worker waits for more records.", min=0)] = 2.0,
    queue: Annotated[int, typer.Option(help="The most records that may wait for a model.", min=1)] = 1000,
    timeout: Annotated[float, typer.Option(help="Seconds after which a request is abandoned.", min=0.001)] = 60.0,
    max_records: Annotated[int, typer.Option(help="The most records, or series, of one request.", min=1)] = 500,
    max_body: Annotated[int, typer.Option(help="The most bytes of one request.", min=1)] = 32 * 2**20,
    max_seconds: Annotated[float, typer.Option(help="The most seconds of a recording.", min=0.001)] = 7200.0,
    max_sessions: Annotated[int, typer.Option(help="The most clients that may speak to a model at the same time.", min=1)] = 32,
    idle: Annotated[
        float, typer.Option(help="Seconds without sound after which a client that streams speech is taken to have gone.", min=0.001)
    ] = 30.0,
    max_beam: Annotated[int, typer.Option(help="The widest beam that a request may ask for.", min=1)] = 16,
    api_key: Annotated[
        str | None,
        typer.Option(
            help="The key that requests must send. Safer in the environment, where other users of the machine do not see it.",
            envvar="ANTIPHON_API_KEY",
        ),
    ] = None,
    listen: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PROTOCOL=HOST:PORT", help="Speak a protocol that is not HTTP, such as wyoming=127.0.0.1:10300; may be repeated."
        ),
    ] = None,
    log_requests: Annotated[bool, typer.Option(help="Log each request, without its text.")] = False,
    root_path: Annotated[str, typer.Option(help="The path under which a proxy passes requests on.")] = "",
    settings: Set = None,
    trust_code: TrustCode = False,
) -> None:
    """Serve runs over HTTP until Ctrl-C or SIGTERM, which finish accepted requests first. SIGHUP reloads the runs.

    Example: antiphon serve runs/german --port 8080
    """
    from antiphon.serving.pool import Served
    from antiphon.serving.server import run_server
    from antiphon.serving.settings import ServeConfig

    served = [Served(_name(one), (_path(one),), tuple(settings or ()), trust_code) for one in run]
    config = ServeConfig(
        workers=workers, threads=threads, batch_size=batch_size, batch_elements=batch_elements, wait=wait, queue=queue, timeout=timeout,
        max_records=max_records, max_body=max_body, max_seconds=max_seconds, max_sessions=max_sessions,
        idle=idle, max_beam=max_beam, log_requests=log_requests, api_key=api_key,
    )  # fmt: skip
    run_server(served, config, host=host, port=port, root_path=root_path, listen=[_address(one) for one in listen or ()])


def _address(given: str) -> tuple[str, str, int]:
    """A protocol, a host and a port."""
    protocol, _, address = given.partition("=")
    host, _, port = address.rpartition(":")
    if not (protocol and host and port.isdecimal() and int(port) < 2**16):
        raise ConfigError(f"`--listen` must be PROTOCOL=HOST:PORT, such as wyoming=127.0.0.1:10300, but is {given!r}.")
    return protocol, host.strip("[]"), int(port)


def _path(run: str) -> str:
    """The folder of a run that may have a name before it."""
    name, sign, path = run.partition("=")
    return path if sign and "/" not in name and not os.path.exists(run) else run


def _name(run: str) -> str:
    """The name before a run, or that of its folder."""
    path = _path(run)
    return run.partition("=")[0] if path != run else os.path.basename(os.path.abspath(path))
