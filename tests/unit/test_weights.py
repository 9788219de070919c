"""A run that begins with another run's weights."""

from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

import antiphon
from antiphon.errors import CheckpointError
from antiphon.recipe import recipe_from
from antiphon.training_run import train

FIRST = [{"source": source, "target": source[::-1]} for source in ("abc", "bca", "cab", "abca", "bb", "ca")]
SECOND = [{"source": source, "target": source[::-1]} for source in ("bcd", "dcb", "bd", "ddb", "bcb", "cd")]


def go(folder: Path, records: list[dict[str, str]], *, model: dict[str, Any], **training: Any) -> tuple[Any, str]:
    """Train a little; the model, and what was said."""
    recipe = recipe_from(
        {
            "task": {"name": "translation", "vocabulary": {"kind": "character"}},
            "model": model,
            "data": {"validation": 2},
            "training": {"max_steps": 2, **training},
            "search": "greedy",
        }
    )
    said = StringIO()
    run = train(recipe, folder, data={"train": records}, console=Console(file=said, width=400))
    return antiphon.load(run), said.getvalue()


@pytest.mark.parametrize("tied", ["none", "all"])
def test_pieces_that_both_vocabularies_have_keep_their_rows(tmp_path: Path, tied: str) -> None:
    model = {"name": "lstm", "dim": 8, "tied_embeddings": tied}
    first, _ = go(tmp_path / "first", FIRST, model=model)
    freeze = ["*frontend*"]
    second, said = go(tmp_path / "second", SECOND, model=model, init_from=str(tmp_path / "first"), freeze=freeze)
    pieces = [found.task.target_text.pieces(np.arange(found.task.target_spec.size)) for found in (first, second)]
    tables = [found.model.target_frontend.embedding.weight for found in (first, second)]
    both = [piece for piece in pieces[1] if piece in pieces[0]]
    assert {"b", "c"} <= set(both)
    assert "d" not in both
    for piece in both:
        assert torch.equal(tables[1][pieces[1].index(piece)], tables[0][pieces[0].index(piece)])
    assert f"target_frontend.embedding.weight: the rows of {len(both)} of {len(pieces[1])} pieces" in said
    other, _ = go(tmp_path / "other", SECOND, model=model, freeze=freeze)
    place = pieces[1].index("d")
    assert torch.equal(other.model.target_frontend.embedding.weight[place], tables[1][place]), "a new piece begins as in any run"


def test_another_depth_takes_what_there_is(tmp_path: Path) -> None:
    small = {"name": "transformer", "dim": 8, "heads": 2, "feed_forward_dim": 8, "encoder_layers": 1, "decoder_layers": 1}
    go(tmp_path / "first", FIRST, model=small)
    _, said = go(tmp_path / "second", FIRST, model={**small, "encoder_layers": 2}, init_from=str(tmp_path / "first"))
    assert "taken from" in said
    assert "fresh: encoder.1." in said


def test_nothing_in_common_is_refused(tmp_path: Path) -> None:
    go(tmp_path / "first", FIRST, model={"name": "lstm", "dim": 8})
    with pytest.raises(CheckpointError, match=r"Nothing in .* fits this model"):
        go(tmp_path / "second", FIRST, model={"name": "transformer", "dim": 12, "heads": 2}, init_from=str(tmp_path / "first"))
