"""Low-rank adapters on frozen weights, by peft: LoRA (Hu et al. 2021) and DoRA (Liu et al. 2024).

    W x  becomes  W x + alpha / rank * B A x        with A (rank, in), B (out, rank), B = 0 at first
    DoRA also learns the length of each row of W + alpha / rank * B A

Unusual here: peft puts its layers into the network and is done; the network stays what it was, without a wrapper around it. Which layers
adapt by default needs no table of families: the linear layers that are directly part of an attention. The base of a published model can
be replaced by 8-bit integers (Dettmers et al. 2022) once its weights are in place.
"""

import fnmatch
import logging
import re
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn

from antiphon.contracts.configuration import config
from antiphon.errors import ConfigError, MissingPackageError

_LEARNED = re.compile(r"\.(lora_A|lora_B|lora_magnitude_vector)\.")


@config
class AdapterConfig:
    """A few trainable parameters beside each layer, whose own weights stay frozen."""

    kind: Literal["lora", "dora"] = "lora"
    """LoRA, or DoRA, which also learns the magnitude of each row: a little better at small ranks, and slower."""
    rank: Annotated[int, Field(ge=1)] = 8
    """The rank of the update of a matrix."""
    alpha: Annotated[float, Field(gt=0)] = 16.0
    """The update is multiplied by `alpha / rank`."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout on the input of an adapter."""
    modules: tuple[str, ...] | None = None
    """Linear layers to adapt: patterns such as `*.q_proj`. None means every linear layer of an attention."""
    train: tuple[str, ...] = ()
    """Parameters of the frozen model that are trained as well: patterns such as `*norm*`."""
    base_precision: Literal["fp32", "8bit"] = "fp32"
    """How the frozen matrices are stored: unchanged, or as 8-bit integers (needs the extra `hf-8bit`)."""


def need_peft() -> None:
    """Raise MissingPackageError when the extra `hf` is not installed."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # which peft imports; it tells of every product that it rounds
    try:
        import peft  # noqa: F401
    except ImportError as error:
        raise MissingPackageError("An adapter", "peft", "hf") from error


def need_8bit() -> None:
    """Raise MissingPackageError when the extra `hf-8bit` is not installed."""
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise MissingPackageError("`model.adapter.base_precision: 8bit`", "bitsandbytes", "hf-8bit") from error


def adapt(model: nn.Module, settings: AdapterConfig, *, within: str = "", outputs: nn.Module | None = None) -> frozenset[str]:
    """Add adapters to a model, or to its part called `within`, and freeze all else.

    `outputs` is the output layer, which never adapts. Returns the entries of the model's state that learn, under all their names.

    Raises ConfigError when a pattern matches nothing that can adapt, or DoRA is to stand on 8-bit integers;
    MissingPackageError when an extra is not installed.
    """
    need_peft()
    if settings.base_precision == "8bit":
        need_8bit()
        if settings.kind == "dora":  # which measures rows at each step, and peft loses their scale on a CPU
            raise ConfigError("`model.adapter.kind` must be lora with `model.adapter.base_precision: 8bit`, but is dora.")
    from peft import LoraConfig, inject_adapter_in_model

    network = model.get_submodule(within)
    chosen = _chosen(network, settings.modules, f"{within}." if within else "", outputs)
    adapter = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        use_dora=settings.kind == "dora",
        target_modules="|".join(map(re.escape, chosen)),
    )
    inject_adapter_in_model(adapter, network)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(bool(_LEARNED.search(name)))
    for pattern in settings.train:
        matched = [parameter for name, parameter in model.named_parameters() if fnmatch.fnmatchcase(base_name(name), pattern)]
        if not matched:
            raise ConfigError(f"`model.adapter.train` must match parameters, but {pattern!r} matches none of: {_shown(model)}.")
        for parameter in matched:
            parameter.requires_grad_(True)
    learned = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    return frozenset(name for name, tensor in model.state_dict(keep_vars=True).items() if id(tensor) in learned)


def base_name(name: str) -> str:
    """The name in the checkpoint of a tensor that an adapter wraps."""
    return name.replace(".base_layer.", ".")


@torch.no_grad()
def follow_base(network: nn.Module) -> None:
    """Set DoRA's magnitudes to the norms of the base's rows; peft computed them before the weights were loaded."""
    for module in network.modules():
        for lengths in getattr(module, "lora_magnitude_vector", {}).values():
            lengths.weight.copy_(torch.linalg.vector_norm(module.base_layer.weight, dim=1))  # type: ignore[union-attr]


@torch.no_grad()
def keep_in_8bit(network: nn.Module, learned: frozenset[str]) -> None:
    """Replace the frozen linear layers by layers of 8-bit integers, except for the output layer, which may share its weights."""
    need_8bit()
    import bitsandbytes

    outputs: Any = network.get_output_embeddings()  # type: ignore[operator]
    for name, module in list(network.named_modules()):
        if type(module) is not nn.Linear or module is outputs or _LEARNED.search(f".{name}.") or f"network.{name}.weight" in learned:
            continue
        small = bitsandbytes.nn.Linear8bitLt(
            module.in_features, module.out_features, bias=module.bias is not None, has_fp16_weights=False, threshold=6.0
        )
        small.weight = bitsandbytes.nn.Int8Params(module.weight.detach().cpu(), requires_grad=False, has_fp16_weights=False)
        small.bias = module.bias
        network.set_submodule(name, small.to(module.weight.device))  # the move rounds


def merge(network: nn.Module) -> None:
    """Merge the adapters into the matrices that they belong to, and remove them. Needs a base in fp32."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(network.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            network.set_submodule(name, module.get_base_layer())
    if hasattr(network, "peft_config"):
        del network.peft_config


def _chosen(network: nn.Module, patterns: tuple[str, ...] | None, prefix: str, outputs: nn.Module | None) -> list[str]:
    """The names of the layers to adapt; patterns are matched against names with the prefix."""
    unfit = () if outputs is None else tuple(outputs.modules())
    linear = {name: module for name, module in network.named_modules() if isinstance(module, nn.Linear) and module not in unfit}
    if patterns is None:
        found = [name for name in linear if "Attention" in type(network.get_submodule(name.rpartition(".")[0])).__name__]
        if not found:
            raise ConfigError("`model.adapter.modules` is missing: this model has no attention with linear layers. Name the layers.")
        return found
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(prefix + name, pattern) for name in linear):
            kinds = ", ".join(sorted({f"*.{name.rpartition('.')[2]}" if "." in prefix + name else name for name in linear}))
            raise ConfigError(f"`model.adapter.modules` must match linear layers, but {pattern!r} matches none of: {kinds}.")
    return [name for name in linear if any(fnmatch.fnmatchcase(prefix + name, pattern) for pattern in patterns)]


def _shown(model: nn.Module) -> str:
    """Names of parameters for an error message, without the numbers of layers."""
    return ", ".join(
        dict.fromkeys(re.sub(r"\.\d+\.", ".*.", base_name(name)) for name, _ in model.named_parameters() if not _LEARNED.search(name))
    )
