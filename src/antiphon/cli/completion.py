"""What a shell offers for arguments that are names of plug-ins. It answers while somebody waits, so none of it loads a plug-in."""


def kinds(incomplete: str) -> list[str]:
    """The kinds of plug-in that begin so."""
    from antiphon.contracts import registry

    return [kind for kind in registry.KINDS if kind.startswith(incomplete)]


def tasks(incomplete: str) -> list[str]:
    """The tasks that begin so."""
    return _named("tasks", incomplete)


def exporters(incomplete: str) -> list[str]:
    """The formats to export to that begin so."""
    return _named("exporters", incomplete)


def importers(incomplete: str) -> list[str]:
    """The formats to import from that begin so."""
    return _named("importers", incomplete)


def _named(kind: str, incomplete: str) -> list[str]:
    from antiphon.contracts import registry

    return [name for name in registry.names(kind) if name.startswith(incomplete)]
