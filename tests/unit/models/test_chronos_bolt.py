"""Chronos-Bolt says what the package that publishes it says, and is used and trained as any of our forecasters."""

import json
import shutil
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

import antiphon
from antiphon.contracts import registry
from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Padded, pad
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.errors import ConfigError, MissingPackageError
from antiphon.models.chronos_bolt import ChronosBolt, ChronosBoltConfig, build, plugin, resolve, start
from antiphon.recipe.assembly import load_trained
from antiphon.recipe.recipe import recipe_from
from antiphon.store import checkpoint
from tests.chronos_checkpoints import LEVELS, write_chronos

LENGTHS = (1, 17, 96, 130)


def contexts(seed: int = 7) -> list[np.ndarray]:
    """Windows around 100: a single value; a fifth missing; without change; longer than what is read, and the end missing."""
    random = np.random.default_rng(seed)
    found = [(100 + 10 * random.standard_normal(length)).astype(np.float32) for length in LENGTHS]
    found[1][random.random(17) < 0.2] = np.nan
    found[2][:] = 3
    found[3][-20:] = np.nan
    return found


def opened(folder: Path, source: ValueSpec, target: ValueSpec) -> ChronosBolt:
    settings = resolve(validate(ChronosBoltConfig, {"path": str(folder)}))
    model = build(settings, source, target).eval()
    start(model, settings)
    return model


def marked(windows: list[np.ndarray], filling: float = 0.0) -> Padded:
    """Windows of one channel, and marks of what was observed."""
    return pad([np.stack([np.where(np.isnan(one), filling, one), ~np.isnan(one)], axis=1).astype(np.float32) for one in windows])


@torch.no_grad()
def forecast(model: ChronosBolt, source: Padded, steps: int) -> torch.Tensor:
    """Quantiles (B, T, C, Q)."""
    rows = len(source.lengths)
    values: torch.Tensor = model(source, Padded(torch.zeros(rows, steps, 1), torch.full((rows,), steps))).values.values
    return values


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chronos(tmp_path_factory.mktemp("published") / "chronos")


@pytest.fixture(scope="module")
def model(folder: Path) -> ChronosBolt:
    return opened(folder, ValueSpec(2, marks=1), ValueSpec(1))


# ChronosBoltPipeline.predict_quantiles of chronos-forecasting 2.3.2 said this of `contexts()` and the checkpoint that `write_chronos`
# writes: the levels 0.1, 0.5 and 0.9 of steps 1 and 8, which are said at once, and of 9 and 20, which follow from those.
STEPS = (0, 7, 8, 19)
EXPECTED = [
    [[100.0124, 100.0123, 100.0123], [100.0123, 100.0124, 100.0123], [100.0122, 100.0123, 100.0124], [100.0122, 100.0123, 100.0124]],
    [[123.9826, 88.22794, 94.62306], [77.34823, 130.6712, 86.5633], [69.526, 90.04156, 125.762], [71.11161, 102.8071, 154.3316]],
    [[3.000026, 2.999987, 2.999995], [2.999969, 3.00004, 2.999989], [2.999985, 2.999998, 3.000013], [2.999987, 3.000003, 3.00003]],
    [[115.6234, 79.85181, 91.41995], [58.60922, 122.7051, 73.20061], [68.89543, 87.23972, 123.5296], [70.94136, 105.9102, 153.9092]],
]


