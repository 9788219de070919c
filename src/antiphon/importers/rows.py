"""Rearranges tables with a row for each symbol from the order of a foreign vocabulary into the order of ours.

Our vocabularies begin with four special pieces, some of which a foreign one lacks. Their rows are 0. In a bias of the output layer they are
so low that such a symbol is never said, and not so low that label smoothing would feel it.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

NEVER = -100.0
"""The logit of a symbol that the foreign model does not have."""


def rows_for(pieces: Sequence[str], foreign: Sequence[str], table: Float[Tensor, "F ..."], missing: float = 0.0) -> Float[Tensor, "V ..."]:
    """The rows for `pieces`, from a table that has a row for each of the `foreign` pieces."""
    places = {piece: place for place, piece in enumerate(foreign)}
    return rows_at(np.array([places.get(piece, -1) for piece in pieces]), table, missing)


def rows_at(places: Int[np.ndarray, " V"], table: Float[Tensor, "F ..."], missing: float = 0.0) -> Float[Tensor, "V ..."]:
    """The rows of a table at `places`; where a place is -1, a copy of `missing`."""
    index = torch.from_numpy(places)
    rows = table[index.clamp(min=0)]
    rows[index < 0] = missing
    return rows
