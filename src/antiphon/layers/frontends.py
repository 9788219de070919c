"""From the elements of a sequence to vectors: an embedding for symbols, a projection (or nothing) for real values."""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from antiphon.contracts.specs import Spec, TokenSpec


@final
class Frontend(nn.Module):
    """Symbols (B, T) or values (B, T, width) -> vectors (B, T, D); also one step, (R,) or (R, width) -> (R, D).

    `project_values=False` hands values on as they are, for recurrent layers, whose first matrix is such a projection already.
    `scale` multiplies embeddings, as the Transformer does by the square root of its width. Open words are read as the unknown symbol.
    """

    def __init__(self, spec: Spec, dim: int, *, scale: float = 1.0, project_values: bool = True):
        super().__init__()
        self.scale = scale
        self.embedding: nn.Embedding | None = None
        self.projection: nn.Linear | None = None
        self.symbols = spec if isinstance(spec, TokenSpec) else None
        if isinstance(spec, TokenSpec):
            self.embedding = nn.Embedding(spec.size, dim)
            self.dim = dim
        else:
            self.projection = nn.Linear(spec.width, dim) if project_values else None
            self.dim = dim if project_values else spec.width

    def forward(self, elements: Tensor) -> Float[Tensor, "... D"]:
        """Vectors for elements."""
        if self.embedding is not None and self.symbols is not None:
            elements = self.symbols.known(elements)
            return self.embedding(elements) * self.scale if self.scale != 1.0 else self.embedding(elements)  # type: ignore[no-any-return]
        return elements if self.projection is None else self.projection(elements)