@pytest.mark.parametrize("steps", [20, 8, 3])
def test_quantiles_are_those_of_the_package(model: ChronosBolt, steps: int) -> None:
    asked = [step for step in STEPS if step < steps]
    found = forecast(model, marked(contexts()), steps)[:, asked, 0][..., [0, 4, 8]]
    torch.testing.assert_close(found, torch.tensor(EXPECTED)[:, : len(asked)], rtol=2e-5, atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("patches", [{}, {"use_reg_token": False}, {"context_length": 100, "prediction_length": 5}])
@pytest.mark.parametrize("steps", [3, 8, 21])
@pytest.mark.filterwarnings("ignore")  # the package warns of long horizons
def test_quantiles_are_those_of_the_package_that_is_installed(tmp_path: Path, patches: dict[str, Any], steps: int, seed: int) -> None:
    chronos = pytest.importorskip("chronos", reason="chronos-forecasting is not installed")
    folder = write_chronos(tmp_path / "chronos", seed, **patches)
    pipeline = chronos.ChronosBoltPipeline.from_pretrained(folder)
    windows = contexts(seed)
    theirs, median = pipeline.predict_quantiles([torch.tensor(one) for one in windows], prediction_length=steps, quantile_levels=LEVELS)
    ours = forecast(opened(folder, ValueSpec(2, marks=1), ValueSpec(1)), marked(windows), steps)[:, :, 0]
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(ours[..., 4], median, rtol=1e-5, atol=1e-4)


def test_what_is_marked_as_missing_is_not_read(model: ChronosBolt) -> None:
    one, other = marked(contexts(), filling=0.0), marked(contexts(), filling=1e4)
    assert torch.equal(forecast(model, one, 12), forecast(model, other, 12))
    seen = Padded(torch.cat([other.values[..., :1], torch.ones_like(other.values[..., :1])], -1), other.lengths)
    assert not torch.allclose(forecast(model, seen, 12)[1], forecast(model, one, 12)[1], rtol=0.01)


def test_without_marks_everything_was_observed(folder: Path, model: ChronosBolt) -> None:
    windows = [one[~np.isnan(one)] for one in contexts()]
    bare = opened(folder, ValueSpec(1), ValueSpec(1))
    found = forecast(bare, pad([one[:, None] for one in windows]), 12)
    torch.testing.assert_close(found, forecast(model, marked(windows), 12))


def test_only_the_latest_steps_are_read(model: ChronosBolt) -> None:
    [window] = [contexts()[3][:110]]
    changed = np.concatenate([window[:14] * 5, window[14:]])
    assert torch.equal(forecast(model, marked([window]), 12), forecast(model, marked([changed]), 12))
    nearer = np.concatenate([window[:15] * 5, window[15:]])
    assert not torch.allclose(forecast(model, marked([window]), 12), forecast(model, marked([nearer]), 12), rtol=0.01)


def test_channels_are_forecast_one_by_one_and_covariates_not_read(folder: Path, model: ChronosBolt, seed: int) -> None:
    random = np.random.default_rng(seed)
    windows = [random.standard_normal((length, 2)).astype(np.float32) for length in (30, 9)]
    marks = [(random.random((length, 2)) < 0.8).astype(np.float32) for length in (30, 9)]
    both = opened(folder, ValueSpec(4 + 3, marks=2), ValueSpec(2, known=1))
    covariates = [random.standard_normal((length, 3)).astype(np.float32) for length in (30, 9)]
    found = forecast(both, pad([np.concatenate(parts, axis=1) for parts in zip(windows, marks, covariates, strict=True)]), 10)
    for channel in range(2):
        alone = pad([np.stack([w[:, channel], m[:, channel]], axis=1) for w, m in zip(windows, marks, strict=True)])
        expected = forecast(model, alone, 10)[:, :, 0]
        torch.testing.assert_close(found[:, :, channel], expected, rtol=1e-5, atol=1e-4)  # products round by their size


def test_nothing_observed_and_nothing_changing_are_no_trouble(model: ChronosBolt) -> None:
    empty = forecast(model, marked([np.full(20, np.nan, np.float32)]), 20)
    assert bool(empty.isfinite().all())
    torch.testing.assert_close(
        forecast(model, marked([np.full(20, 5.0, np.float32)]), 20), torch.full((1, 20, 1, 9), 5.0), rtol=1e-3, atol=0.0
    )


# ------------------------------------------------------------------------------------------------------------------ runs


def rows(length: int = 60, *, holes: bool = False) -> list[dict[str, Any]]:
    """Two monthly series; with `holes`, some values are missing."""
    return [
        {
            "unique_id": name,
            "ds": str(np.datetime64("2001-01", "M") + step),
            "y": None if holes and step % 7 == 3 else level * (2 + float(np.sin(step * np.pi / 6))) + step,
        }
        for name, level in (("a", 10), ("b", 1000))
        for step in range(length)
    ]


def recipe(folder: Path, *, task: Any = None, **training: Any) -> Any:
    return recipe_from(
        {
            "task": {"name": "forecasting", "horizon": 12, **(task or {})},
            "data": {"validation": 12},
            "model": {"name": "chronos_bolt", "path": str(folder)},
            "training": {"max_steps": 0, "device": "cpu", **training},
        }
    )


def test_a_recipe_that_does_not_say_fits_the_model(folder: Path) -> None:
    made = recipe(folder)
    assert (made.task.context_length, made.task.missing, made.task.observed_mask) == (2048, "previous", True)
    assert (made.training.loss.name, made.search.name, made.training.decoder_inputs.name) == ("pinball", "direct", "direct")
    own = recipe(folder, task={"missing": "zero", "context_length": 64})
    assert (own.task.context_length, own.task.missing, own.task.observed_mask) == (64, "zero", True)


def test_a_run_of_no_steps_forecasts_as_published_and_without_the_checkpoint(tmp_path: Path) -> None:
    folder = write_chronos(tmp_path / "chronos")
    said = StringIO()
    made = recipe(folder, task={"intervals": [80], "calendar": ["month"]}, ema_decay=0.9)
    run = antiphon.train(made, tmp_path / "run", data={"train": rows(holes=True)}, console=Console(file=said, width=200))
    expected = opened(folder, ValueSpec(2, marks=1), ValueSpec(1)).network.state_dict()
    shutil.rmtree(folder)
    trained = load_trained(run)
    own = {name.removeprefix("network."): tensor for name, tensor in trained.model.state_dict().items()}
    assert own.keys() == expected.keys()
    assert all(torch.equal(own[name], expected[name]) for name in own)
    assert "It reads the past of the targets alone: covariates" in said.getvalue()
    assert "The horizon is longer than that" in said.getvalue()
    [validation, *_] = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert validation["step"] == 0
    assert {"loss", "mase"} <= validation["scores"].keys()

    [one, other] = antiphon.load(run).predict(rows(holes=True))
    assert one.value.point.shape == (12, 1)
    assert "y-lo-80" in trained.task.rows(other)[0]
    scores = antiphon.evaluate(run, rows(72))
    assert {"naive", "seasonal_naive"} <= scores.baselines.keys()


def test_forecasts_of_a_run_are_those_of_the_network_in_the_units_of_the_data(tmp_path: Path, folder: Path) -> None:
    run = antiphon.train(recipe(folder), tmp_path / "run", data={"train": rows()}, console=Console(file=StringIO()))
    network = opened(folder, ValueSpec(2, marks=1), ValueSpec(1))
    data = rows(50, holes=True)
    series = [np.array([row["y"] or np.nan for row in data if row["unique_id"] == name], np.float32) for name in "ab"]
    for horizon in (12, 30):
        predictions = antiphon.load(run, overrides=[f"task.horizon={horizon}"]).predict(data)
        expected = forecast(network, marked(series), horizon).numpy()
        for row, prediction in enumerate(predictions):
            np.testing.assert_allclose(prediction.value.quantiles, expected[row], rtol=1e-3)


def test_it_learns_and_what_has_no_effect_stays(tmp_path: Path, folder: Path) -> None:
    data, quiet = {"train": rows()}, Console(file=StringIO())
    settings = {
        "batching": {"target_tokens": 130},
        "optimizer": {"name": "adamw", "learning_rate": 1e-2},
        "schedule": {"name": "constant"},
    }
    narrow = {"context_length": 36, "shortest_context": 24}
    run = antiphon.train(recipe(folder, task=narrow, **settings), tmp_path / "run", data=data, console=quiet)
    before = checkpoint.read((run / "best").resolve())
    published = before.weights()
    antiphon.train(recipe(folder, task=narrow, **{**settings, "max_steps": 12}), run, resume=True, data=data, console=quiet)
    after = checkpoint.read((run / "last").resolve())
    assert after.header["step"] == 12
    assert after.header["scores"]["loss"] < before.header["scores"]["loss"]
    still = {name for name, tensor in after.weights().items() if torch.equal(tensor, published[name])}
    assert still == {name for name in published if name.startswith("network.decoder.") and _idle(name)}


def _idle(name: str) -> bool:
    return any(f"SelfAttention.{part}." in name for part in ("q", "k", "relative_attention_bias"))


# --------------------------------------------------------------------------------------------------------------- refused


def _text(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "t5", "d_model": 8}')


def _original(folder: Path) -> None:
    own = {"tokenizer_class": "MeanScaleUniformBins", "context_length": 512, "prediction_length": 64}
    (folder / "config.json").write_text(json.dumps({"architectures": ["T5ForConditionalGeneration"], "chronos_config": own}))


def _second(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"architectures": ["Chronos2Model"], "chronos_config": {"input_patch_size": 16}}))


