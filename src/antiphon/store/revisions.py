"""Checkpoints of an architecture's earlier revisions, read as of today's."""

from typing import Any

from torch import Tensor

from antiphon.contracts import registry
from antiphon.contracts.trust import Trust
from antiphon.errors import CheckpointError
from antiphon.store.checkpoint import Checkpoint


def upgraded(saved: Checkpoint, trust: Trust) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A checkpoint's tensors and the model's settings, as its architecture is today.

    Raises CheckpointError for a revision that is newer than this version, or that it can no longer upgrade; ConfigError for an
    architecture from outside that is not trusted.
    """
    name = saved.header["model"]["name"]
    plugin = registry.admit("models", name, trusted=trust.allows(name))
    weights, settings, revision = saved.weights(), saved.header["recipe"]["model"], saved.header["model"]["revision"]
    if revision == plugin.revision:
        return weights, settings
    found = f"{saved.folder} holds revision {revision} of `{plugin.name}`"
    if revision > plugin.revision:
        raise CheckpointError(f"{found}, but this version knows up to {plugin.revision}. Install a newer antiphon.")
    if plugin.upgrade is None:
        raise CheckpointError(f"{found}, which can no longer be upgraded to {plugin.revision}.")
    newer: tuple[dict[str, Tensor], dict[str, Any]] = plugin.upgrade(revision, weights, settings)
    return newer
