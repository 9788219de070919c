"""A run that begins with another run's weights."""

import re
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

import antiphon
from antiphon.errors import CheckpointError, ConfigError
from antiphon.recipe.recipe import recipe_from
from antiphon.runs.train import train

FIRST = [{"source": source, "target": source[::-1]} for source in ("abc", "bca", "cab", "abca", "bb", "ca")]
SECOND = [{"source": source, "target": source[::-1]} for source in ("bcd", "dcb", "bd", "ddb", "bcb", "cd")]


TASK = {"name": "translation", "vocabulary": {"kind": "character"}}


def go(
    folder: Path, records: list[dict[str, str]], *, model: dict[str, Any], task: dict[str, Any] = TASK, **training: Any
) -> tuple[Any, str]:
    """Train a little; the model, and what was said."""
    recipe = recipe_from(
        {
            "task": task,
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
    second, said = go(tmp_path / "second", SECOND, model=model, init_from=str(tmp_path / "first"), init_vocabulary="new", freeze=freeze)
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


SMALL = {"name": "transformer", "dim": 8, "heads": 2, "feed_forward_dim": 8, "encoder_layers": 1, "decoder_layers": 1}


def layer(model: Any, name: str) -> dict[str, torch.Tensor]:
    """The weights of a layer."""
    return {rest: tensor for full, tensor in model.state_dict().items() if (rest := full.removeprefix(f"{name}.")) != full}


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    assert one
    assert one.keys() == two.keys()
    return all(torch.equal(one[name], two[name]) for name in one)


def test_more_layers_begin_with_those_of_the_same_number(tmp_path: Path) -> None:
    first, _ = go(tmp_path / "first", FIRST, model=SMALL)
    freeze = ["encoder.0.*"]
    second, said = go(tmp_path / "second", FIRST, model={**SMALL, "encoder_layers": 2}, init_from=str(tmp_path / "first"), freeze=freeze)
    assert "taken from" in said
    assert re.search(r"fresh: encoder\.1\.\* \(\d+\)$", said, re.MULTILINE)
    assert "left over" not in said
    assert same(layer(first.model, "encoder.0"), layer(second.model, "encoder.0"))


def test_fewer_layers_leave_the_others_over(tmp_path: Path) -> None:
    first, _ = go(tmp_path / "first", FIRST, model={**SMALL, "decoder_layers": 3})
    second, said = go(tmp_path / "second", FIRST, model=SMALL, init_from=str(tmp_path / "first"), freeze=["decoder.0.*"])
    assert re.search(r"left over: decoder\.1\.\* \(\d+\), decoder\.2\.\* \(\d+\)$", said, re.MULTILINE)
    assert "fresh" not in said
    assert same(layer(first.model, "decoder.0"), layer(second.model, "decoder.0"))


@pytest.mark.parametrize(("old", "new", "places"), [(5, 3, [0, 2, 4]), (2, 4, [0, 0, 1, 1]), (3, 1, [0]), (1, 2, [0, 0])])
def test_evenly_spaced_layers(tmp_path: Path, old: int, new: int, places: list[int]) -> None:
    first, _ = go(tmp_path / "first", FIRST, model={**SMALL, "encoder_layers": old})
    settings = {"init_from": str(tmp_path / "first"), "init_layers": "spread", "freeze": ["encoder.*"]}
    second, said = go(tmp_path / "second", FIRST, model={**SMALL, "encoder_layers": new}, **settings)
    for place, origin in enumerate(places):
        assert same(layer(first.model, f"encoder.{origin}"), layer(second.model, f"encoder.{place}"))
    assert "fresh" not in said
    for place, origin in enumerate(places):
        assert (f"encoder.{place} from encoder.{origin}" in said) == (place != origin)
    for origin in set(range(old)) - set(places):
        assert f"encoder.{origin}.* (" in said.partition("left over")[2]


def test_spread_needs_a_run_to_begin_with(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`init_layers` must be left out without `init_from`"):
        go(tmp_path / "first", FIRST, model=SMALL, init_layers="spread")


def test_another_language_pair_and_task(tmp_path: Path) -> None:
    """From translation to filling gaps: other columns, other letters; what is in the middle of the model stays."""
    first, _ = go(tmp_path / "first", FIRST, model=SMALL)
    turned = [{"en": record["target"] + "d", "it": record["source"]} for record in FIRST]
    settings = {"init_from": str(tmp_path / "first"), "init_vocabulary": "new", "freeze": ["encoder.*", "decoder.*"]}
    for number, task in enumerate(({"name": "translation", "source": "en", "target": "it"}, {"name": "denoising", "text": "en"})):
        vocabulary = {"vocabulary": {"kind": "character"}}
        second, said = go(tmp_path / f"second{number}", turned, model=SMALL, task={**task, **vocabulary}, **settings)
        assert same(layer(first.model, "encoder.0"), layer(second.model, "encoder.0"))
        assert same(layer(first.model, "decoder.0"), layer(second.model, "decoder.0"))
        assert len(re.findall(r"(?:source|target)\S*frontend\.embedding\.weight: the rows of [67] of \d+ pieces", said)) == 2


def test_nothing_in_common_is_refused(tmp_path: Path) -> None:
    go(tmp_path / "first", FIRST, model={"name": "lstm", "dim": 8})
    with pytest.raises(CheckpointError, match=r"Nothing in .* fits this model"):
        go(tmp_path / "second", FIRST, model={"name": "transformer", "dim": 12, "heads": 2}, init_from=str(tmp_path / "first"))


def test_a_vocabulary_with_the_same_settings_is_kept(tmp_path: Path) -> None:
    model = {"name": "lstm", "dim": 8}
    first, _ = go(tmp_path / "first", FIRST, model=model)
    start = {"init_from": str(tmp_path / "first")}
    kept, said = go(tmp_path / "kept", SECOND, model=model, **start)
    pieces = [found.task.target_text.pieces(np.arange(found.task.target_spec.size)) for found in (first, kept)]
    assert pieces[0] == pieces[1]
    assert "`task.vocabulary` is kept from" in said
    assert "`training.init_vocabulary: new` learns another one" in said
    other, said = go(
        tmp_path / "other", SECOND, model=model, task={**TASK, "vocabulary": {"kind": "character", "lowercase": True}}, **start
    )
    assert "`task.vocabulary` is not that of" in said
    assert "(`lowercase`), so a new one is learned" in said
    assert "d" in other.task.target_text.pieces(np.arange(other.task.target_spec.size))


def test_two_architectures_are_named(tmp_path: Path) -> None:
    go(tmp_path / "first", FIRST, model={"name": "lstm", "dim": 8})
    transformer = {"name": "transformer", "dim": 8, "heads": 2, "encoder_layers": 1, "decoder_layers": 1}
    start = {"init_from": str(tmp_path / "first")}
    _, said = go(tmp_path / "second", FIRST, model=transformer, **start)
    assert "`training.init_from` is a run of `lstm`, and `model.name` is `transformer`" in said
    with pytest.raises(CheckpointError, match="of `lstm` fits this model of `transformer`"):
        go(tmp_path / "third", FIRST, model={**transformer, "dim": 4}, **start)
