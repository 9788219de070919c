"""Maps the elements of a sequence to vectors: an embedding for symbols, a projection (or nothing) for real values."""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from antiphon.contracts.specs import Factor, Spec, TokenSpec
from antiphon.errors import ConfigError


@final
class Frontend(nn.Module):
    """Symbols (B, T) or values (B, T, width) -> vectors (B, T, D); also one step, (R,) or (R, width) -> (R, D).

    `project_values=False` hands values on as they are, for recurrent layers, whose first matrix is such a projection already.
    Factors of symbols have embeddings of their own, which are added, or stand beside them and are brought to the same width with them
    (Sennrich and Haddow 2016).

    `scale` multiplies embeddings, as the Transformer does by the square root of its width. Open words are read as the unknown symbol.
    With `zero_start` the start symbol is read as zeros, whatever its embedding says as a row of the output layer.
    """

    def __init__(self, spec: Spec, dim: int, *, scale: float = 1.0, project_values: bool = True, zero_start: bool = False):
        super().__init__()
        self.scale, self.zero_start = scale, zero_start
        self.embedding: nn.Embedding | None = None
        self.projection: nn.Linear | None = None
        self.symbols = spec if isinstance(spec, TokenSpec) else None
        self.added, self.beside = nn.ModuleDict(), nn.ModuleDict()
        self.together: nn.Linear | None = None
        if isinstance(spec, TokenSpec):
            self.embedding = nn.Embedding(spec.size, dim)
            self.dim = dim
            self._make_factors(spec.factors, dim)
        else:
            self.projection = nn.Linear(spec.width, dim) if project_values else None
            self.dim = dim if project_values else spec.width

    def _make_factors(self, factors: Sequence[Factor], dim: int) -> None:
        widths = [factor.dim for factor in factors if factor.combine == "concat"]
        for factor in factors:
            is_sum = factor.combine == "sum"
            embedding = nn.Embedding(factor.size, dim if is_sum else factor.dim)
            nn.init.normal_(embedding.weight, std=dim**-0.5)
            (self.added if is_sum else self.beside)[f"of_{factor.name}".replace(".", "_")] = embedding
        if widths:
            self.together = nn.Linear(dim + sum(widths), dim, bias=False)

    def forward(self, elements: Tensor, factors: Int[Tensor, "... K"] | None = None) -> Float[Tensor, "... D"]:
        """Vectors for elements. Raises ConfigError when factors are needed but the model does not pass them on."""
        if self.embedding is not None and self.symbols is not None:
            x = self.embedding(self.symbols.known(elements))
            x = x * self.scale if self.scale != 1.0 else x
            if self.zero_start:
                x = x.masked_fill((elements == self.symbols.start).unsqueeze(-1), 0.0)
            return self._with_factors(x, factors, self.symbols.factors) if self.symbols.factors else x
        return elements if self.projection is None else self.projection(elements)

    def _with_factors(self, x: Tensor, values: Tensor | None, factors: Sequence[Factor]) -> Tensor:
        if values is None:
            raise ConfigError("`task.source_factors` needs `model.name` to be `transformer` or `lstm`, whose encoders read them.")
        beside, added, adjoining = [x], iter(self.added.values()), iter(self.beside.values())
        for place, factor in enumerate(factors):
            vectors = next(added if factor.combine == "sum" else adjoining)(values[..., place]) * self.scale
            if factor.combine == "sum":
                beside[0] = beside[0] + vectors
            else:
                beside.append(vectors)
        joined: Tensor = beside[0] if self.together is None else self.together(torch.cat(beside, dim=-1))
        return joined
