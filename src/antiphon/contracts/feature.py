"""Features turn values of a column into the arrays that a model reads; target features also turn arrays back into values."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.contracts.specs import Spec


class Feature(ABC):
    """Turns values of one column into arrays. The constructor stores settings, `fit` learns from data, `save` writes what was learned."""

    @property
    @abstractmethod
    def spec(self) -> Spec:
        """What a model needs to know about the arrays; available once fitted."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A hash that changes whenever a value would be encoded differently, by other settings or another fit."""

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
    """A feature for targets: arrays can be decoded into values again."""

    @abstractmethod
    def decode(self, array: np.ndarray) -> Any:
        """The value that the array stands for."""

    @abstractmethod
    def phrase(self, text: str) -> tuple[int, ...]:
        """A phrase within a target as symbols, without the symbols that begin every target."""
