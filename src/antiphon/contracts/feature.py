"""Values of a column -> arrays that a model reads, and back where they are to be said."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.contracts.specs import Spec


class Feature(ABC):
    """Values of one column -> arrays. The constructor stores settings, `fit` learns from data, `save` keeps what was learned."""

    @property
    @abstractmethod
    def spec(self) -> Spec:
        """What a model needs to know; available once fitted."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Changes whenever a value would be encoded differently: with the settings that decide it, and with what was fitted."""

    @abstractmethod
    def fit(self, values: Iterable[Any]) -> None:
        """Learn a vocabulary or scales from training values."""

    @abstractmethod
    def encode(self, value: Any, *, seed: int | None = None) -> np.ndarray:
        """One value as an array, without start or end. `seed` draws one of several encodings where the feature samples them."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what was fitted, as JSON or a published format."""

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""


class TargetFeature(Feature):
    """A feature whose arrays become values again, as those that a model says must."""

    @abstractmethod
    def decode(self, array: np.ndarray) -> Any:
        """The value that the array stands for."""

    @abstractmethod
    def phrase(self, text: str) -> tuple[int, ...]:
        """A part of a target as symbols, without what every target begins with."""
