"""antiphon list: what there is to choose from."""

from typing import Annotated

import typer

from antiphon.cli.completion import kinds
from antiphon.cli.options import AsJson
from antiphon.store.json_text import json_text


def list_plugins(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="models, tasks, search, metrics, losses, heads, baselines, engines, exporters, importers, protocols, readers or trackers.",
            show_default=False,
            autocompletion=kinds,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the plug-ins of a kind, a line each; without a kind, all kinds and their plug-ins.

    Example: antiphon list models
    """
    from antiphon.contracts import registry
    from antiphon.errors import ConfigError, nearest

    if kind is None:
        _print({name: ", ".join(registry.names(name)) for name in registry.KINDS}, as_json=as_json)
        return
    if kind not in registry.KINDS:
        raise ConfigError(f"There is no kind `{kind}`; there are: {', '.join(registry.KINDS)}.{nearest(kind, registry.KINDS)}")
    _print({name: registry.find(kind, name).summary for name in registry.names(kind)}, as_json=as_json)


def _print(found: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        print(json_text(found, indent=1))
        return
    width = max(map(len, found), default=0)
    for name, summary in found.items():
        print(f"{name:<{width}}  {summary}")
