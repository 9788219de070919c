"""Halving of frames: 3 x 3 convolutions of stride 2, each with relu and zeros beyond a row's end; faster in training on the CPU.

Unusual here: one recording after the other goes through all layers, so that its maps stay in the cache, and back again; the maps of the
first layer, which are the largest, are computed again instead of kept. What oneDNN takes for a gradient depends on how tensors lie in
memory, and no layout is good for all: that of the inputs is four times as fast with maps innermost, that of the weights twice as fast with
maps outermost, that of the bias by a plain sum, and with a single map of inputs that of the weights by a matrix product with the unfolded
inputs. So each is computed where it is fast. Everything else (GPUs, half precision, decoding, tracing) takes torch's own way.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d, unfold

_backward = torch.ops.aten.convolution_backward
_SETTINGS = [2, 2], [1, 1], [1, 1], False, [0, 0], 1  # stride, padding, dilation, not transposed, no padding of the output, one group


def halved(
    x: Float[Tensor, "B M S C"], convolutions: nn.ModuleList, lengths: Int[Tensor, " B"]
) -> tuple[Float[Tensor, "B O T F"], Int[Tensor, " B"]]:
    """Maps with half the frames and half the channels after each convolution, and the lengths of rows.

    A convolution has a kernel of 3, a stride of 2 and a padding of 1. What lies behind a row's end is zero before each of them, and has no
    meaning in the result.
    """
    x, known, parameters = silenced(x, lengths), lengths, list[Tensor]()
    for convolution in convolutions:
        assert isinstance(convolution, nn.Conv2d), "what halves is a convolution"
        assert convolution.bias is not None, "whose bias is learned"
        parameters += [convolution.weight, convolution.bias]
        lengths = -(-lengths // 2)
    if parameters and _suits(x, parameters[0]):
        maps: Tensor = _Halvings.apply(x, known, *parameters)  # type: ignore[no-untyped-call]
        return maps, lengths
    for number in range(0, len(parameters), 2):
        x = _half(silenced(x, known), *parameters[number : number + 2]).relu()
        known = -(-known // 2)
    return x, lengths


def silenced(x: Float[Tensor, "B M S C"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "B M S C"]:
    """Set everything beyond each row's length to zero."""
    behind = torch.arange(x.shape[2], device=x.device) >= lengths.unsqueeze(1)
    return x.masked_fill(behind[:, None, :, None], 0.0)


def _suits(x: Tensor, weight: Tensor) -> bool:
    if torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu") or not torch.is_grad_enabled():
        return False
    return x.device.type == weight.device.type == "cpu" and x.dtype == weight.dtype == torch.float32 and x.numel() > 0


class _Halvings(torch.autograd.Function):
    """x (B, M, S, C), lengths (B,), and weight (O, M, 3, 3) and bias (O,) of each of n layers -> (B, O, S / 2^n, C / 2^n)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, lengths: Tensor, *parameters: Tensor) -> Tensor:
        layers = len(parameters) // 2
        ctx.lengths = lengths.tolist()
        kept: list[list[Tensor]] = [[] for _ in range(layers)]
        for row, length in enumerate(ctx.lengths):
            for layer, maps in enumerate(_maps(x[row : row + 1], length, parameters)):
                kept[layer] += [maps] if layer or layers == 1 else []
        result = torch.cat(kept[-1])
        ctx.save_for_backward(x, result, *parameters, *(maps for inner in kept[:-1] for maps in inner))
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        layers = (len(ctx.needs_input_grad) - 2) // 2
        x, result, *rest = ctx.saved_tensors
        parameters, inner = rest[: 2 * layers], rest[2 * layers :]
        rows = len(x)
        wants_x = ctx.needs_input_grad[0]
        found = [torch.zeros_like(parameter) for parameter in parameters]
        of_x = torch.empty_like(x) if wants_x else None
        for row, length in enumerate(ctx.lengths):
            maps = [x[row : row + 1]]
            if layers > 1:
                maps += [*_maps(maps[0], length, parameters[:2]), *inner[row::rows]]
            maps.append(result[row : row + 1])
            back = gradient[row : row + 1].contiguous()
            for layer in reversed(range(layers)):
                # What was cut off by relu or silence is 0, so one comparison with the result does for both.
                back = torch.ops.aten.threshold_backward(back, maps[layer + 1], 0)
                found[2 * layer] += _of_weight(back, maps[layer], parameters[2 * layer])
                found[2 * layer + 1] += back.sum((0, 2, 3))
                if layer or wants_x:
                    back = _of_inputs(back, maps[layer], parameters[2 * layer])
            if of_x is not None:
                of_x[row : row + 1] = back
        return of_x, None, *found


def _maps(x: Float[Tensor, "1 M S C"], length: int, parameters: Sequence[Tensor]) -> list[Tensor]:
    """The outputs of each layer for one row; zero beyond its end."""
    maps = []
    for number in range(0, len(parameters), 2):
        x, length = _half(x, *parameters[number : number + 2]).relu_(), -(-length // 2)
        x[:, :, length:] = 0.0
        maps.append(x)
    return maps


def _half(x: Float[Tensor, "B M S C"], weight: Float[Tensor, "O M 3 3"], bias: Float[Tensor, " O"]) -> Float[Tensor, "B O T F"]:
    return conv2d(x, weight, bias, stride=2, padding=1)


def _of_inputs(
    gradient: Float[Tensor, "1 O T F"], x: Float[Tensor, "1 M S C"], weight: Float[Tensor, "O M 3 3"]
) -> Float[Tensor, "1 M S C"]:
    innermost = torch.channels_last
    shape = torch.empty_like(x, memory_format=innermost)  # nothing of it is read
    gradient, weight = gradient.contiguous(memory_format=innermost), weight.contiguous(memory_format=innermost)
    return _backward(gradient, shape, weight, None, *_SETTINGS, [True, False, False])[0].contiguous()  # type: ignore[no-any-return]


def _of_weight(gradient: Float[Tensor, "1 O T F"], x: Float[Tensor, "1 M S C"], weight: Float[Tensor, "O M 3 3"]) -> Tensor:
    if x.shape[1] > 1:
        return _backward(gradient, x, weight, None, *_SETTINGS, [False, True, False])[1]  # type: ignore[no-any-return]
    unfolded = unfold(x, 3, padding=1, stride=2)  # (1, 9, T * F)
    return (gradient.flatten(2)[0] @ unfolded[0].T).view_as(weight)
