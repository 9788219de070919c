"""Optimizers, torch's own except for Adafactor, and their state as named tensors.

Unusual: parameters with the same rate and decay share a group, but a stored state knows nothing of groups: it goes by parameters' names.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from antiphon.contracts.configuration import Choice, Fraction, config
from antiphon.errors import CheckpointError
from antiphon.training.adafactor import Adafactor
from antiphon.training.rates import rate_factors

LayerDecay = Annotated[float, Field(gt=0, lt=1)]
Factor = Annotated[float, Field(gt=0)]


@config
class AdamWConfig:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), as one fused kernel where torch has it."""

    name: Literal["adamw"] = "adamw"
    """The name of this optimizer."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak learning rate, which the schedule scales."""
    betas: tuple[Fraction, Fraction] = (0.9, 0.98)
    """Decay of the running means of gradients and of their squares."""
    epsilon: Annotated[float, Field(gt=0)] = 1e-9
    """Added to the denominator."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decay of matrices; biases and norms do not decay."""
    layer_decay: LayerDecay | None = None
    """Multiply the rate by this for each layer below the top of its stack; embeddings come last. None means one rate for all."""
    factors: dict[str, Factor] = Field(default_factory=dict)
    """Multiply the rate of parameters whose names match a pattern: `{"head.*": 10}`."""


@config
class AdafactorConfig:
    """Adafactor (Shazeer and Stern 2018): factors the second moments of matrices into a row and a column, to save memory."""

    name: Literal["adafactor"] = "adafactor"
    """The name of this optimizer."""
    learning_rate: float = Field(default=1e-2, gt=0)
    """Peak learning rate, which the schedule scales; relative to the size of each parameter."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decay of matrices; biases and norms do not decay."""
    layer_decay: LayerDecay | None = None
    """Multiply the rate by this for each layer below the top of its stack; embeddings come last. None means one rate for all."""
    factors: dict[str, Factor] = Field(default_factory=dict)
    """Multiply the rate of parameters whose names match a pattern: `{"head.*": 10}`."""


@config
class SGDConfig:
    """Stochastic gradient descent."""

    name: Literal["sgd"] = "sgd"
    """The name of this optimizer."""
    learning_rate: float = Field(default=0.1, gt=0)
    """Peak learning rate, which the schedule scales."""
    momentum: Fraction = 0.0
    """Momentum."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decay of matrices; biases and norms do not decay."""
    layer_decay: LayerDecay | None = None
    """Multiply the rate by this for each layer below the top of its stack; embeddings come last. None means one rate for all."""
    factors: dict[str, Factor] = Field(default_factory=dict)
    """Multiply the rate of parameters whose names match a pattern: `{"head.*": 10}`."""


OptimizerConfig = Annotated[AdamWConfig | AdafactorConfig | SGDConfig, Choice("adamw")]


def build_optimizer(settings: AdamWConfig | AdafactorConfig | SGDConfig, model: nn.Module) -> torch.optim.Optimizer:
    """Make the optimizer over trainable parameters, in groups of the same learning rate: matrices, which decay, and the rest.

    The groups of the recipe's own rate come first. Raises ConfigError when a pattern of `factors` matches nothing.
    """
    trainable = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    factors = rate_factors(trainable, settings.layer_decay, settings.factors)
    groups = [
        {
            "params": parameters,
            "lr": settings.learning_rate * factor,
            "weight_decay": settings.weight_decay if matrices else 0.0,
        }
        for factor in sorted(set(factors.values()), key=lambda factor: (factor != 1, -factor))
        for matrices in (True, False)
        if (parameters := [one for name, one in trainable.items() if factors[name] == factor and (one.dim() > 1) == matrices])
    ]
    if isinstance(settings, AdamWConfig):
        return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=settings.betas, eps=settings.epsilon, fused=True)
    if isinstance(settings, AdafactorConfig):
        return Adafactor(groups, lr=settings.learning_rate)
    return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=settings.momentum)


def step_unless(optimizer: torch.optim.Optimizer, skipped: Float[Tensor, ""]) -> None:
    """Update the parameters unless `skipped` is 1, in which case they and the optimizer's state stay the same; it is 0 otherwise.

    Fused kernels read it on the device. For every other optimizer (`adafactor`, `sgd`) the device is waited for, once an update.
    """
    if getattr(optimizer, "_step_supports_amp_scaling", False):
        optimizer.found_inf = skipped  # type: ignore[attr-defined]  # as torch's GradScaler says it
        try:
            optimizer.step()
        finally:
            del optimizer.found_inf  # type: ignore[attr-defined]
    elif not skipped:
        optimizer.step()


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: Mapping[int, str]) -> dict[str, Tensor]:
    """The optimizer's state as tensors named `parameter/entry`; `names` has each parameter's name by its id."""
    return {
        f"{names[id(parameter)]}/{entry}": value.clone() if isinstance(value, Tensor) else torch.tensor(value)
        for parameter, state in optimizer.state.items()
        for entry, value in state.items()
        if value is not None
    }


def load_optimizer(optimizer: torch.optim.Optimizer, names: Mapping[int, str], tensors: Mapping[str, Tensor]) -> None:
    """Restore the state from `optimizer_tensors`. Raises CheckpointError when it belongs to another model."""
    parameters = {names[id(parameter)]: parameter for group in optimizer.param_groups for parameter in group["params"]}
    for key, value in tensors.items():
        name, entry = key.rsplit("/", 1)
        if name not in parameters:
            raise CheckpointError(f"The optimizer state of {name} does not belong to this model.")
        parameter = parameters[name]
        # The step count stays where torch put it; moments live beside their parameter.
        place = value if entry == "step" and not _fused(optimizer) else value.to(parameter.device)
        optimizer.state[parameter][entry] = place


def _fused(optimizer: torch.optim.Optimizer) -> bool:
    return any(group.get("fused") for group in optimizer.param_groups)
