"""Linear layers in single precision on CPUs with AVX-512: the same sums as in torch, about twice as fast on many of these CPUs.

Unusual here: torch multiplies float32 matrices with MKL, which leaves AVX-512 unused on processors of other makers. oneDNN, which torch
brings along for other types, does not; so products go there. In decoding, weights are packed once into oneDNN's own layout, since with
few rows most of the time goes into rearranging the weights; the packed copy needs as much memory as the weight, and `pack_weights`
does without it. Everything else (GPUs, autocast, tracing) takes torch's own way.

On CPUs with AVX2 alone MKL is the faster one, with two exceptions, both in decoding. A single row times a wide matrix takes half the time
when the matrix is kept transposed, since its columns are then added up, where MKL takes a product of two vectors for each. And for a few
rows times a very wide matrix (the vocabulary) oneDNN's layout takes two thirds of the time.
"""

from functools import cache
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear


@cache
def _prefers_onednn() -> bool:
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise") or not hasattr(torch.ops.mkldnn, "_reorder_linear_weight"):
        return False
    return torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability().startswith("AVX512")


@cache
def _has_avx2_alone() -> bool:
    return torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX2"


_VERY_WIDE = 4096  # outputs
_FEW = 512  # rows


def _suits(x: Tensor, weight: Tensor) -> bool:
    return _prefers_onednn() and _is_single_on_cpu(x, weight)


def _is_single_on_cpu(x: Tensor, weight: Tensor) -> bool:
    if torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
        return False
    on_cpu = x.device.type == weight.device.type == "cpu"
    return on_cpu and x.dtype == weight.dtype == torch.float32 and x.dim() > 1 and x.numel() > 0


def product(x: Float[Tensor, "... K"], weight: Float[Tensor, "N K"], bias: Float[Tensor, " N"] | None = None) -> Float[Tensor, "... N"]:
    """x @ weight.T + bias, outside of autograd."""
    if not _suits(x, weight):
        return linear(x, weight, bias)
    result: Tensor = torch.ops.mkldnn._linear_pointwise(_dense(x), _dense(weight), bias, "none", [], "")
    return result


def _dense(x: Tensor) -> Tensor:
    """A tensor without gaps between rows or columns, for which oneDNN has only a reference kernel, a hundred times slower."""
    return x if x.is_contiguous() or (x.dim() == 2 and x.T.is_contiguous()) else x.contiguous()


class _Linear(torch.autograd.Function):
    """x (N, K), weight (M, K), bias (M,) or None -> (N, M), with all three products of training by `product`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x = _dense(x)
        ctx.save_for_backward(x, weight)
        return product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad
        return (
            product(gradient, weight.T) if wants_x else None,
            product(gradient.T, x.T) if wants_weight else None,
            gradient.sum(dim=0) if wants_bias else None,
        )


@final
class Product(nn.Module):
    """`linear` for one weight, which is packed when the model decodes. The weight belongs to the module that calls.

    A packed weight is given up when the weight is another one or has been written to. Torch does not count every kind of writing (fused
    optimizers, `.data`), so it is also given up whenever the model learns, or is told to train or to evaluate.
    """

    def __init__(self) -> None:
        super().__init__()
        self.packs = True  # see `pack_weights`
        self._packed: tuple[tuple[int, int], Tensor] | None = None
        self._transposed: tuple[tuple[int, int], Tensor] | None = None

    def forward(self, x: Float[Tensor, "... K"], weight: Float[Tensor, "N K"], bias: Float[Tensor, " N"] | None) -> Float[Tensor, "... N"]:
        """x @ weight.T + bias."""
        if torch.compiler.is_compiling():  # it asks for no processor, and takes torch's own way
            return linear(x, weight, bias)
        if not _suits(x, weight):
            return self._with_avx2(x, weight, bias) if _has_avx2_alone() else linear(x, weight, bias)
        if torch.is_grad_enabled():
            self._packed = None
            flat: Tensor = _Linear.apply(x.flatten(0, -2), weight, bias)  # type: ignore[no-untyped-call]
            return flat.view(*x.shape[:-1], len(weight))
        if self.training or not self.packs or weight.is_inference():
            return product(x, weight, bias)
        result: Tensor = torch.ops.mkldnn._linear_pointwise(_dense(x), self._pack(weight), bias, "none", [], "")
        return result

    def _with_avx2(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Torch's own product, unless a packed copy of the weight pays."""
        if torch.is_grad_enabled():
            self._packed = self._transposed = None
            return linear(x, weight, bias)
        outputs, inputs = weight.shape
        rows = x.numel() // max(inputs, 1)
        pays = outputs > inputs if rows == 1 else outputs >= _VERY_WIDE and rows <= _FEW
        if not pays or self.training or not self.packs or weight.is_inference() or not _is_single_on_cpu(x, weight):
            return linear(x, weight, bias)
        if rows > 1:
            result: Tensor = torch.ops.mkldnn._linear_pointwise(_dense(x), self._pack(weight), bias, "none", [], "")
            return result
        identity = (weight.data_ptr(), weight._version)
        if self._transposed is None or self._transposed[0] != identity:
            self._transposed = identity, weight.detach().T.contiguous()
        row, matrix = x.view(1, inputs), self._transposed[1]
        product = row @ matrix if bias is None else torch.addmm(bias, row, matrix)
        return product if x.dim() == 2 else product.view(*x.shape[:-1], outputs)

    def train(self, mode: bool = True) -> "Product":
        """Like every module's; also discards the packed weight."""
        self._packed = self._transposed = None
        return super().train(mode)

    def __getstate__(self) -> dict[str, Any]:
        """The state for copies, without the packed weight, which oneDNN cannot copy."""
        return {**self.__dict__, "_packed": None, "_transposed": None}

    def _pack(self, weight: Tensor) -> Tensor:
        identity = (weight.data_ptr(), weight._version)
        if self._packed is None or self._packed[0] != identity:
            self._packed = identity, torch.ops.mkldnn._reorder_linear_weight(weight.detach(), None)
        return self._packed[1]


def pack_weights(model: nn.Module, wanted: bool) -> None:
    """Whether the linear layers of a model keep packed copies of their weights while they decode, which doubles their memory."""
    for module in model.modules():
        if isinstance(module, Product):
            module.packs = wanted
            module._packed = module._transposed = None


@final
class Linear(nn.Linear):
    """`nn.Linear`, computed by `Product`."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        super().__init__(in_features, out_features, bias=bias)
        self.product = Product()

    def forward(self, input: Float[Tensor, "... K"]) -> Float[Tensor, "... N"]:  # noqa: A002 - the name of nn.Linear
        """input @ weight.T + bias."""
        result: Tensor = self.product(input, self.weight, self.bias)
        return result
