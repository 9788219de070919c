"""Softmax of queries times keys, times values: torch's fused kernel, except where it is slow.

Unusual here: on the CPU, the backward pass of the fused kernel takes three times as long in half precision as three matrix products, as
long as sequences are short. There the products are done one by one, with the softmax in single precision. What they keep in memory
(2 bytes for each pair of elements and head) is little then.
"""

import torch
from jaxtyping import Float
from torch import Tensor
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
    """Attention of H heads to G key-value heads. `mask` broadcasts against (B, H, T, S): boolean, True = may be seen, or a bias.

    `causal` shows each query the keys up to its own place, where there is no mask.
    """
    grouped = queries.shape[1] != keys.shape[1]
    causal = causal and mask is None
    if dropout or grouped or not _is_slow(queries, keys):
        return scaled_dot_product_attention(queries, keys, values, attn_mask=mask, is_causal=causal, dropout_p=dropout, enable_gqa=grouped)
    if causal:
        mask = torch.ones(queries.shape[-2], keys.shape[-2], dtype=torch.bool).tril()
    scores = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill_(~mask, torch.finfo(scores.dtype).min) if mask.dtype == torch.bool else scores + mask
    mixed: Tensor = scores.softmax(dim=-1, dtype=torch.float32).to(values.dtype) @ values
    return mixed


def _is_slow(queries: Tensor, keys: Tensor) -> bool:
    """Whether the fused kernel is."""
    half = queries.dtype in (torch.bfloat16, torch.float16) and queries.dtype == keys.dtype
    learning = torch.is_grad_enabled() and (queries.requires_grad or keys.requires_grad)
    return half and learning and queries.device.type == "cpu" and queries.shape[-2] * keys.shape[-2] <= _SHORT
