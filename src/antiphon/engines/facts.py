"""The properties of an exported model, copied from the original model."""

from abc import ABC

from antiphon.contracts.engine import Exported, Facts
from antiphon.contracts.model import Seq2SeqModel


class ModelOfFacts(Seq2SeqModel, ABC):
    """A model whose properties are those of the original model."""

    def __init__(self, exported: Exported):
        super().__init__()
        self.source, self.target = exported.source, exported.target
        self.facts: Facts = exported.facts

    @property
    def stride(self) -> int:
        """The stride of the original model."""
        return self.facts.stride

    @property
    def longest_source(self) -> int | None:
        """The longest source of the original model."""
        return self.facts.longest_source

    @property
    def longest_target(self) -> int | None:
        """The longest target of the original model."""
        return self.facts.longest_target

    @property
    def wait_k(self) -> int | None:
        """The wait-k value of the original model."""
        return self.facts.wait_k

    @property
    def gives_attention(self) -> bool:
        """Whether the original model gives attention weights."""
        return self.facts.gives_attention

    @property
    def copies(self) -> bool:
        """Whether the original model copies from the source."""
        return self.facts.copies
