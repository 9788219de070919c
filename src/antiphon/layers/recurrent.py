"""Stacks of LSTM or GRU layers over whole sequences and one step at a time, with batch-first states (R, L, D).

Unusual here: variational dropout (Gal and Ghahramani 2016) draws one mask per sequence and layer instead of one per step.

And on the CPU, sequences of different lengths are not packed (`pack_padded_sequence`), since torch gives only whole ones to oneDNN, which
is up to twice as fast. Instead an input of its own, 0 on elements and huge on padding, shuts the gates of a cell: it forgets nothing and
takes in nothing. So what a forward direction ends with is what it had behind the last element, and a backward direction, which meets the
padding first, still has its zeros at the last element. Values and gradients are those of packing.
"""

from typing import Literal, NamedTuple, final

import numpy as np
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
    """Dropout between layers; the variational variant keeps one mask over all steps of a sequence."""
    if not training or rate == 0.0:
        return x
    return x * dropout(x.new_ones(x.shape[0], 1, x.shape[2]), rate) if variational else dropout(x, rate)


def _lacks_kernel(x: Tensor) -> bool:
    """Whether an LSTM in bf16 raises an error here: oneDNN has no kernel for CPUs without AVX-512, and torch has no fallback."""
    if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu") or torch.get_autocast_dtype("cpu") != torch.bfloat16:
        return False
    return not torch.ops.mkldnn._is_mkldnn_bf16_supported()


_SHUT = 1e6  # so that a sigmoid of it is 1, and of its negative 0, whatever is added
_REAL = 0.5  # share of real elements below which packing, which skips the padding, costs less


def _is_filled(x: Tensor, lengths: Tensor) -> bool:
    """Whether padding is better computed than packed away; packing is impossible for empty sequences and in graphs."""
    if torch.compiler.is_exporting():
        return True
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    return int(lengths.sum()) >= _REAL * x.shape[0] * x.shape[1] or bool((lengths == 0).any())


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
        self,
        x: Float[Tensor, "N T C"],
        lengths: Int[Tensor, " N"] | None = None,
        state: RecurrentState | None = None,
        counts: np.ndarray | None = None,
    ) -> tuple[Float[Tensor, "N T D"], RecurrentState]:
        """All steps. With `lengths`, the final state is that of each sequence's last real step, and backward layers start there; `counts`
        are the same numbers on the CPU, so that a GPU need not be waited for.

        What comes out on padding has no meaning.
        """
        finals = []
        if lengths is not None and not torch.compiler.is_exporting():
            lengths = lengths if counts is None else torch.from_numpy(counts)
            lengths = lengths if bool((lengths < x.shape[1]).any()) else None
        for depth, layer in enumerate(self.layers):
            if depth > 0:
                x = drop(x, self.dropout, variational=self.variational, training=self.training)
            x, final_state = self._run(layer, x, lengths, None if state is None else self._layer_state(state, depth))
            finals.append(final_state)
        hidden = torch.stack([self._join(final_state[0]) for final_state in finals], dim=1)
        cell = torch.stack([self._join(final_state[1]) for final_state in finals], dim=1) if self.cell == "lstm" else None
        return x, RecurrentState(hidden, cell)

    def step(self, x: Float[Tensor, "R C"], state: RecurrentState) -> tuple[Float[Tensor, "R D"], RecurrentState]:
        """One step of a unidirectional stack; in training, with dropout between layers."""
        hiddens, cells = [], []
        before = state.hidden.unbind(1), None if state.cell is None else state.cell.unbind(1)
        for depth, layer in enumerate(self.layers):
            if depth > 0:
                x = drop(x.unsqueeze(1), self.dropout, variational=False, training=self.training).squeeze(1)
            weights = (layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0)
            if before[1] is not None:
                x, cell = torch.lstm_cell(x, [before[0][depth], before[1][depth]], *weights)  # type: ignore[arg-type]
                cells.append(cell)
            else:
                x = torch.gru_cell(x, before[0][depth], *weights)  # type: ignore[arg-type]
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
        elif state is None and _is_filled(x, lengths):
            return self._hold(layer, x, lengths)
        else:
            out, final_state = self._pack(layer, x, lengths.cpu(), state)
        return out, final_state if isinstance(final_state, tuple) else (final_state,)

    def _pack(
        self, layer: nn.Module, x: Float[Tensor, "N T C"], lengths: Int[Tensor, " N"], state: tuple[Tensor, ...] | Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...] | Tensor]:
        """A layer over packed sequences without padding, longest first. They are sorted here, since torch's functions for sequences in any
        order wait for a GPU twice. `lengths` are on the CPU."""
        falling, order = lengths.sort(descending=True)
        there, back = (one.to(x.device, non_blocking=True) for one in (order, order.argsort()))
        packed = pack_padded_sequence(x.index_select(0, there), falling, batch_first=True)
        result: PackedSequence
        result, final_state = layer(packed, map_tensors(lambda part: part.index_select(1, there), state))
        out, _ = pad_packed_sequence(result, batch_first=True, total_length=x.shape[1])
        return out.index_select(0, back), map_tensors(lambda part: part.index_select(1, back), final_state)

    def _hold(self, layer: nn.Module, x: Float[Tensor, "N T C"], lengths: Int[Tensor, " N"]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """A layer over padded sequences whose cells keep their values at padding; see the top of this file."""
        padding = torch.arange(x.shape[1], device=x.device) >= lengths.unsqueeze(1)
        shut = torch.cat([x, padding.unsqueeze(-1).to(x.dtype) * _SHUT], dim=-1)
        weights = []
        for name, weight in layer.named_parameters():
            weights.append(torch.cat([weight, self._shutting(weight)], dim=1) if name.startswith("weight_ih") else weight)
        start = x.new_zeros(2 if self.bidirectional else 1, x.shape[0], weights[1].shape[1])
        options = True, 1, 0.0, self.training, self.bidirectional, True  # biases, layers, dropout, training, both directions, batch first
        if self.cell == "lstm":
            out, *finals = torch.lstm(shut, [start, start], weights, *options)
        else:
            out, *finals = torch.gru(shut, start, weights, *options)
        ends = out[torch.arange(x.shape[0], device=x.device), (lengths - 1).clamp(min=0), : start.shape[-1]]
        return out, (torch.cat([ends.unsqueeze(0), finals[0][1:]]), *finals[1:])

    def _shutting(self, weight: Float[Tensor, "gates C"]) -> Float[Tensor, "gates 1"]:
        """The gate inputs at padding: an LSTM closes its input gate and opens its forget gate, a GRU opens its update gate."""
        gates = weight.new_zeros(4 if self.cell == "lstm" else 3, len(weight) // (4 if self.cell == "lstm" else 3))
        gates[1] = 1  # of an LSTM: input, forget, cell, output; of a GRU: reset, update, new
        if self.cell == "lstm":
            gates[0] = -1
        return gates.view(-1, 1)

    def _layer_state(self, state: RecurrentState, depth: int) -> tuple[Tensor, ...] | Tensor:
        hidden = state.hidden[:, depth].unsqueeze(0).contiguous()
        return hidden if state.cell is None else (hidden, state.cell[:, depth].unsqueeze(0).contiguous())

    @staticmethod
    def _join(directions: Float[Tensor, "directions N width"]) -> Float[Tensor, "N D"]:
        return directions.transpose(0, 1).flatten(1)
