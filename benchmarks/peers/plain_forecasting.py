"""The forecasters that one would write by hand around `nn.LSTM` and `nn.Transformer`: all series in one tensor, windows by indexing it."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from forecasting_options import CLIP_NORM, DIM, HEADS, HIDDEN, LAYERS, LEARNING_RATE, options, read_series
from torch import Tensor, nn
from training_loop import parameters
from worker import Ready, serve


class LSTM(nn.Module):
    """The encoder's last state starts the decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.LSTM(1, DIM, batch_first=True), nn.LSTM(1, DIM, batch_first=True)
        self.out = nn.Linear(DIM, 1)

    def forward(self, source: Tensor, inputs: Tensor) -> Tensor:
        _, state = self.encoder(source)
        x, _ = self.decoder(inputs, state)
        points: Tensor = self.out(x)
        return points


class Transformer(nn.Module):
    """Pre-norm, with sinusoids."""

    def __init__(self, longest: int) -> None:
        super().__init__()
        self.source, self.inputs = nn.Linear(1, DIM), nn.Linear(1, DIM)
        self.layers = nn.Transformer(DIM, HEADS, LAYERS, LAYERS, HIDDEN, dropout=0.0, batch_first=True, norm_first=True)
        self.out = nn.Linear(DIM, 1)
        angles = torch.arange(longest).unsqueeze(1) * torch.exp(torch.arange(0, DIM, 2) * (-math.log(10_000) / DIM))
        self.register_buffer("positions", torch.cat([angles.sin(), angles.cos()], dim=1))

    def forward(self, source: Tensor, inputs: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(inputs.shape[1])
        x = self.layers(self.embed(self.source, source), self.embed(self.inputs, inputs), tgt_mask=mask, tgt_is_causal=True)
        points: Tensor = self.out(x)
        return points

    def embed(self, layer: nn.Module, values: Tensor) -> Tensor:
        """Values with their positions."""
        embedded: Tensor = layer(values) + self.positions[: values.shape[1]]  # type: ignore[index]
        return embedded


def windows(series: list[np.ndarray], context: int, horizon: int, rows: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches for ever: scaled sources (B, S, 1), and targets (B, 1 + T, 1) that begin with the last value of the source."""
    values, width = torch.from_numpy(np.concatenate(series)), context + horizon
    ends = np.cumsum([len(one) for one in series])
    starts = torch.from_numpy(np.concatenate([np.arange(end - len(one), end - width + 1) for one, end in zip(series, ends, strict=True)]))
    while True:
        for chosen in torch.randperm(len(starts)).split(rows):
            window = values[starts[chosen].unsqueeze(1) + torch.arange(width)].unsqueeze(-1)
            source = window[:, :context]
            deviation, mean = torch.std_mean(source, dim=1, keepdim=True, correction=0)
            scaled = (window - mean) / torch.where(deviation > 0, deviation, 1.0)
            yield scaled[:, :context], scaled[:, context - 1 :]


def set_up() -> Ready:
    """The model after five updates that nobody times."""
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(1)
    model = LSTM() if chosen.model == "lstm" else Transformer(max(chosen.context, chosen.horizon))
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.0, fused=True)
    batches = windows(read_series(chosen.data), chosen.context, chosen.horizon, chosen.rows)

    def train(count: int = chosen.updates) -> float:
        for _ in range(count):
            source, target = next(batches)
            loss = nn.functional.l1_loss(model(source, target[:, :-1]), target[:, 1:])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
            optimizer.step()
            float(loss.detach())
        return float(count)

    train(5)
    return Ready({"training": train}, parameters(model))


if __name__ == "__main__":
    chosen = options("lstm", "transformer")
    serve(set_up)
