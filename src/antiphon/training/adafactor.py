"""The optimizer Adafactor, with exactly the given step size.

Unusual: `torch.optim.Adafactor` takes `min(lr, 1 / sqrt(step))`, so a schedule is cut short without a word, and its floor under gradients
(the machine epsilon, where the paper has 1e-30) is above what gradients of long texts often are. Its state is kept under the same names.
"""

from collections.abc import Iterable
from typing import Any, final

import torch
from torch import Tensor

_FLOOR = 1e-30  # added to squared gradients
_SMALLEST_SCALE = 1e-3  # so that a parameter of zeros can move
_CLIPPING = 1.0
_MEMORY = 0.8  # the mean of squared gradients forgets as step ** -0.8


@final
class Adafactor(torch.optim.Optimizer):
    """Algorithms 4 and 5 of Shazeer and Stern (2018), with `lr` as the relative step size, and decoupled weight decay.

    A matrix (of the last two dimensions) has a mean of squared gradients for each row and each column; a vector one for each element.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], lr: float):
        super().__init__(groups, {"lr": lr, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient. Closures are not supported."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    update = self._relative_update(parameter)
                    scale = _root_mean_square(parameter).clamp(min=_SMALLEST_SCALE)
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.sub_(update * (scale * group["lr"]))

    def _relative_update(self, parameter: Tensor) -> Tensor:
        """The gradient divided by the root of its mean square, rescaled to a root mean square of at most 1."""
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        state["step"] = state.get("step", torch.tensor(0.0)) + 1
        weight = float(state["step"]) ** -_MEMORY
        squares = gradient.square().add_(_FLOOR)

        def averaged(name: str, values: Tensor) -> Tensor:
            mean: Tensor = state.get(name, torch.zeros_like(values)).lerp(values, weight)
            state[name] = mean
            return mean

        if gradient.dim() > 1:
            rows = averaged("row_var", squares.mean(dim=-1, keepdim=True))
            columns = averaged("col_var", squares.mean(dim=-2, keepdim=True))
            # Roots first: a product of two means of small squares would be 0.
            update = gradient * (rows / rows.mean(dim=-2, keepdim=True)).rsqrt() * columns.rsqrt()
        else:
            update = gradient * averaged("variance", squares).rsqrt()
        return update / (_root_mean_square(update) / _CLIPPING).clamp(min=1.0)


def _root_mean_square(values: Tensor) -> Tensor:
    return values.square().mean().sqrt()
