"""Whole models in 8 bits through ONNX Runtime: near float32, a quarter of its size, and the same alone and in any batch."""

import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from antiphon.contracts import registry
from antiphon.contracts.engine import Exported
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Padded
from antiphon.contracts.specs import Spec, TokenSpec, ValueSpec
from antiphon.errors import ExportError
from antiphon.exporters.graphs import facts_of
from antiphon.exporters.onnx import write_graphs
from antiphon.exporters.onnx_int8 import quantize
from tests.checked_shapes import unchecked

TOKENS = TokenSpec(size=600, pad=0, unknown=1, start=2, end=3, fingerprint="test")
SOUND = ValueSpec(channels=80)
BATCH, SOURCE, TARGET = 4, 11, 6
TRANSFORMER = {"dim": 32, "heads": 4, "encoder_layers": 1, "decoder_layers": 1, "feed_forward_dim": 64}
MODELS: dict[str, tuple[str, Spec, dict[str, Any]]] = {
    "lstm": ("lstm", TOKENS, {"dim": 32, "bidirectional": True}),
    "transformer": ("transformer", TOKENS, TRANSFORMER),
    "ssru": ("transformer", TOKENS, {**TRANSFORMER, "decoder": "ssru"}),
    "gru": ("lstm", TOKENS, {"dim": 32, "cell": "gru", "attention": "location"}),
    "conformer": ("conformer", SOUND, {**TRANSFORMER, "subsampling_width": 24}),
}
CASES = [pytest.param(name, marks=() if name == "lstm" else pytest.mark.slow) for name in MODELS]  # tracing others takes longer


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """By name: a model, itself in float32 and in 8 bits through ONNX Runtime, and the sizes of these files."""
    made: dict[str, tuple[Seq2SeqModel, Seq2SeqModel, Seq2SeqModel, int, int]] = {}

    def model(name: str) -> tuple[Seq2SeqModel, Seq2SeqModel, Seq2SeqModel, int, int]:
        if name not in made:
            architecture, source, settings = MODELS[name]
            plugin = registry.find("models", architecture)
            torch.manual_seed(len(made))
            whole = plugin.build(plugin.Config(**settings), source, TOKENS).eval()
            folders = [tmp_path_factory.mktemp(precision) for precision in ("fp32", "int8")]
            with unchecked():
                write_graphs(whole, folders[0])
            shutil.copytree(folders[0], folders[1], dirs_exist_ok=True)
            assert all(quantize(path) for path in list(folders[1].glob("*.onnx")))  # as `write_graphs` does, without tracing again
            opened = [open_folder(whole, folder, source) for folder in folders]
            sizes = [sum(path.stat().st_size for path in folder.iterdir()) for folder in folders]
            made[name] = whole, opened[0], opened[1], sizes[0], sizes[1]
        return made[name]

    return model


def open_folder(model: Seq2SeqModel, folder: Path, source: Spec) -> Seq2SeqModel:
    """The model of some files."""
    found: Seq2SeqModel = registry.find("engines", "onnx").open(Exported(folder, source, TOKENS, None, "int8", facts_of(model)))
    return found


def example(source: Spec, seed: int) -> tuple[Padded, Padded]:
    """Sources and targets of several lengths."""
    draw = torch.Generator().manual_seed(seed)
    steps = SOURCE if isinstance(source, TokenSpec) else 8 * SOURCE
    lengths = torch.tensor([steps, steps - 3, steps - 5, steps // 2])
    values = torch.randint(4, 600, (BATCH, steps), generator=draw)
    if not isinstance(source, TokenSpec):
        values = torch.randn(BATCH, steps, source.width, generator=draw)
    said = torch.randint(4, 600, (BATCH, TARGET), generator=draw)
    return Padded(values, lengths), Padded(said, torch.full((BATCH,), TARGET))


def logits(model: Seq2SeqModel, source: Padded, target: Padded) -> torch.Tensor:
    """What a model says at all steps."""
    return model.decode(target, model.encode(source)).values  # type: ignore[return-value]


def rows(padded: Padded, chosen: list[int]) -> Padded:
    """Some rows, without the padding that is not needed."""
    lengths = padded.lengths[chosen]
    return Padded(padded.values[chosen][:, : int(lengths.max())], lengths)


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_8_bits_are_near_float32_and_a_quarter_of_its_size(name: str, models: Any, seed: int) -> None:
    whole, single, small, large_size, small_size = models(name)
    source, target = example(whole.source, seed)
    expected, found = logits(whole, source, target), logits(small, source, target)
    assert (logits(single, source, target) - expected).abs().max() < 1e-3 * expected.abs().max()
    assert (found - expected).square().mean().sqrt() < 0.05 * expected.std()
    assert small_size < large_size  # graphs as small as these are mostly their own description


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_a_row_is_the_same_alone_and_beside_others(name: str, models: Any, seed: int) -> None:
    """Up to what float32 gives between the products: where that turns a rounding, one whole number of many is another."""
    whole, single, small, _, _ = models(name)
    source, target = example(whole.source, seed)
    if not isinstance(whole.source, TokenSpec):
        source.values[0] *= 100  # loud
    together = logits(small, source, target)
    step = (logits(single, source, target) - together).abs().max()  # what all of the rounding makes
    for row in range(BATCH):
        alone = logits(small, rows(source, [row]), rows(target, [row]))[0]
        assert (alone - together[row]).abs().max() < 0.3 * step
    pair = logits(small, rows(source, [2, 0]), rows(target, [2, 0]))
    assert (pair - together[[2, 0]]).abs().max() < 0.3 * step


@torch.no_grad()
def test_a_model_without_large_matrices_is_refused(tmp_path: Path) -> None:
    plugin = registry.find("models", "linear")
    model = plugin.build(plugin.Config(context_length=8, horizon=6), ValueSpec(channels=3), ValueSpec(channels=3)).eval()
    with unchecked(), pytest.raises(ExportError, match="large enough to be worth 8 bits"):
        write_graphs(model, tmp_path, "int8")


@torch.no_grad()
def test_the_precision_of_an_export_is_that_of_its_files(tmp_path: Path) -> None:
    plugin = registry.find("models", "linear")
    model = plugin.build(plugin.Config(context_length=64, horizon=32), ValueSpec(channels=1), ValueSpec(channels=1)).eval()
    with unchecked():
        write_graphs(model, tmp_path, "int8")
    operators = {node.op_type for path in tmp_path.glob("*.onnx") for node in onnx.load(path).graph.node}
    assert "MatMulInteger" in operators
