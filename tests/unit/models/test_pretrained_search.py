"""A published checkpoint is searched as it asks for, where the recipe does not say: with its beams, lengths and rules, as by `generate`."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from rich.console import Console

import antiphon
from antiphon.models.pretrained_search import lost_of, published_generation, search_of
from antiphon.recipe.recipe import Recipe, recipe_from, with_overrides
from tests.pretrained_checkpoints import write_checkpoint, write_whisper

SOURCES = ["the cat sat on the mat", "der hund", "haus und baum und hund", "cat"]
DATA = {"train": [{"source": source, "target": "der hund"} for source in SOURCES] * 2}
SUMMARIZER = {"num_beams": 4, "length_penalty": 2.0, "max_length": 142, "min_length": 56, "no_repeat_ngram_size": 3, "early_stopping": True}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, {}),
        ({"early_stopping": True}, {}),
        (
            SUMMARIZER,
            {
                "name": "beam",
                "beam_size": 4,
                "length_penalty": "power",
                "alpha": 2.0,
                "limits": {"min_length": 55, "max_length": 140},
                "processors": {"no_repeat_ngram_size": 3},
            },
        ),
        ({"num_beams": 1}, {"name": "greedy"}),
        ({"num_beams": 5}, {"name": "beam", "beam_size": 5, "length_penalty": "average"}),
        ({"num_beams": 5, "length_penalty": 0.0}, {"name": "beam", "beam_size": 5, "length_penalty": "none"}),
        ({"max_length": 200}, {"name": "beam", "limits": {"max_length": 198}}),
        (
            {"max_length": 200, "max_new_tokens": 9, "min_length": 7, "min_new_tokens": 3},
            {"name": "beam", "limits": {"min_length": 3, "max_length": 8}},
        ),
        ({"min_length": 1}, {}),
        ({"repetition_penalty": 1.2}, {"name": "beam", "processors": {"repetition_penalty": 1.2}}),
        (
            {"bad_words_ids": [[7], [8, 9]], "suppress_tokens": [5, -1], "begin_suppress_tokens": [6]},
            {"name": "beam", "processors": {"forbidden": [5, 7], "forbidden_first": [6]}},
        ),
        ({"do_sample": True, "top_p": 0.9}, {"name": "sampling", "top_k": 50, "top_p": 0.9}),
        ({"do_sample": True, "top_k": 0, "temperature": 0.7}, {"name": "sampling", "temperature": 0.7}),
    ],
)
def test_what_it_asks_for_in_our_settings(said: dict[str, Any], expected: dict[str, Any]) -> None:
    assert search_of(said) == expected


@pytest.mark.parametrize(
    ("said", "sentences"),
    [
        (SUMMARIZER, []),
        ({"encoder_no_repeat_ngram_size": 3, "typical_p": 1.0}, ["`encoder_no_repeat_ngram_size: 3` has no counterpart here."]),
        ({"renormalize_logits": True}, ["`renormalize_logits: true` has no counterpart here."]),
        ({"num_beams": 4}, ["`early_stopping: false`: a beam search here stops as with true; `search.patience` makes it go on."]),
        (
            {**SUMMARIZER, "length_penalty": -1.0},
            ["`length_penalty: -1.0`: only powers of at least 0 are known here, so 0 is used."],
        ),
        (
            {"bad_words_ids": [[8, 9]]},
            ["`bad_words_ids`: those of several symbols are not banned here; give their texts as `banned` with an input."],
        ),
        (
            {**SUMMARIZER, "repetition_penalty": 1.2},
            ["`repetition_penalty: 1.2`: in transformers it counts the start symbol, too, and changes log-probabilities in beams."],
        ),
    ],
)
def test_what_has_no_counterpart_is_named(said: dict[str, Any], sentences: list[str]) -> None:
    assert lost_of(said) == sentences


def test_it_is_read_from_either_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bart", "num_beams": 4, "d_model": 8}))
    assert published_generation(tmp_path) == {"num_beams": 4}
    (tmp_path / "generation_config.json").write_text(json.dumps({"max_length": 9, "pad_token_id": 1}))
    assert published_generation(tmp_path) == {"max_length": 9}, "the newer file says all"
    assert published_generation(tmp_path / "nowhere") == {}


def asking(folder: Path, name: str, **settings: Any) -> Path:
    """A tiny checkpoint that asks for a search."""
    write_whisper(folder) if name == "whisper" else write_checkpoint(folder, name)
    path = folder / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    return folder


def recipe(folder: Path, **more: Any) -> Recipe:
    return recipe_from(
        {
            "task": {"name": "translation", "vocabulary": {"kind": "pretrained", "model": str(folder)}},
            "model": {"name": "pretrained", "path": str(folder)},
            "data": {"validation": 2},
            "training": {"max_steps": 0, "samples": 0},
            **more,
        }
    )


def said_by_generate(folder: Path) -> list[list[int]]:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    batch = tokenizer(SOURCES, padding=True, return_tensors="pt")
    with torch.inference_mode():
        rows: list[list[int]] = model.generate(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).tolist()
    return [row[1:] for row in rows]


@pytest.mark.parametrize("name", ["bart", "t5", "pegasus", "marian"])
@pytest.mark.parametrize("beams", [{"num_beams": 1}, {"num_beams": 3, "length_penalty": 2.0, "early_stopping": True}])
def test_it_says_what_generate_says_without_being_told(name: str, beams: dict[str, Any], tmp_path: Path) -> None:
    """Lengths bind here: without the minimum outputs are shorter, and the maximum cuts some."""
    end, start = (0, None) if name == "marian" else (2, 2) if name == "bart" else (1, 0)
    pad = {"marian": None, "bart": 1}.get(name, 0)
    silent = {"suppress_tokens": sorted({pad, start} - {end, None})} if pad is not None else {}
    rules = {"min_length": 7, "max_length": 14, "no_repeat_ngram_size": 2, "forced_eos_token_id": end}
    folder = asking(tmp_path / "published", name, **rules, **beams, **silent)
    run = antiphon.train(
        recipe(folder, search={"limits": {"max_offset": 30}}), tmp_path / "run", data=DATA, console=Console(file=StringIO())
    )
    found = [prediction.hypothesis for prediction in antiphon.load(run).predict(SOURCES)]
    assert all(6 <= len(hypothesis.elements) <= 12 for hypothesis in found)
    compared = 0
    for hypothesis, row in zip(found, said_by_generate(folder), strict=True):
        if hypothesis.finish_reason == "end" or beams["num_beams"] == 1:
            assert row[: row.index(end)] == hypothesis.elements.tolist()
            compared += 1
    assert compared >= 2, "too few outputs were compared to say anything"


def test_the_recipe_goes_first(tmp_path: Path) -> None:
    folder = asking(tmp_path / "published", "bart", **SUMMARIZER)
    assert (search := recipe(folder).search).beam_size == 4
    assert (search.limits.min_length, search.limits.max_ratio) == (55, 2.0)
    changed = recipe(folder, search={"beam_size": 2, "limits": {"min_length": 3}, "processors": {"no_repeat_ngram_size": 0}}).search
    assert (changed.beam_size, changed.alpha, changed.limits.min_length, changed.limits.max_length) == (2, 2.0, 3, 140)
    assert changed.processors.no_repeat_ngram_size == 0
    greedy = recipe(folder, search="greedy").search
    assert (greedy.name, greedy.limits.min_length, greedy.processors.no_repeat_ngram_size) == ("greedy", 55, 3)
    shorter = recipe(folder, search={"limits": {"max_length": 20}}).search.limits
    assert (shorter.min_length, shorter.max_length) == (0, 20), "what contradicts the recipe is not asked for"
    words = recipe(folder, search={"limits": {"unit": "words"}}).search.limits
    assert (words.min_length, words.max_length) == (0, None), "lengths in symbols are none in words"


def test_a_run_remembers_it_and_training_says_it(tmp_path: Path) -> None:
    folder = asking(tmp_path / "published", "bart", **SUMMARIZER, encoder_no_repeat_ngram_size=3)
    heard = StringIO()
    run = antiphon.train(recipe(folder), tmp_path / "run", data=DATA, console=Console(file=heard, width=1000))
    said = heard.getvalue()
    assert "Where the recipe does not say, `search` is what it asks for: " in said
    assert "length_penalty 2.0, max_length 142, min_length 56" in said
    assert "  `encoder_no_repeat_ngram_size: 3` has no counterpart here." in said
    (folder / "generation_config.json").unlink()
    stored = antiphon.load(run).recipe
    assert stored.search.beam_size == 4
    assert with_overrides(stored, ["search.name=greedy"]).search.limits.min_length == 55
    folder = antiphon.export(run, out=tmp_path / "exported", console=Console(file=StringIO()))
    written = json.loads((folder / "generation_config.json").read_text())
    assert (written["min_new_tokens"], written["length_penalty"], written["no_repeat_ngram_size"]) == (55, 2.0, 3)
    assert "encoder_no_repeat" not in (folder / "README.md").read_text()


def test_a_run_of_an_earlier_version_searches_as_it_did(tmp_path: Path) -> None:
    folder = asking(tmp_path / "published", "bart", **SUMMARIZER)
    before = recipe(folder, model={"name": "pretrained", "path": str(folder), "description": {"model_type": "bart"}})
    assert before.search.beam_size == 5
    assert before.search.limits.min_length == 0


def test_what_a_whisper_may_say_stays_with_its_vocabulary(tmp_path: Path) -> None:
    folder = asking(tmp_path / "published", "whisper", num_beams=2, max_length=48)
    assert published_generation(folder) == {"num_beams": 2}


def test_a_recipe_can_be_read_where_the_checkpoint_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.features.published.hub_answers", lambda: False)
    assert recipe(Path("nobody/nothing")).search.beam_size == 5