def _changed(key: str, value: Any) -> Any:
    def change(folder: Path) -> None:
        written = json.loads((folder / "config.json").read_text())
        if value is None:
            del written["chronos_config"][key]
        else:
            written["chronos_config"][key] = value
        (folder / "config.json").write_text(json.dumps(written))

    return change


def _pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _cut(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:400])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_text, "must be a Chronos-Bolt checkpoint .* but .* is a plain `t5`, without `chronos_config`"),
        (_original, "must be a Chronos-Bolt checkpoint .* is an original Chronos, which turns values into symbols"),
        (_second, "must be a Chronos-Bolt checkpoint .* is a Chronos-2, which is another architecture"),
        (_changed("quantiles", None), "config.json of .* does not say `quantiles`"),
        (_changed("quantiles", [0.1, 0.9]), "quantiles that ascend within 0 and 1 and hold 0.5, but .* has"),
        (_changed("input_patch_stride", 8), "patches that do not overlap, but .* begins one of 16 steps every 8"),
        (_changed("prediction_length", 9), "has another shape for the weights output_patch_embedding.output_layer"),
        (_pickled, "must hold weights as safetensors, but .* has pickled weights only"),
        (_cut, "model.safetensors cannot be read"),
        (lambda folder: (folder / "config.json").unlink(), "config.json of .* cannot be read"),
        (lambda folder: (folder / "config.json").write_text("[]"), "must be a Chronos-Bolt checkpoint"),
    ],
)
def test_checkpoints_that_are_no_chronos_bolt_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    folder = write_chronos(tmp_path / "chronos")
    change(folder)
    with pytest.raises(ConfigError, match=message):
        opened(folder, ValueSpec(1), ValueSpec(1))


