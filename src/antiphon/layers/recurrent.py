"""Stacks of LSTM or GRU layers over whole sequences and one step at a time, with batch-first states (R, L, D).

Unusual here: variational dropout (Gal and Ghahramani 2016) draws one mask per sequence and layer instead of one per step.
"""

from typing import Literal, NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from antiphon.contracts.sequences import map_tensors
from antiphon.layers.dropout import dropout

Cell = Literal["lstm", "gru"]


class RecurrentState(NamedTuple):
    """The state of every layer; `cell` is None for a GRU."""

    hidden: Float[Tensor, "N L D"]
    cell: Float[Tensor, "N L D"] | None


def drop(x: Float[Tensor, "N T D"], rate: float, *, variational: bool, training: bool) -> Float[Tensor, "N T D"]:
    """Dropout between layers; variational keeps one mask over all steps of a sequence."""
    if not training or rate == 0.0:
        return x
    return x * dropout(x.new_ones(x.shape[0], 1, x.shape[2]), rate) if variational else dropout(x, rate)


def _lacks_kernel(x: Tensor) -> bool:
    """Whether an LSTM in bf16 raises here: oneDNN has none for CPUs without AVX-512, and torch does not fall back on its own."""
    if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu") or torch.get_autocast_dtype("cpu") != torch.bfloat16:
        return False
    return not torch.ops.mkldnn._is_mkldnn_bf16_supported()


@final
class RecurrentStack(nn.Module):
    """`layers` recurrent layers of width `dim`; a bidirectional layer gives each direction half of it."""

    def __init__(self, input_dim: int, dim: int, layers: int, *, cell: Cell, bidirectional: bool, dropout: float, variational: bool):
        super().__init__()
        self.cell, self.bidirectional, self.dropout, self.variational = cell, bidirectional, dropout, variational
        kind = nn.LSTM if cell == "lstm" else nn.GRU
        width = dim // 2 if bidirectional else dim
        self.layers = nn.ModuleList(
            kind(input_dim if depth == 0 else dim, width, batch_first=True, bidirectional=bidirectional) for depth in range(layers)
        )

    def forward(
        self, x: Float[Tensor, "N T C"], lengths: Int[Tensor, " N"] | None = None, state: RecurrentState | None = None
    ) -> tuple[Float[Tensor, "N T D"], RecurrentState]:
        """All steps. `lengths` makes the final state that of each sequence's last real step, and lets backward layers start there."""
        finals = []
        packing = lengths.cpu() if lengths is not None and (self.bidirectional or bool((lengths < x.shape[1]).any())) else None
        if packing is not None and bool((packing == x.shape[1]).all()):
            packing = None
        for depth, layer in enumerate(self.layers):
            if depth > 0:
                x = drop(x, self.dropout, variational=self.variational, training=self.training)
            x, final_state = self._run(layer, x, packing, None if state is None else self._layer_state(state, depth))
            finals.append(final_state)
        hidden = torch.stack([self._join(final_state[0]) for final_state in finals], dim=1)
        cell = torch.stack([self._join(final_state[1]) for final_state in finals], dim=1) if self.cell == "lstm" else None
        return x, RecurrentState(hidden, cell)

    def step(self, x: Float[Tensor, "R C"], state: RecurrentState) -> tuple[Float[Tensor, "R D"], RecurrentState]:
        """One step of a unidirectional stack; dropout between layers applies in training."""
        hiddens, cells = [], []
        for depth, layer in enumerate(self.layers):
            if depth > 0:
                x = drop(x.unsqueeze(1), self.dropout, variational=False, training=self.training).squeeze(1)
            weights = (layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0)
            if state.cell is not None:
                x, cell = torch.lstm_cell(x, [state.hidden[:, depth], state.cell[:, depth]], *weights)  # type: ignore[arg-type]
                cells.append(cell)
            else:
                x = torch.gru_cell(x, state.hidden[:, depth], *weights)  # type: ignore[arg-type]
            hiddens.append(x)
        return x, RecurrentState(torch.stack(hiddens, dim=1), torch.stack(cells, dim=1) if cells else None)

    def _run(
        self, layer: nn.Module, x: Tensor, lengths: Tensor | None, state: tuple[Tensor, ...] | Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        if self.cell == "lstm" and _lacks_kernel(x):
            with torch.autocast("cpu", enabled=False):
                return self._run(layer, x.float(), lengths, map_tensors(Tensor.float, state))
        if lengths is None:
            out, final_state = layer(x, state)
        else:
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            result: PackedSequence
            result, final_state = layer(packed, state)
            out, _ = pad_packed_sequence(result, batch_first=True, total_length=x.shape[1])
        return out, final_state if isinstance(final_state, tuple) else (final_state,)

    def _layer_state(self, state: RecurrentState, depth: int) -> tuple[Tensor, ...] | Tensor:
        hidden = state.hidden[:, depth].unsqueeze(0).contiguous()
        return hidden if state.cell is None else (hidden, state.cell[:, depth].unsqueeze(0).contiguous())

    @staticmethod
    def _join(directions: Float[Tensor, "directions N width"]) -> Float[Tensor, "N D"]:
        return directions.transpose(0, 1).flatten(1)
