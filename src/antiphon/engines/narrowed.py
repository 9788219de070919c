"""A model with a reduced vocabulary: some of its symbols, renumbered, of which each source may be allowed only a part.

So whoever searches knows nothing of it, and computes with few symbols instead of many.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.sequences import Memory, Output, Padded
from antiphon.contracts.specs import TokenSpec
from antiphon.search.wrapped import Wrapped

_HIDDEN = "hidden"


@final
class Narrowed(Wrapped):
    """`symbols` (U,), ascending, are the target symbols that remain; `product` computes their logits from the decoder's features.

    `hidden` (B, U) is added to the logits of each source of the batch that will be encoded: 0, or minus infinity. It goes with the memory.
    """

    def __init__(
        self,
        model: StepwiseModel,
        symbols: Int[Tensor, " U"],
        hidden: Float[Tensor, "B U"],
        product: Callable[[Tensor], Tensor],
    ):
        assert isinstance(model.target, TokenSpec), "only symbols can be fewer"
        super().__init__(model, narrowed(model.target, symbols))
        self.symbols, self._hidden, self._product = symbols, hidden, product

    def encode(self, source: Padded) -> Memory:
        """The model's memory, with the symbols that are hidden for each source."""
        memory = self.model.encode(source)
        return replace(memory, projections={**(memory.projections or {}), _HIDDEN: self._hidden})

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """All steps at once."""
        given = replace(inputs, values=self.symbols[inputs.values])
        return self._narrowed(self.model.decode(given, memory, attention=attention), memory)

    def step(self, last: Tensor, memory: Memory, state: Any, *, attention: bool = False) -> tuple[Output, Any]:
        """One step for R rows."""
        output, after = self.model.step(self.symbols[last], memory, state, attention=attention)
        return self._narrowed(output, memory), after

    def _narrowed(self, output: Output, memory: Memory) -> Output:
        hidden = memory.projections[_HIDDEN]

        def say(features: Tensor) -> Tensor:
            logits = self._product(features)  # (R, U) or (B, T, U)
            of_sources = logits.view(len(hidden), -1, logits.shape[-1]) + hidden.unsqueeze(1)
            narrow: Tensor = of_sources.view_as(logits)
            return narrow

        return Output(output.features, say, output.attention)


def narrowed(spec: TokenSpec, symbols: Int[Tensor, " U"]) -> TokenSpec:
    """The spec of the remaining symbols, in their new numbers; the special ones must be among them."""
    new = {symbol: number for number, symbol in enumerate(symbols.tolist())}
    return replace(
        spec,
        size=len(new),
        pad=new[spec.pad],
        unknown=new[spec.unknown],
        start=new[spec.start],
        end=new[spec.end],
        fingerprint=f"{spec.fingerprint} narrowed",
        word_starts=None if spec.word_starts is None else spec.word_starts[symbols.numpy()],
        suppressed=tuple(new[symbol] for symbol in spec.suppressed if symbol in new),
        suppressed_first=tuple(new[symbol] for symbol in spec.suppressed_first if symbol in new),
    )


def hidden_of(allowed: Tensor) -> Float[Tensor, "B U"]:
    """A mask to add to logits so that only the allowed symbols can be output."""
    return torch.zeros(allowed.shape).masked_fill_(~allowed, -torch.inf)
