"""The Transformer that one would write by hand around `scaled_dot_product_attention`: pre-norm, tied embeddings, sinusoids."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention
from training_loop import Arrays, run

DIM, HEADS, HIDDEN, LAYERS, DROPOUT = 256, 4, 1024, 3, 0.1


class Attention(nn.Module):
    def __init__(self, *, cross: bool):
        super().__init__()
        self.query = nn.Linear(DIM, DIM) if cross else None
        self.inputs = nn.Linear(DIM, (2 if cross else 3) * DIM)
        self.out = nn.Linear(DIM, DIM)

    def forward(self, x: Tensor, memory: Tensor | None = None, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        def heads(y: Tensor) -> Tensor:
            return y.unflatten(-1, (HEADS, -1)).transpose(1, 2)

        if self.query is None:
            queries, keys, values = self.inputs(x).chunk(3, dim=-1)
        else:
            queries = self.query(x)
            keys, values = self.inputs(memory).chunk(2, dim=-1)
        mixed = scaled_dot_product_attention(heads(queries), heads(keys), heads(values), attn_mask=mask, is_causal=causal)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


class Layer(nn.Module):
    def __init__(self, *, decoder: bool):
        super().__init__()
        self.attention, self.attention_norm = Attention(cross=False), nn.LayerNorm(DIM)
        self.cross = Attention(cross=True) if decoder else None
        self.cross_norm = nn.LayerNorm(DIM)
        self.feed_forward, self.feed_forward_norm = (
            nn.Sequential(nn.Linear(DIM, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, DIM)),
            nn.LayerNorm(DIM),
        )
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor, mask: Tensor, memory: Tensor | None = None) -> Tensor:
        y = self.attention_norm(x)
        x = x + self.dropout(self.attention(y, mask=None if self.cross else mask, causal=self.cross is not None))
        if self.cross is not None:
            x = x + self.dropout(self.cross(self.cross_norm(x), memory, mask))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))


class Transformer(nn.Module):
    def __init__(self, symbols: int):
        super().__init__()
        self.embedding = nn.Embedding(symbols, DIM)
        nn.init.normal_(self.embedding.weight, std=DIM**-0.5)
        self.encoder = nn.ModuleList(Layer(decoder=False) for _ in range(LAYERS))
        self.decoder = nn.ModuleList(Layer(decoder=True) for _ in range(LAYERS))
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(DIM), nn.LayerNorm(DIM)
        self.dropout = nn.Dropout(DROPOUT)
        rates = torch.exp(torch.arange(DIM // 2) * (-math.log(10_000) / (DIM // 2 - 1)))
        angles = torch.arange(512).unsqueeze(1) * rates
        self.register_buffer("positions", torch.cat([angles.sin(), angles.cos()], dim=1))

    def embed(self, symbols: Tensor) -> Tensor:
        embedded: Tensor = self.dropout(self.embedding(symbols) * DIM**0.5 + self.positions[: symbols.shape[1]])  # type: ignore[index]
        return embedded

    def forward(self, source: Tensor, mask: Tensor, inputs: Tensor) -> Tensor:
        x = self.embed(source)
        for layer in self.encoder:
            x = layer(x, mask)
        memory = self.encoder_norm(x)
        x = self.embed(inputs)
        for layer in self.decoder:
            x = layer(x, mask, memory)
        return linear(self.decoder_norm(x), self.embedding.weight)


def build(settings: Any) -> tuple[nn.Module, Callable[[nn.Module, Arrays], Tensor]]:
    """The model, and how it is called."""

    def logits(model: nn.Module, batch: Arrays) -> Tensor:
        mask = (batch["source"] != settings.pad)[:, None, None, :]
        result: Tensor = model(batch["source"], mask, batch["target"][:, :-1])
        return result

    return Transformer(settings.symbols), logits


if __name__ == "__main__":
    run(build)
