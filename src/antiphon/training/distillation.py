"""The distillation section of a recipe: what a student learns from a trained teacher."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from antiphon.contracts.configuration import config


@config
class DistillationConfig:
    """How a student learns from a trained teacher (`antiphon distill`)."""

    teachers: tuple[Path, ...] = ()
    """The teacher's run or checkpoint; several are an ensemble. `antiphon distill` fills it in."""
    level: Literal["sequence", "token", "both"] = "sequence"
    """What the student learns: the outputs of the teacher's search for the training sources (`sequence`, Kim and Rush 2016), its
    probabilities at each step of the true target (`token`), or its probabilities at each step of its own outputs (`both`)."""
    vocabulary: Literal["teacher", "own"] | None = None
    """Whose vocabulary the student has: the teacher's, or its own, learned from the data. Left out: the teacher's unless `task` asks
    for another."""
    search: dict[str, Any] | None = None
    """Settings of the teacher's search that differ from those of its recipe, such as {beam_size: 4}."""
    batch_size: Annotated[int, Field(ge=1)] = 64
    """Training sources that the teacher decodes together."""
    keep_references: Annotated[float, Field(ge=0)] = 0.0
    """How often an epoch also shows each original pair, beside the teacher's: 1 means once, 0.5 a random half of them, drawn anew each
    epoch."""
    weight: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The share of the teacher's probabilities in the loss; the rest is the loss against the target."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """Smooths the probabilities of teacher and student when above 1."""

    def __post_init__(self) -> None:
        """Refuse settings that would have no effect."""
        unused = {"token": ("search", "batch_size", "keep_references"), "sequence": ("weight", "temperature"), "both": ()}
        for name in unused[self.level]:
            if getattr(self, name) != self.__dataclass_fields__[name].default:
                raise ValueError(f"`{name}` must be left out with `level: {self.level}`, where it has no effect.")

    @property
    def stores_outputs(self) -> bool:
        """Whether the student is trained on outputs of the teacher's search."""
        return self.level != "token"

    @property
    def asks_for_probabilities(self) -> bool:
        """Whether the student is trained on the teacher's probabilities."""
        return self.level != "sequence"
