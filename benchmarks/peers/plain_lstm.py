"""The LSTM encoder-decoder that one would write by hand around `nn.LSTM`: bidirectional encoder, general attention, tied embeddings."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from training_loop import Arrays, run

DIM, LAYERS, DROPOUT = 256, 2, 0.1


class Translator(nn.Module):
    def __init__(self, symbols: int):
        super().__init__()
        self.embedding = nn.Embedding(symbols, DIM)
        nn.init.normal_(self.embedding.weight, std=DIM**-0.5)
        self.encoder = nn.LSTM(DIM, DIM // 2, LAYERS, batch_first=True, bidirectional=True, dropout=DROPOUT)
        self.decoder = nn.LSTM(DIM, DIM, LAYERS, batch_first=True, dropout=DROPOUT)
        self.hidden, self.cell = nn.Linear(DIM, LAYERS * DIM), nn.Linear(DIM, LAYERS * DIM)
        self.key = nn.Linear(DIM, DIM, bias=False)
        self.combine = nn.Linear(2 * DIM, DIM, bias=False)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, source: Tensor, lengths: Tensor, inputs: Tensor, mask: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.dropout(self.embedding(source)), lengths, batch_first=True, enforce_sorted=False)
        states, (hidden, cell) = self.encoder(packed)
        memory, _ = pad_packed_sequence(states, batch_first=True, total_length=source.shape[1])
        first = (self.start(self.hidden, hidden), self.start(self.cell, cell))
        x, _ = self.decoder(self.dropout(self.embedding(inputs)), first)
        scores = x @ self.key(memory).transpose(1, 2)
        context = scores.masked_fill(~mask.unsqueeze(1), float("-inf")).softmax(-1) @ memory
        features = torch.tanh(self.combine(torch.cat([context, x], dim=-1)))
        return linear(self.dropout(features), self.embedding.weight)

    def start(self, layer: nn.Module, states: Tensor) -> Tensor:
        """The decoder's first state from the encoder's last one, (2 * layers, B, D / 2)."""
        top = states[-2:].transpose(0, 1).flatten(1)
        return torch.tanh(layer(top)).view(len(top), LAYERS, DIM).transpose(0, 1).contiguous()


def build(settings: Any) -> tuple[nn.Module, Callable[[nn.Module, Arrays], Tensor]]:
    """The model, and how it is called."""

    def logits(model: nn.Module, batch: Arrays) -> Tensor:
        source = batch["source"]
        result: Tensor = model(source, batch["source_lengths"], batch["target"][:, :-1], source != settings.pad)
        return result

    return Translator(settings.symbols), logits


if __name__ == "__main__":
    run(build)