def test_paths_and_data_that_do_not_fit_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = TokenSpec(size=9, pad=0, unknown=1, start=2, end=3)
    settings = resolve(ChronosBoltConfig(path=str(folder)))
    for source, target in ((tokens, ValueSpec(1)), (ValueSpec(1), tokens)):
        with pytest.raises(ConfigError, match="must not be `chronos_bolt` when source or target is made of symbols"):
            build(settings, source, target)
    with pytest.raises(ConfigError, match="must hold the 2 channels of its target, but has 1"):
        build(settings, ValueSpec(1), ValueSpec(2))
    with pytest.raises(ConfigError, match=r"`model.path` is missing"):
        resolve(ChronosBoltConfig())
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match="no folder here, and was not fetched before, and the hub cannot be reached"):
        resolve(ChronosBoltConfig(path="amazon/chronos-bolt-none"))
    with pytest.raises(ConfigError, match=r"`task.horizon` must be at least 1, but is 0"):
        recipe(folder, task={"horizon": 0})


def test_without_transformers_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    for use in (lambda: resolve(ChronosBoltConfig(path=str(folder))), lambda: build(ChronosBoltConfig(), ValueSpec(1), ValueSpec(1))):
        with pytest.raises(MissingPackageError, match=r"Chronos-Bolt needs the package `transformers`. .*'\.\[forecast-fm\]'"):
            use()


def test_it_is_found_by_name() -> None:
    assert registry.find("models", "chronos_bolt") is plugin
    assert not plugin.stepwise
