"""A run exported for CTranslate2 is opened like a run, and says the same; what CTranslate2 cannot hold is refused."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import antiphon
from antiphon.errors import ExportError
from antiphon.exporters.ctranslate2 import check, positions
from antiphon.recipe.assembly import load_trained
from antiphon.recipe.recipe import Recipe, recipe_from

SOURCES = ["the cat sat on the mat", "der hund", "haus und baum und hund", "cat", "sat on haus"]
TARGETS = ["der hund sat", "weg", "the mat und nicht langsam", "baum lief", "langsam"]
DATA = {"train": [{"source": source, "target": target} for source, target in zip(SOURCES, TARGETS, strict=True)] * 8}
SMALL = {"dim": 32, "heads": 4, "encoder_layers": 1, "decoder_layers": 1, "feed_forward_dim": 48}


def recipe(model: Any = None, search: Any = "beam", **task: Any) -> Recipe:
    return recipe_from(
        {
            "task": {"name": "translation", "vocabulary": {"kind": "word"}, **task},
            "model": {"name": "transformer", **SMALL, **(model or {})},
            "data": {"validation": 4},
            "training": {"max_steps": 4, "samples": 0},
            "search": search,
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return antiphon.train(recipe(), tmp_path_factory.mktemp("run") / "run", data=DATA)


def test_it_is_opened_like_a_run(run: Path, tmp_path: Path) -> None:
    told = StringIO()
    folder = antiphon.export(run, format="ctranslate2", out=tmp_path / "fp32", console=Console(file=told, width=1000))
    assert "at most 2,048 symbols" in told.getvalue()
    original = antiphon.load(run)
    for overrides in ([], ["engine.search=ours"], ["search=greedy"]):
        found = antiphon.load(folder, overrides=overrides)
        expected = original.with_search({"name": "greedy"}) if "search=greedy" in overrides else original
        for one, other in zip(found.predict(SOURCES), expected.predict(SOURCES), strict=True):
            assert one.text == other.text
            assert abs(one.hypothesis.score - other.hypothesis.score) < 1e-4
            assert one.hypothesis.step_scores == pytest.approx(other.hypothesis.step_scores, abs=1e-4)
    scored = zip(antiphon.load(folder).score(DATA["train"][:5]), original.score(DATA["train"][:5]), strict=True)
    assert all(abs(one.hypothesis.log_prob - other.hypothesis.log_prob) < 1e-4 for one, other in scored)


def test_8_bits(run: Path, tmp_path: Path) -> None:
    folder = antiphon.export(run, format="ctranslate2", precision="int8", out=tmp_path / "int8")
    full = antiphon.export(run, format="ctranslate2", out=tmp_path / "fp32")
    assert (folder / "engine" / "model.bin").stat().st_size < (full / "engine" / "model.bin").stat().st_size
    found, expected = (list(antiphon.load(place).score(DATA["train"][:5])) for place in (folder, run))
    for one, other in zip(found, expected, strict=True):
        assert one.hypothesis.log_prob == pytest.approx(other.hypothesis.log_prob, abs=1.0)
        assert one.hypothesis.log_prob != other.hypothesis.log_prob


def test_exporting_leaves_the_model_as_it_is(run: Path, tmp_path: Path) -> None:
    trained = load_trained(run)
    before = {name: weight.clone() for name, weight in trained.model.state_dict().items()}
    antiphon.export(run, format="ctranslate2", precision="int8", out=tmp_path / "out")
    from antiphon.exporters.ctranslate2 import write_transformer

    (tmp_path / "files").mkdir()
    write_transformer(trained.model, tmp_path / "files", 64, "int8_float32")  # type: ignore[arg-type]
    assert all(weight.equal(before[name]) for name, weight in trained.model.state_dict().items())


def test_sources_may_be_as_long_as_the_table(run: Path, tmp_path: Path) -> None:
    folder = antiphon.export(run, format="ctranslate2", out=tmp_path / "fp32")
    long, longer = " ".join(["cat"] * 1_500), " ".join(["cat"] * 2_500)
    search = {"name": "greedy", "limits": {"max_ratio": 0, "max_offset": 4}}
    found, expected = (antiphon.load(place).with_search(search).predict(long) for place in (folder, run))
    assert found.text == expected.text
    assert abs(found.hypothesis.score - expected.hypothesis.score) < 1e-4
    refused = antiphon.load(folder).predict([longer], on_error="keep")[0]
    assert "2,048" in refused.details["error"] or "2048" in refused.details["error"]
    assert positions({"data": {"limits": {"max_source_length": 3_000, "max_target_length": None}}}) == 3_001


def test_its_files_are_those_of_ctranslate2(run: Path, tmp_path: Path) -> None:
    folder = antiphon.export(run, format="ctranslate2", out=tmp_path / "fp32") / "engine"
    config = json.loads((folder / "config.json").read_text())
    assert (config["add_source_eos"], config["layer_norm_epsilon"]) == (False, 1e-5)
    header = json.loads((folder.parent / "checkpoint.json").read_text())["engine"]
    assert (header["name"], header["precision"], set(header["versions"])) == ("ctranslate2", "fp32", {"ctranslate2"})


def test_other_architectures_are_refused(tmp_path: Path) -> None:
    run = antiphon.train(recipe_from({**antiphon_lstm()}), tmp_path / "run", data=DATA)
    with pytest.raises(ExportError, match=r"holds `model\.name: transformer`.*is a `lstm`.*onnx"):
        antiphon.export(run, format="ctranslate2", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def antiphon_lstm() -> dict[str, Any]:
    return {
        "task": {"name": "translation", "vocabulary": {"kind": "word"}},
        "model": {"name": "lstm", "dim": 8},
        "data": {"validation": 4},
        "training": {"max_steps": 1, "samples": 0},
    }


def test_values_are_refused() -> None:
    from antiphon.contracts.specs import TokenSpec, ValueSpec
    from antiphon.layers.transformer_config import TransformerConfig
    from antiphon.models.transformer import Transformer

    target = TokenSpec(size=9, pad=0, unknown=1, start=2, end=3)
    with pytest.raises(ExportError, match="symbols into symbols, but this one has values"):
        check(Transformer(TransformerConfig(dim=8, heads=2), ValueSpec(3), target))
