"""Operations on tensors and models that may be sharded (`sharding.py`).

Unusual here: torch's own parts for it are imported where there are shards, and nowhere else, since that takes more than a second.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


def full(tensor: Tensor) -> Tensor:
    """A whole tensor, without shards. All processes must call it together."""
    shard: Any = tensor
    return shard.full_tensor() if _is_shard(tensor) else tensor


def local(tensor: Tensor) -> Tensor:
    """This process's shard of a tensor; the tensor itself if it is not sharded. It shares memory."""
    shard: Any = tensor
    return shard.to_local() if _is_shard(tensor) else tensor


def _is_shard(tensor: Tensor) -> bool:
    return hasattr(tensor, "full_tensor")


def is_sharded(model: nn.Module) -> bool:
    """Whether the weights of a model are sharded."""
    return any(map(_is_shard, model.parameters()))


def load_whole(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load whole tensors, which every process has, into a model that may be sharded; tensors that are not named stay the same."""
    if not is_sharded(model):
        model.load_state_dict(weights, strict=False)
        return
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

    set_model_state_dict(model, dict(weights), options=StateDictOptions(full_state_dict=True, strict=False))


def sharded_like(parameter: Tensor, tensor: Tensor) -> Tensor:
    """A whole tensor, which every process has, sharded like a parameter of its shape; unchanged if that is not sharded."""
    if not _is_shard(parameter) or tensor.shape != parameter.shape:
        return tensor
    from torch.distributed.tensor import distribute_tensor

    shard: Any = parameter
    return distribute_tensor(tensor.to(shard.device), shard.device_mesh, shard.placements, src_data_rank=None)


@contextmanager
def gathered(root: nn.Module) -> Iterator[None]:
    """A context in which every process has all weights, as for decoding, where the number of steps differs between processes."""
    if not is_sharded(root):
        yield
        return
    from torch.distributed.fsdp import FSDPModule

    assert isinstance(root, FSDPModule), "what is called for each batch"
    root._get_fsdp_state()._lazy_init()  # a layer that is called before the root has been would take itself for the root
    parts = [module for module in root.modules() if isinstance(module, FSDPModule)]
    for part in parts:
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()
    try:
        yield
    finally:
        for part in parts:
            part.set_reshard_after_forward(part is not root, recurse=False)
        # Not only are weights let go: which layers were called is forgotten, too, which decides what is exchanged next.
        root.reset_iter_state()
