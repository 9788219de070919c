"""The forecasting benchmark: the same windows and the same models for us and for plain PyTorch; who takes part."""

import argparse
import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from antiphon.contracts.specs import ValueSpec
from antiphon.models import lstm, transformer

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")  # nn.Transformer says so of every pre-norm encoder


@pytest.fixture(autouse=True)
def _benchmarks_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "peers"))


def size(model: torch.nn.Module) -> int:
    """How many numbers a model learns."""
    return sum(parameter.numel() for parameter in model.parameters())


def test_plain_models_are_as_large_as_ours() -> None:
    import plain_forecasting
    from own_forecasting import MODELS

    def ours(name: str) -> dict[str, object]:
        return {key: value for key, value in MODELS[name].items() if key != "name"}

    spec = ValueSpec(1)
    assert size(plain_forecasting.LSTM()) == size(lstm.build(lstm.LSTMConfig(**ours("lstm")), spec, spec))  # type: ignore[arg-type]
    config = transformer.TransformerConfig(**ours("transformer"))  # type: ignore[arg-type]
    assert size(plain_forecasting.Transformer(96)) == size(transformer.build(config, spec, spec))


def test_plain_models_say_a_point_for_each_step_and_never_look_ahead() -> None:
    import plain_forecasting

    torch.manual_seed(1)
    source, inputs = torch.randn(2, 8, 1), torch.randn(2, 3, 1)
    later = inputs.clone()
    later[:, 2] += 1
    for model in (plain_forecasting.LSTM(), plain_forecasting.Transformer(8)):
        said, again = model.eval()(source, inputs), model(source, later)
        assert said.shape == (2, 3, 1)
        torch.testing.assert_close(said[:, :2], again[:, :2])
        assert not torch.allclose(said[:, 2], again[:, 2])


def test_plain_windows_are_those_of_our_recipe(tmp_path: Path) -> None:
    import plain_forecasting
    from forecasting_options import read_series
    from own_forecasting import recipe_for

    from antiphon.contracts.limits import Limits
    from antiphon.recipe.assembly import build_corpora, build_task, fit_task, open_splits

    file = tmp_path / "series.csv.gz"
    values = {"long": [float(number**2) for number in range(9)], "short": [3.0] * 5, "too short": [1.0, 2.0]}
    rows = [f"{name},2001-{month + 1:02},{value}" for name, series in values.items() for month, value in enumerate(series)]
    with gzip.open(file, "wt") as out:
        out.write("\n".join(["unique_id,ds,y", *rows]) + "\n")

    torch.manual_seed(1)
    source, target = next(plain_forecasting.windows(read_series(file), context=3, horizon=2, rows=100))
    assert source.shape == (6, 3, 1)  # every window once: 5 of the long series, 1 of the short one
    assert target.shape == (6, 3, 1)

    recipe = recipe_for("lstm", file, 3, 2, 100)
    task = build_task(recipe)
    split = open_splits(recipe, task)["train"]
    fit_task(task, split)
    [corpus] = build_corpora(split, task, tmp_path / "corpus", Limits(), keep_records=False)
    examples = [corpus.example(index) for index in range(len(corpus))]
    ours = np.array([np.concatenate([one.source[:, 0], one.target[1:, 0]]) for one in examples if one.target is not None])
    theirs = torch.cat([source, target[:, 1:]], dim=1)[..., 0].numpy()
    assert all(one.target is not None and one.target[0, 0] == one.source[-1, 0] for one in examples)
    torch.testing.assert_close(target[:, 0], source[:, -1])
    np.testing.assert_allclose(np.sort(theirs, axis=0), np.sort(ours, axis=0), rtol=1e-4, atol=1e-5)


def test_who_takes_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from forecasting_speed import systems

    settings = argparse.Namespace(data=Path("a.csv"), rows=32, updates=5, threads=1, cache=tmp_path, against=None, only="")
    missing, there = tmp_path / "python", tmp_path
    names = [system.name for system in systems(missing, settings)]
    assert names == [name for name in names if "Antiphon" in name or "plain PyTorch" in name]
    assert "NeuralForecast and Darts are left out" in capsys.readouterr().err
    found = systems(there, settings)
    assert {"NeuralForecast VanillaTransformer", "Darts RNNModel, LSTM"} <= {system.name for system in found}
    assert all((ROOT / "benchmarks" / system.program).is_file() for system in found)
    caches = [argument for system in found for argument in system.arguments if argument.startswith("--cache")]
    assert len(set(caches)) == 3, "systems that write must not share a folder"
    settings.only = "nobody"
    with pytest.raises(SystemExit, match="No system's name contains 'nobody'"):
        systems(missing, settings)
