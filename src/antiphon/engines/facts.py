"""The properties of an exported model, copied from the model that it was made of."""

from abc import ABC

from antiphon.contracts.engine import Exported, Facts
from antiphon.contracts.model import Seq2SeqModel


class ModelOfFacts(Seq2SeqModel, ABC):
    """A model whose properties are those of the model that was exported."""

    def __init__(self, exported: Exported):
        super().__init__()
        self.source, self.target = exported.source, exported.target
        self.facts: Facts = exported.facts

    @property
    def stride(self) -> int:
        """As of the model that was exported."""
        return self.facts.stride

    @property
    def longest_source(self) -> int | None:
        """As of the model that was exported."""
        return self.facts.longest_source

    @property
    def longest_target(self) -> int | None:
        """As of the model that was exported."""
        return self.facts.longest_target

    @property
    def wait_k(self) -> int | None:
        """As of the model that was exported."""
        return self.facts.wait_k

    @property
    def gives_attention(self) -> bool:
        """As of the model that was exported."""
        return self.facts.gives_attention

    @property
    def copies(self) -> bool:
        """As of the model that was exported."""
        return self.facts.copies
