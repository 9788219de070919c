"""Vocabulary shortlists: which target symbols are allowed for a source (Schwenk 2007; L'Hostis et al. 2016).

Each symbol of the source allows some of the target, and some may always be said: the special ones, and the most frequent. Most of what an
output layer of 32,000 symbols computes is thrown away; here it is not computed.

Unusual here: a source has a list of its own, whatever else is in the batch. Marian and CTranslate2 let each source of a batch say what any
of them may, so that what is said depends on the neighbours.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from antiphon.contracts.engine import Exported
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import CheckpointError

FILE = "shortlist.safetensors"


@dataclass(frozen=True)
class Shortlist:
    """Target symbols, of which there are `size`, for each source symbol: those of source symbol s are `symbols[offsets[s] : offsets[s +
    1]]`, in order of preference; those in `always` are allowed for every source."""

    offsets: Int[np.ndarray, " N"]
    symbols: Int[np.ndarray, " L"]
    always: Int[np.ndarray, " F"]
    size: int

    def of(self, symbol: int) -> Int[np.ndarray, " n"]:
        """The symbols allowed by one source symbol."""
        return self.symbols[self.offsets[symbol] : self.offsets[symbol + 1]]

    def allowed(self, sources: Sequence[Sequence[int]], more: Sequence[Iterable[int]] = ()) -> Bool[np.ndarray, "B V"]:
        """The symbols allowed for each source; `more` are additional ones for each, such as requested ones."""
        found = np.zeros((len(sources), self.size), dtype=bool)
        found[:, self.always] = True
        for row, source in enumerate(sources):
            for symbol in set(source):
                found[row, self.of(symbol)] = True
        for row, symbols in enumerate(more):
            found[row, list(symbols)] = True
        return found

    def save(self, folder: Path) -> None:
        """Write the file into a folder."""
        arrays = {"offsets": self.offsets, "symbols": self.symbols, "always": self.always}
        save_file({name: array.astype(np.int32) for name, array in arrays.items()}, folder / FILE)


def shortlist_of(exported: Exported) -> Shortlist | None:
    """The shortlist of an exported folder, if it has one. Raises CheckpointError when it is damaged."""
    source, target = exported.source, exported.target
    if "shortlist" not in exported.details:
        return None
    assert isinstance(source, TokenSpec), "exported only with symbols on both sides"
    assert isinstance(target, TokenSpec)
    try:
        arrays: dict[str, Any] = load_file(exported.folder / FILE)
        found = Shortlist(arrays["offsets"], arrays["symbols"], arrays["always"], target.size)
    except (OSError, KeyError, SafetensorError) as error:
        raise CheckpointError(f"{exported.folder / FILE} cannot be read: {error}. Export the run again.") from error
    if len(found.offsets) != source.size + 1 or max(found.symbols.max(initial=0), found.always.max(initial=0)) >= target.size:
        raise CheckpointError(f"{exported.folder / FILE} was made for other vocabularies than those of the model. Export the run again.")
    return found
