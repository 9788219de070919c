"""Summarizes the result of a training run in a few plain values."""

from pathlib import Path
from typing import Any

from antiphon.errors import CheckpointError
from antiphon.store import checkpoint
from antiphon.training.loggers import last_event, without_nonfinite


def summary_of(folder: Path) -> dict[str, Any]:
    """A completed run: steps, seconds, the best score and its step, why it ended, and all scores of the best checkpoint.

    Raises CheckpointError when it has not.
    """
    end = last_event(folder / "metrics.jsonl")
    if end is None or end.get("kind") != "end":
        raise CheckpointError(f"The run in {folder} has not come to its end. Continue it with `--resume`.")
    header = checkpoint.read_json(checkpoint.find_checkpoint(folder) / checkpoint.HEADER)
    found: dict[str, Any] = without_nonfinite(
        {
            "run": str(folder),
            "steps": end["step"],
            "seconds": end.get("seconds"),
            "reason": end.get("reason"),
            "best": {
                "metric": header.get("recipe", {}).get("training", {}).get("best"),
                "score": end.get("best_score"),
                "step": end.get("best_step"),
            },
            "scores": header.get("scores", {}),
        }
    )
    return found
