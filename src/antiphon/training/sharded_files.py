"""Tensors in shards as files: every process writes its own, and any number of processes reads them again.

They are what torch's distributed checkpoints are in the format of safetensors: no code runs when they are read.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from safetensors import SafetensorError
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from antiphon.errors import CheckpointError


def write_shards(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors, which may be sharded. All processes call it, for the same folder, with the same names."""
    dcp.save(dict(tensors), storage_writer=dcp.HuggingFaceStorageWriter(str(folder), save_distributed=True))


def read_shards(folder: Path, place: Callable[[str, torch.Size], Tensor]) -> dict[str, Tensor]:
    """Read tensors into the places that `place` makes for a name and a size, which may be sharded otherwise than what was written.

    All processes call it. Raises CheckpointError when the files are incomplete.
    """
    reader = dcp.HuggingFaceStorageReader(str(folder))
    try:
        known = reader.read_metadata().state_dict_metadata
        tensors = {name: place(name, one.size) for name, one in known.items() if isinstance(one, TensorStorageMetadata)}
        dcp.load(tensors, storage_reader=reader, no_dist=not dist.is_initialized())
    except (CheckpointException, OSError, SafetensorError) as error:
        raise CheckpointError(f"The training state in {folder} cannot be read: {error}. Use another checkpoint of the run.") from error
    return tensors
