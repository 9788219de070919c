"""What is exported for transformers says there what it says here: the same logits, and the same texts from `generate`."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from rich.console import Console

import antiphon
from antiphon.contracts.configuration import plain
from antiphon.errors import ExportError
from antiphon.recipe.assembly import load_trained
from antiphon.recipe.recipe import Recipe, recipe_from
from tests.pretrained_checkpoints import FAMILIES, write_checkpoint, write_sentencepiece

SOURCES = ["the cat sat on the mat", "der hund", "haus und baum und hund", "cat"]
TARGETS = ["der hund sat", "weg", "the mat und nicht langsam", "baum lief"]
DATA = {"train": [{"source": source, "target": target} for source, target in zip(SOURCES, TARGETS, strict=True)] * 4}
LIMITS = {"max_ratio": 0, "max_offset": 24}


def recipe(folder: Path, name: str, search: Any = "greedy", model: Any = None, **task: Any) -> Recipe:
    languages = FAMILIES[name].languages
    vocabulary = {"kind": "pretrained", "model": str(folder), **({"languages": list(languages)} if languages else {})}
    return recipe_from(
        {
            "task": {"name": "translation", "vocabulary": vocabulary, **task},
            "model": {"name": "pretrained", "path": str(folder), **(model or {})},
            "data": {"validation": 2},
            "training": {"max_steps": 2, "optimizer": {"name": "adamw", "learning_rate": 1e-4}, "samples": 0},
            "search": search,
        }
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A trained run and its export, by family and adapter."""
    made: dict[Any, tuple[Path, Path]] = {}

    def get(name: str, kind: str = "none", search: Any = None) -> tuple[Path, Path]:
        if (name, kind) not in made:
            folder = tmp_path_factory.mktemp(f"{name}-{kind}")
            adapter = None if kind == "none" else {"kind": kind, "rank": 2}
            base = write_checkpoint(folder / "base", name)
            search = {"name": "beam", "beam_size": 3, "limits": LIMITS}
            run = antiphon.train(recipe(base, name, search, {"adapter": adapter}), folder / "run", data=DATA)
            made[name, kind] = run, antiphon.export(run, out=folder / "exported")
        return made[name, kind]

    return get


def theirs(folder: Path) -> tuple[Any, Any]:
    return transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval(), transformers.AutoTokenizer.from_pretrained(folder)


def generated(model: Any, tokenizer: Any, **settings: Any) -> list[list[int]]:
    batch = tokenizer(SOURCES, padding=True, return_tensors="pt")
    with torch.inference_mode():
        rows: list[list[int]] = model.generate(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], **settings).tolist()
    return rows


SOME = [("t5", "lora"), ("bart", "none"), ("marian", "none"), ("mbart50", "none"), ("nllb", "dora")]
OTHERS = [(name, kind) for name in FAMILIES for kind in ("none", "lora") if (name, kind) not in SOME]


@pytest.mark.parametrize(("name", "kind"), [*SOME, *(pytest.param(*other, marks=pytest.mark.slow) for other in OTHERS)])
def test_the_same_logits_and_the_same_texts(exported: Any, name: str, kind: str) -> None:
    run, folder = exported(name, kind)
    assert {path.name for path in folder.iterdir()} >= {"config.json", "generation_config.json", "model.safetensors", "README.md"}
    assert not list(folder.rglob("*.bin")) + list(folder.rglob("adapter*"))
    predictor, (model, tokenizer) = antiphon.load(run), theirs(folder)
    symbols = {"input_ids": torch.arange(4, 12).view(2, 4), "decoder_input_ids": torch.arange(2, 8).view(2, 3)}
    with torch.inference_mode():
        ours: Any = predictor.model
        torch.testing.assert_close(model(**symbols).logits, ours.network(**symbols).logits, rtol=1e-4, atol=1e-5)
    spec, ended = predictor.task.target_spec, 0
    for search, settings in (({"name": "greedy", "limits": LIMITS}, {"num_beams": 1}), (None, {})):
        found = (predictor.with_search(search) if search else predictor).predict(SOURCES)
        for prediction, row in zip(found, generated(model, tokenizer, **settings), strict=True):
            said = prediction.hypothesis.elements.tolist()
            if prediction.hypothesis.finish_reason == "end" and spec.end in row[1:]:
                assert said == row[1 : 1 + row[1:].index(spec.end)]
                ended += 1
            elif search:  # at its limit ours ends, theirs is cut
                assert row[1 : 1 + len(said)] == said
    assert ended >= 2, "too few outputs ended by themselves to say anything"


def test_the_settings_are_written_and_what_has_none_is_said(exported: Any, tmp_path: Path) -> None:
    run, _ = exported("bart")
    changes = ["search.length_penalty=gnmt", "search.patience=2.0", "search.processors.no_repeat_ngram_size=3"]
    folder = antiphon.export(run, out=tmp_path / "other", overrides=changes)
    settings = json.loads((folder / "generation_config.json").read_text())
    assert (settings["num_beams"], settings["no_repeat_ngram_size"], settings["max_new_tokens"]) == (3, 3, 25)
    card = (folder / "README.md").read_text()
    assert "`generate` does differently" in card
    assert "`search.patience: 2.0` has no counterpart" in card
    assert "gnmt" in card


