"""A run with random weights that reads and writes texts, and says of each so many symbols and the end: for speed, not for quality.

A Transformer whose training has just begun says the same symbol until its limit, which no user waits for. Here the positions tell the
end: from one position on, the table of learned positions holds a direction that only the end symbol's output weights know. Symbols
that no trained model says (padding, start, unknown) have a bias against them. All else is random.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from encoding import SEED, SHIPPED

from antiphon.contracts.specs import TokenSpec
from antiphon.contracts.trust import OWN
from antiphon.data.records import open_records
from antiphon.models.transformer import Transformer
from antiphon.recipe.assembly import build_model, build_task, header_of
from antiphon.recipe.recipe import recipe_from
from antiphon.store import checkpoint

NEVER, LOUD = -30.0, 30.0


def write_run(folder: Path, layers: tuple[int, int], says: int, *, data: Path = SHIPPED, more: Mapping[str, Any] | None = None) -> Path:
    """The benchmark's Transformer with so many layers of encoder and decoder, its vocabulary of 8,000 pieces learned from the data that
    ships with the project, and outputs of `says` symbols."""
    if (folder / "checkpoint.json").exists():
        return folder
    sizes = {"dim": 256, "heads": 4, "feed_forward_dim": 1024, "encoder_layers": layers[0], "decoder_layers": layers[1]}
    own = {"tied_embeddings": "all", "positions": "learned", "head": {"name": "categorical", "bias": True}}
    recipe = recipe_from(
        {
            "task": {"name": "translation", "source": "en", "target": "de", "vocabulary": {"kind": "unigram", "size": 8000}},
            "data": {"limits": {"max_source_length": 200, "max_target_length": 200}},
            "model": {"name": "transformer", **sizes, **own, **(more or {})},
            "training": {"max_steps": 1},
            "search": {"name": "beam", "beam_size": 5},
            "evaluation": {"batch_size": 32},
        },
        trust=OWN,
    )
    task = build_task(recipe)
    task.fit([record for _, record in open_records(data, required=task.columns)()])
    torch.manual_seed(SEED)
    model = build_model(recipe, task)
    assert isinstance(model, Transformer), "the recipe says so"
    end_behind(model, says)

    def write_features(place: Path) -> None:
        (place / checkpoint.FEATURES).mkdir()
        task.save(place / checkpoint.FEATURES)

    header = {**header_of(recipe, task), "step": 0, "scores": {}}
    checkpoint.write(folder, header, model.state_dict(), write_features)
    return folder


@torch.no_grad()
def end_behind(model: Transformer, says: int) -> None:
    """Let the model say so many symbols and then the end. Its positions are learned, its last norm stands before the output."""
    target = model.target
    assert isinstance(target, TokenSpec), "the model translates symbols"
    named = dict(model.named_parameters(remove_duplicate=False))
    (bias,) = [one for name, one in named.items() if name == "head.bias"]
    tables = [one for name, one in named.items() if "target_positioned" in name and one.dim() == 2 and one.shape[0] != target.size]
    assert len(tables) == 1, f"one table of positions was expected, not {len(tables)}"
    direction = torch.where(torch.randperm(model.settings.dim) % 2 == 0, 1.0, -1.0)
    tables[0][says:] = LOUD * direction
    output = named["head.weight"]
    output[target.end] = direction
    bias[target.end] = -100.0  # beside features along the direction its logit is some 250
    bias[[target.pad, target.start, target.unknown]] = NEVER


def sources(count: int, *, data: Path = SHIPPED, column: str = "en") -> Sequence[str]:
    """The first texts of a file."""
    found: list[str] = []
    for _, record in open_records(data, required=(column,))():
        text = str(record[column]).strip()
        if text:
            found.append(text)
        if len(found) == count:
            return found
    raise SystemExit(f"{data} holds only {len(found)} texts, but {count} are needed.")
