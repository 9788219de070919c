"""Scaled dot-product attention: torch's fused kernel, except where that is slow.

Unusual here: on the CPU, the backward pass of the fused kernel takes three times as long in half precision as three matrix products, as
long as sequences are short. There the products are done one by one, with the softmax in single precision. What they keep in memory
(2 bytes for each pair of elements and head) is little then. And there is no fused kernel for biases that are learned (relative positions);
torch's way around it takes half as long again as the products do, and keeps more.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import scaled_dot_product_attention

_SHORT = 160 * 160  # pairs; the fused kernel wins from 250 * 250 on


def attend(
    queries: Float[Tensor, "B H T K"],
    keys: Float[Tensor, "B G S K"],
    values: Float[Tensor, "B G S K"],
    mask: Tensor | None,
    *,
    causal: bool = False,
    dropout: float = 0.0,
) -> Float[Tensor, "B H T K"]:
    """Attention of H heads to G key-value heads. `mask` broadcasts against (B, H, T, S): boolean, True = may be attended to, or a bias.

    `causal` shows each query the keys up to its own place, where there is no mask.
    """
    grouped = queries.shape[1] != keys.shape[1]
    causal = causal and mask is None
    if torch.compiler.is_exporting():
        return _plain(queries, keys, values, _below(queries, keys) if causal else mask)
    if mask is not None and not dropout and not grouped and _learns_biases(queries, mask):
        learned: Tensor = _Products.apply(queries, keys, values, mask)  # type: ignore[no-untyped-call]
        return learned
    if dropout or grouped or not _is_slow(queries, keys):
        return scaled_dot_product_attention(queries, keys, values, attn_mask=mask, is_causal=causal, dropout_p=dropout, enable_gqa=grouped)
    mask = _below(queries, keys) if causal else mask
    scores = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill_(~mask, torch.finfo(scores.dtype).min) if mask.dtype == torch.bool else scores + mask
    mixed: Tensor = scores.softmax(dim=-1, dtype=torch.float32).to(values.dtype) @ values
    return mixed


def _below(queries: Tensor, keys: Tensor) -> Tensor:
    return torch.ones(queries.shape[-2], keys.shape[-2], dtype=torch.bool, device=keys.device).tril()


def _plain(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Float[Tensor, "B H T K"]:
    """Attention as plain products, for programs that other runtimes run: their fused kernels do not give 0 for queries with everything
    masked."""
    grouped = queries.shape[1] != keys.shape[1]
    if grouped:  # (B, G, H / G, T, K) meets (B, G, 1, S, K)
        queries, keys, values = queries.unflatten(1, (keys.shape[1], -1)), keys.unsqueeze(2), values.unsqueeze(2)
        mask = None if mask is None else mask.unsqueeze(2) if mask.shape[1] == 1 else mask.unflatten(1, (keys.shape[1], -1))
    scores = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(-1, -2)
    mixed: Tensor
    if mask is None:
        mixed = scores.softmax(dim=-1) @ values
    else:
        visible = mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min
        scores = scores if mask.dtype == torch.bool else scores + mask
        scores = scores.masked_fill(~visible, torch.finfo(scores.dtype).min)
        mixed = scores.softmax(dim=-1).masked_fill(~visible, 0.0) @ values
    return mixed.flatten(1, 2) if grouped else mixed


def _is_slow(queries: Tensor, keys: Tensor) -> bool:
    """Whether the fused kernel is slow here."""
    half = queries.dtype in (torch.bfloat16, torch.float16) and queries.dtype == keys.dtype
    learning = torch.is_grad_enabled() and (queries.requires_grad or keys.requires_grad)
    return half and learning and queries.device.type == "cpu" and queries.shape[-2] * keys.shape[-2] <= _SHORT


def _learns_biases(queries: Tensor, mask: Tensor) -> bool:
    """Whether the mask is a bias with a gradient, in single precision, on a machine where plain products are fast."""
    learning = torch.is_grad_enabled() and mask.requires_grad and not torch.is_autocast_enabled("cpu") and not torch.compiler.is_compiling()
    return learning and queries.device.type == "cpu" and queries.dtype == mask.dtype == torch.float32


class _Products(torch.autograd.Function):
    """queries (B, H, T, K), keys and values (B, H, S, K), biases that broadcast against (B, H, T, S) -> (B, H, T, K)."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, values: Tensor, biases: Tensor) -> Tensor:
        shape = *queries.shape[:-1], keys.shape[-2]
        ctx.scale, ctx.biases = queries.shape[-1] ** -0.5, biases.shape
        one, other, third = (x.flatten(0, 1) for x in (queries, keys, values))
        scores = torch.baddbmm(biases.expand(shape).flatten(0, 1), one, other.transpose(1, 2), alpha=ctx.scale)
        weights = scores.softmax(-1)
        ctx.save_for_backward(one, other, third, weights)
        return torch.bmm(weights, third).view_as(queries)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        queries, keys, values, weights = ctx.saved_tensors
        heads = gradient.shape[:2]
        gradient = gradient.flatten(0, 1)
        of_values = torch.bmm(weights.transpose(1, 2), gradient)
        of_weights = torch.bmm(gradient, values.transpose(1, 2))
        of_scores = torch.ops.aten._softmax_backward_data(of_weights, weights, -1, weights.dtype)
        of_queries = torch.bmm(of_scores, keys).mul_(ctx.scale)
        of_keys = torch.bmm(of_scores.transpose(1, 2), queries).mul_(ctx.scale)
        of_biases = of_scores.unflatten(0, heads).sum_to_size(ctx.biases)
        return *(found.unflatten(0, heads) for found in (of_queries, of_keys, of_values)), of_biases
