"""Inference engines, which run a model outside of its own code: an exported folder is a checkpoint with an engine's files in place of
weights.

    checkpoint.json  features/  manifest.json    as of every checkpoint; the header has `engine`, what `Exported` holds
    engine/                                      the engine's own files, instead of model.safetensors
    recipe.yaml  README.md                       for people

So whatever opens a run opens it: tasks, searches, ensembles, metrics and reports do not know the difference.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.search import Search
from antiphon.contracts.specs import Spec

FOLDER = "engine"
Precision = Literal["fp32", "bf16", "int8"]


@dataclass(frozen=True)
class Facts:
    """Properties of a model that an engine's model must have as well: those of `Seq2SeqModel` with the same names.

    `stepwise` is whether it is a `StepwiseModel`, `frames` whether it says something of each state of the memory (CTC).
    """

    stepwise: bool
    frames: bool
    stride: int = 1
    longest_source: int | None = None
    longest_target: int | None = None
    wait_k: int | None = None
    gives_attention: bool = False
    copies: bool = False
    predictor: tuple[int, ...] | None = None
    """For a transducer, the shape of its predictor's first state, per row: (earlier symbols that it uses besides the last), all padding, or
    (layers, 2, width) for an LSTM, all 0."""
    pool: tuple[int, int, int] | None = None
    """For a step that appends to a pool of keys and values (`engines/pool_state.py`): the numbers of layers and of key-value heads, and the
    width of the heads."""


@dataclass(frozen=True)
class Exported:
    """What an engine opens: the exported files, and the facts from the header.

    `head` are the settings of the model's output layer, None for the natural one. `versions` are those of the packages that wrote the
    files.
    `details` are the engine's own plain values.
    """

    folder: Path
    source: Spec
    target: Spec
    head: Any
    precision: Precision
    facts: Facts
    versions: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EnginePlugin:
    """What a file in `engines/` defines as `plugin`.

    `open(exported)` makes the model. It raises ConfigError when the engine's package is missing (naming the extra), or when the processor
    or the installed version cannot run the files, CheckpointError when they are damaged.
    """

    name: str
    summary: str
    open: Callable[[Exported], Seq2SeqModel]


@runtime_checkable
class SearchesItself(Protocol):
    """An engine's model that has a search of its own."""

    def own_search(self, settings: Any) -> Search | None:
        """A search that finds the same hypotheses as the named search with these settings; None where this is not proved."""
        ...
