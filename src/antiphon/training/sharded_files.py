"""Files of sharded tensors: every process writes its own shards, and any number of processes can read them.

They are what torch's distributed checkpoints are in the format of safetensors: no code runs when they are read.
"""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors import SafetensorError
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from antiphon.errors import CheckpointError


def write_shards(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors, which may be sharded. All processes call it, with the same folder and names."""
    save(dict(tensors), storage_writer=HuggingFaceStorageWriter(str(folder), save_distributed=True))


def read_shards(folder: Path, place: Callable[[str, torch.Size], Tensor]) -> dict[str, Tensor]:
    """Read tensors into those that `place` creates for a name and a size, which may be sharded differently.

    All processes call it. Raises CheckpointError when the files are incomplete.
    """
    reader = HuggingFaceStorageReader(str(folder))
    try:
        known = reader.read_metadata().state_dict_metadata
        tensors = {name: place(name, one.size) for name, one in known.items() if isinstance(one, TensorStorageMetadata)}
        with warnings.catch_warnings():  # that a process stands alone is no surprise
            warnings.filterwarnings("ignore", message="torch.distributed is disabled", category=UserWarning)
            load(tensors, storage_reader=reader, no_dist=not dist.is_initialized())
    except (CheckpointException, OSError, SafetensorError) as error:
        raise CheckpointError(f"The training state in {folder} cannot be read: {error}. Use another checkpoint of the run.") from error
    return tensors
