"""Upgrades checkpoints from earlier revisions of their architecture."""

from typing import Any

from torch import Tensor

from antiphon.contracts import registry
from antiphon.contracts.trust import Trust
from antiphon.errors import CheckpointError
from antiphon.store.checkpoint import Checkpoint


def upgraded(saved: Checkpoint, trust: Trust) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A checkpoint's tensors and the model's settings, upgraded to the current revision of its architecture.

    Raises CheckpointError for a revision that is newer than this version, or that it can no longer upgrade, and for an exported folder,
    which has no tensors; ConfigError for an architecture from outside that is not trusted.
    """
    return _as_today(saved, trust, saved.weights())


def _as_today(saved: Checkpoint, trust: Trust, weights: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    plugin, revision = _architecture(saved, trust)
    settings = saved.header["recipe"]["model"]
    if revision == plugin.revision:
        return weights, settings
    found = f"{saved.folder} holds revision {revision} of `{plugin.name}`"
    if revision > plugin.revision:
        raise CheckpointError(f"{found}, but this version knows up to {plugin.revision}. Install a newer antiphon.")
    if plugin.upgrade is None:
        raise CheckpointError(f"{found}, which can no longer be upgraded to {plugin.revision}.")
    newer: tuple[dict[str, Tensor], dict[str, Any]] = plugin.upgrade(revision, weights, settings)
    return newer


def upgraded_settings(saved: Checkpoint, trust: Trust) -> dict[str, Any]:
    """The model's upgraded settings alone; the weights are read only if an earlier revision is upgraded."""
    plugin, revision = _architecture(saved, trust)
    if revision == plugin.revision:
        settings: dict[str, Any] = saved.header["recipe"]["model"]
        return settings
    return _as_today(saved, trust, {} if "engine" in saved.header else saved.weights())[1]


def _architecture(saved: Checkpoint, trust: Trust) -> tuple[Any, int]:
    """The plug-in of a checkpoint's model, and the revision that the checkpoint has."""
    name = saved.header["model"]["name"]
    return registry.admit("models", name, trusted=trust.allows(name)), saved.header["model"]["revision"]
