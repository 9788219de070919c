"""Checkpoints of an architecture's earlier revisions, read as of today's."""

from typing import Any

from torch import Tensor

from antiphon.contracts import registry
from antiphon.errors import CheckpointError
from antiphon.store.checkpoint import Checkpoint


def upgraded(saved: Checkpoint) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A checkpoint's tensors and the model's settings, as its architecture is today.

    Raises CheckpointError for a revision that is newer than this version, or that it can no longer upgrade.
    """
    plugin, revision = _architecture(saved)
    weights, settings = saved.weights(), saved.header["recipe"]["model"]
    if revision == plugin.revision:
        return weights, settings
    found = f"{saved.folder} holds revision {revision} of `{plugin.name}`"
    if revision > plugin.revision:
        raise CheckpointError(f"{found}, but this version knows up to {plugin.revision}. Install a newer antiphon.")
    if plugin.upgrade is None:
        raise CheckpointError(f"{found}, which can no longer be upgraded to {plugin.revision}.")
    newer: tuple[dict[str, Tensor], dict[str, Any]] = plugin.upgrade(revision, weights, settings)
    return newer


def upgraded_settings(saved: Checkpoint) -> dict[str, Any]:
    """The model's settings alone; the weights are read only where an earlier revision is upgraded."""
    plugin, revision = _architecture(saved)
    settings: dict[str, Any] = saved.header["recipe"]["model"] if revision == plugin.revision else upgraded(saved)[1]
    return settings


def _architecture(saved: Checkpoint) -> tuple[Any, int]:
    """The plug-in of a checkpoint's model, and the revision of the model that it holds."""
    return registry.find("models", saved.header["model"]["name"]), saved.header["model"]["revision"]