def test_the_card_has_data_recipe_scores_and_a_place_for_the_licence(exported: Any, tmp_path: Path) -> None:
    run, _ = exported("t5", "lora")
    evaluation = antiphon.evaluate(run, DATA["train"])
    folder = antiphon.export(run, out=tmp_path / "card")
    card = (folder / "README.md").read_text()
    front, rest = card.removeprefix("---\n").split("---\n", 1)
    assert {"library_name: transformers", "pipeline_tag: translation", "license: unknown"} <= set(front.splitlines())
    assert "lora adapter of rank 2, merged" in rest
    assert "* learned from: 12 examples" in rest
    assert f"| chrf | {evaluation['chrf']:.4g} |" in rest
    assert "beam_size: 3" in rest
    assert "**To be filled in.**" in rest
    assert str(tmp_path.parent.parent) not in card, "the folders of the machine that trained it are nobody's business"
    code = rest.split("```python\n")[1].split("```")[0].replace('from_pretrained(".")', f"from_pretrained({str(folder)!r})")
    exec(compile(code, "card", "exec"), {})  # noqa: S102  the card is our own


def test_no_file_names_the_machine(exported: Any) -> None:
    for name, kind in SOME:
        run, folder = exported(name, kind)
        for path in folder.rglob("*.json"):
            assert str(run.parent) not in path.read_text(encoding="utf-8"), path


def test_what_cannot_be_exported_is_refused(exported: Any, tmp_path: Path) -> None:
    run, folder = exported("bart")
    with pytest.raises(ExportError, match=r"exported exists already"):
        antiphon.export(run, out=folder)
    words = recipe_from(
        {
            "task": {"name": "translation", "vocabulary": {"kind": "word"}},
            "model": {"name": "lstm", "dim": 8},
            "data": {"validation": 2},
            "training": {"max_steps": 1, "samples": 0},
        }
    )
    own = antiphon.train(words, tmp_path / "own", data=DATA)
    with pytest.raises(ExportError, match=r"`hf` writes models of transformers .* own is a `lstm` of our own, which"):
        antiphon.export(own, out=tmp_path / "never")
    assert not list(tmp_path.glob("*never*")), "nothing half-written stays"
    assert load_trained(own).recipe.model.name == "lstm"


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_a_repetition_penalty_is_theirs_where_nothing_is_said_of_it(name: str, tmp_path: Path) -> None:
    """The decoder of T5 starts with another symbol than it ends with, that of BART with the same."""
    base = write_checkpoint(tmp_path / "base", name)
    network = transformers.AutoModelForSeq2SeqLM.from_pretrained(base)
    if name == "bart":
        network.final_logits_bias += 5  # positive logits, of which a punished one is the lowest
        network.save_pretrained(base)
    search = {"name": "greedy", "limits": LIMITS, "processors": {"repetition_penalty": 5.0}}
    made = recipe_from({**plain(recipe(base, name, search)), "training": {"max_steps": 0, "samples": 0}})
    heard = StringIO()
    run = antiphon.train(made, tmp_path / "run", data=DATA, console=Console(file=StringIO()))
    folder = antiphon.export(run, out=tmp_path / "out", console=Console(file=heard, width=1000))
    predictor = antiphon.load(run)
    end, same = predictor.task.target_spec.end, []
    for prediction, row in zip(predictor.predict(SOURCES), generated(*theirs(folder)), strict=True):
        said, cut = prediction.hypothesis.elements.tolist(), prediction.hypothesis.finish_reason == "length"
        same.append((said if cut else [*said, end]) == row[1 : 1 + len(said) + (not cut)])
    sentence = (
        "`search.processors.repetition_penalty: 5`: `generate` does otherwise: the symbol that starts its decoder counts as said there"
    )
    assert (all(same), sentence in heard.getvalue()) == ((True, False) if name == "t5" else (False, True))


def test_a_tokenizer_that_reads_otherwise_is_said(tmp_path: Path) -> None:
    base = write_sentencepiece(tmp_path / "base", "t5")
    network = transformers.AutoModelForSeq2SeqLM.from_config(transformers.AutoConfig.from_pretrained(base))
    network.save_pretrained(base)
    made = recipe_from({**plain(recipe(base, "t5", {"name": "greedy", "limits": LIMITS})), "training": {"max_steps": 0, "samples": 0}})
    run = antiphon.train(made, tmp_path / "run", data=DATA, console=Console(file=StringIO()))
    folder = antiphon.export(run, out=tmp_path / "out", console=Console(file=(heard := StringIO()), width=1000))
    assert heard.getvalue().startswith("`task.vocabulary`: the tokenizer of transformers reads some texts otherwise than the sentencepiece")
    assert (folder / "spiece.model").read_bytes() == (base / "spiece.model").read_bytes(), "so that it can be read here again"
