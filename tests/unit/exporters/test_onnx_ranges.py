"""Constant scales of activations: which inputs get one, what the files say with them, and who keeps a scale for each row."""

import math
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from antiphon.contracts import registry
from antiphon.contracts.engine import Exported
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Batch, Padded
from antiphon.contracts.specs import Spec, TokenSpec, ValueSpec
from antiphon.exporters.graphs import facts_of
from antiphon.exporters.onnx import write_graphs
from antiphon.exporters.onnx_ranges import MARGIN, Seen, limits, says_symbols
from tests.checked_shapes import unchecked

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

TOKENS = TokenSpec(size=600, pad=0, unknown=1, start=2, end=3, fingerprint="test")


def seen(*rows: list[float]) -> Seen:
    found = Seen()
    for row in rows:
        found.add(torch.tensor([row]))
    return found


def test_a_limit_has_a_margin_above_the_largest() -> None:
    assert seen([1.0, -2.0], [0.5, 1.0]).limit == pytest.approx(2 * MARGIN)


@pytest.mark.parametrize("rows", [([0.0, 0.0],), ([1.0],) * 20 + ([90.0],), ([math.inf],), ([math.nan],), ()])
def test_rows_of_very_different_size_have_no_limit(rows: tuple[list[float], ...]) -> None:
    assert seen(*rows).limit is None


def model_of(name: str, target: Spec = TOKENS) -> Seq2SeqModel:
    settings: dict[str, dict[str, Any]] = {
        "transformer": {"dim": 32, "heads": 4, "encoder_layers": 1, "decoder_layers": 1, "feed_forward_dim": 64},
        "lstm": {"dim": 32, "bidirectional": True},
    }
    plugin = registry.find("models", name)
    torch.manual_seed(1)
    built: Seq2SeqModel = plugin.build(plugin.Config(**settings[name]), TOKENS, target).eval()
    return built


def batches(count: int, seed: int) -> list[Batch]:
    """Examples of several lengths, each by itself."""
    draw = torch.Generator().manual_seed(seed)

    def symbols(length: int) -> Padded:
        return Padded(torch.randint(4, 600, (1, length), generator=draw), torch.tensor([length]))

    return [Batch(symbols(5 + number % 7), symbols(4 + number % 5)) for number in range(count)]


@pytest.mark.parametrize("name", ["lstm", pytest.param("transformer", marks=pytest.mark.slow)])
@torch.no_grad()
def test_files_with_constant_scales_are_near_float32_and_the_same_alone(name: str, tmp_path: Path) -> None:
    model = model_of(name)
    with unchecked():
        write_graphs(model, tmp_path, "int8", examples=batches(16, seed=1))
    operators = [node.op_type for path in tmp_path.glob("*.onnx") for node in onnx.load(path, load_external_data=False).graph.node]
    assert operators.count("MatMulIntegerToFloat") > operators.count("MatMulInteger")
    small = registry.find("engines", "onnx").open(Exported(tmp_path, TOKENS, TOKENS, None, "int8", facts_of(model)))
    many = batches(4, seed=2)
    sources, targets = (joined([getattr(one, side) for one in many]) for side in ("source", "inputs"))
    expected, found = (one.decode(targets, one.encode(sources)).values for one in (model, small))
    for row, one in enumerate(many):
        steps = one.inputs.values.shape[1]
        assert (found[row, :steps] - expected[row, :steps]).square().mean().sqrt() < 0.05 * expected.std()
        alone = small.decode(one.inputs, small.encode(one.source)).values[0]
        assert (alone - found[row, :steps]).abs().max() < 0.01 * expected.std()


def joined(parts: list[Padded]) -> Padded:
    lengths = torch.cat([one.lengths for one in parts])
    values = torch.zeros(len(parts), int(lengths.max()), dtype=torch.long)
    for row, one in enumerate(parts):
        values[row, : one.values.shape[1]] = one.values
    return Padded(values, lengths)


@torch.no_grad()
def test_models_of_values_keep_a_scale_for_each_row(tmp_path: Path) -> None:
    plugin = registry.find("models", "linear")
    model = plugin.build(plugin.Config(context_length=64, horizon=32), ValueSpec(channels=1), ValueSpec(channels=1)).eval()
    assert not says_symbols(model)
    assert limits(tmp_path, model, batches(1, seed=1)) == {}
