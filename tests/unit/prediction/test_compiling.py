"""`engine.compiled` on a run: what it does, what is said of it, and where it is refused."""

import json
from pathlib import Path

import pytest
import torch

import antiphon
from antiphon.contracts.trust import OWN
from antiphon.errors import ConfigError
from antiphon.prediction import compiling
from antiphon.prediction.compiling import uncompiled
from antiphon.recipe.assembly import Trained, build_task
from antiphon.recipe.recipe import recipe_from
from antiphon.search.compiled import CompiledSteps
from antiphon.search.ensemble import Ensemble
from tests.conformance.variants import build, variants

ON = ["engine.compiled=true"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compiling")
    rows = [{"source": f"ab{number}", "target": f"{number}ba"} for number in range(12)]
    recipe = {
        "task": {"name": "translation", "vocabulary": {"kind": "character"}},
        "data": {"validation": 2},
        "model": {"name": "lstm", "dim": 8},
        "training": {"max_steps": 1, "device": "cpu", "samples": 0},
        "search": {"name": "greedy", "limits": {"max_length": 3}},
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    return Path(antiphon.train(folder / "recipe.yaml", folder / "run", data={"train": rows}))


@pytest.fixture
def any_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this machine had what compiling takes, where nothing is compiled."""
    monkeypatch.setattr("antiphon.training.compiler.lacks", lambda _: "")


@pytest.mark.usefixtures("any_machine")
def test_predictions_are_the_same_and_what_was_compiled_is_said(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    plain, steps = antiphon.load(run, device="cpu"), antiphon.load(run, device="cpu", overrides=ON)
    assert isinstance(steps.model, CompiledSteps)
    assert uncompiled(steps.model) is steps.trained[0].model
    assert plain.remarks == steps.remarks == []
    inputs = ["ab1", "ab2", "b"]
    for one, two in zip(plain.predict(inputs), steps.predict(inputs), strict=True):
        assert two.text == one.text
        assert two.hypothesis.step_scores == pytest.approx(one.hypothesis.step_scores, abs=1e-5)
    steps.model.programs, steps.model.seconds = 2, 3.21
    assert steps.remarks == ["Compiled the decoder's step 2 times in 3.2 s."]
    assert steps.score({"source": "ab1", "target": "1ba"}).hypothesis.log_prob == pytest.approx(
        plain.score({"source": "ab1", "target": "1ba"}).hypothesis.log_prob, abs=1e-5
    )


@pytest.mark.usefixtures("any_machine")
def test_each_member_of_an_ensemble_has_its_own_and_a_run_without_the_setting_none(run: Path) -> None:
    both = antiphon.load([run, run], device="cpu", overrides=ON).model
    assert isinstance(both, Ensemble)
    assert all(isinstance(one, CompiledSteps) for one in both.models)
    assert not isinstance(antiphon.load(run, device="cpu").model, CompiledSteps)


def test_where_nothing_compiles_it_is_refused(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.training.compiler.shutil.which", lambda _: None)
    with pytest.raises(ConfigError, match=r"`engine.compiled` must be false here: it needs a C\+\+ compiler .* install one, such as g\+\+"):
        antiphon.load(run, device="cpu", overrides=ON)
    with pytest.raises(ConfigError, match=r"has no effect on .* a run takes only `engine.compiled`"):
        antiphon.load(run, device="cpu", overrides=["engine.search=ours"])


REFUSED = {
    "encoder_only": ({"name": "encoder_only"}, "cpu", "compiles the steps of a decoder, and a model `encoder_only` takes none"),
    "pretrained": ({"name": "pretrained", "path": "x"}, "cpu", "whose steps are those of transformers"),
    "channels": ({"name": "transformer", "channels": "independent"}, "cpu", "whose steps are those of each channel by itself"),
    "device": ({"name": "transformer"}, "mps", "it is for CPUs and GPUs with CUDA, but the device is `mps`"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_model_that_has_no_such_steps_is_refused(case: str) -> None:
    settings, device, said = REFUSED[case]
    one = next(variant for variant in variants() if variant.architecture == ("encoder_only" if case == "encoder_only" else "lstm"))
    recipe = recipe_from(
        {"task": {"name": "translation", "source": "a", "target": "b"}, "model": settings, "training": {"max_steps": 1}}, trust=OWN
    )
    model = build(one, 1, one.specs[0])
    with pytest.raises(ConfigError, match=said):
        compiling.compiled(model, Trained(Path("runs/a"), recipe, build_task(recipe), model, {}), torch.device(device))
    exported = Trained(Path("runs/a"), recipe, build_task(recipe), model, {"engine": {}})
    assert compiling.compiled(model, exported, torch.device("cpu")) is model, "an engine takes the steps"


def test_a_search_without_steps_is_refused() -> None:
    one = next(variant for variant in variants() if variant.architecture == "lstm" and "values" in variant.specs)
    settings = {
        "task": {"name": "forecasting", "horizon": 4, "decoding": "direct"},
        "model": {"name": "lstm"},
        "training": {"max_steps": 1},
    }
    recipe, model = recipe_from(settings, trust=OWN), build(one, 1, "values")
    with pytest.raises(ConfigError, match="compiles the steps of a decoder, and the search `direct` takes none"):
        compiling.compiled(model, Trained(Path("runs/a"), recipe, build_task(recipe), model, {}), torch.device("cpu"))
