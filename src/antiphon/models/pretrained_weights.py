"""The published weights from which a run starts, or on which an adapter is based: finds them, checks that they are unchanged, and loads
them.

A fine-tuned model needs them once. An adapter needs them whenever it is used, so its run remembers which they were: the folder or name,
the hub's revision, and the sha256 of the files of weights. Whatever lies elsewhere under the same name is refused.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from antiphon.contracts.configuration import config
from antiphon.errors import CheckpointError, ConfigError
from antiphon.features.published import published_folder, without_progress


@config
class BaseConfig:
    """The weights that an adapter was trained on."""

    sha256: str
    """Hash of the files of weights."""
    revision: str | None = None
    """Commit on the hub, if they come from there."""


def identity(folder: Path) -> BaseConfig:
    """The hash that identifies the weights in a folder. Raises ConfigError when there are none as safetensors."""
    combined = hashlib.sha256()
    for path in weight_files(folder, str(folder)):
        with open(path, "rb") as file:
            combined.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    revision = folder.name if folder.parent.name == "snapshots" else None  # as the hub's cache lays them out
    return BaseConfig(sha256=combined.hexdigest(), revision=revision)


def same_base(name: str, base: BaseConfig) -> Path:
    """The folder of the weights that an adapter was trained on. Raises CheckpointError when they are gone, or have changed."""
    remedy = "Put it back, or say where it is: `--set model.path=FOLDER`."
    try:
        folder = published_folder(name, revision=base.revision)
        found = identity(folder)
    except ConfigError as error:
        raise CheckpointError(f"This run is an adapter, and its base, {name}, is missing. {remedy} ({error})") from error
    if found.sha256 != base.sha256:
        raise CheckpointError(
            f"This run is an adapter, and its base, {name}, has changed: the weights there have the hash {found.sha256[:12]}, but those"
            f" that it was trained on {base.sha256[:12]}. {remedy}"
        )
    return folder


def published_class(family: str) -> Any:
    """The class of transformers that implements the models of a family."""
    import transformers

    return transformers.AutoModelForSpeechSeq2Seq if family == "whisper" else transformers.AutoModelForSeq2SeqLM


def published_weights(folder: Path, name: str, family: str, *, trust_remote_code: bool) -> tuple[dict[str, torch.Tensor], Sequence[str]]:
    """All weights of a checkpoint, and the names of those that it lacks, which stay random."""
    weight_files(folder, name)
    with without_progress():  # an adapter's base is read whenever it is used
        loaded, about = published_class(family).from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=trust_remote_code,
            dtype=torch.float32,
            output_loading_info=True,
        )
    weights: dict[str, Any] = loaded.state_dict()
    return weights, sorted(about["missing_keys"])


def weight_files(folder: Path, name: str) -> list[Path]:
    """The files of weights in a folder; `name` identifies it in errors. Raises ConfigError when there are none as safetensors."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        pickled = any(folder.glob("*.bin"))
        remedy = " Convert them where you trust their source: load them with transformers, and `save_pretrained` them." if pickled else ""
        found = "has pickled weights only, which can run any code when they are read" if pickled else "has none"
        raise ConfigError(f"`model.path` must hold weights as safetensors, but {name} {found}.{remedy}")
    return files
