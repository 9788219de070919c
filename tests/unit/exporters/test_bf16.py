"""Half as large in bf16, and nearly the same; refused where the processor would have to imitate it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from antiphon.contracts.engine import Exported, Facts
from antiphon.contracts.specs import TokenSpec
from antiphon.engines import ctranslate2
from antiphon.engines import torch as torch_engine
from antiphon.errors import ConfigError
from antiphon.exporters.ctranslate2 import write_transformer
from antiphon.exporters.graphs import Graph
from antiphon.exporters.onnx_bf16 import store_in_bf16
from antiphon.exporters.onnx_file import save
from antiphon.exporters.torch import program
from antiphon.layers.transformer_config import TransformerConfig
from antiphon.models.transformer import Transformer
from tests.checked_shapes import unchecked

SPEC = TokenSpec(size=90, pad=0, unknown=1, start=2, end=3)


class Small(nn.Module):
    """A table that is the output layer, too, and a product between them."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.inner = nn.Embedding(90, 64), nn.Linear(64, 64)

    def forward(self, symbols: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(self.inner(self.table(symbols)).relu(), self.table.weight)


def small() -> tuple[Small, Graph]:
    torch.manual_seed(0)
    module, example = Small().eval(), torch.randint(90, (3, 5))
    return module, Graph(module, (example,), ("symbols",), ("said",), ({0: "batch", 1: "source"},))


def test_products_of_torch_are_in_bf16() -> None:
    module, graph = small()
    expected = module(graph.example[0])
    found = program("encode", graph, "bf16")
    assert {weight.dtype for name, weight in found.state_dict.items() if weight.dim() == 2} == {torch.bfloat16}
    said = found.module(check_guards=False)(graph.example[0][:, :2])
    assert said.dtype == torch.float32
    apart = (said - expected[:, :2]).abs().max() / expected.std()
    assert 1e-4 < apart < 0.05


def test_a_processor_without_bf16_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_engine, "has_bf16", lambda: False)
    facts = Facts(stepwise=False, frames=False)
    for open_engine in (torch_engine.open_engine, ctranslate2.open_model):
        monkeypatch.setattr("ctranslate2.get_supported_compute_types", lambda _: {"float32", "int8_float32"})
        with pytest.raises(ConfigError, match=r"`--precision bf16`, which .* support.*Export the run with another precision"):
            open_engine(Exported(tmp_path, SPEC, SPEC, None, "bf16", facts, {}, {"graphs": {}}))


def test_weights_of_onnx_are_stored_in_bf16(tmp_path: Path) -> None:
    import onnxruntime

    module, graph = small()
    with unchecked():
        save(graph, tmp_path / "encode.onnx", "encode")
    before = (tmp_path / "encode.onnx").stat().st_size
    assert store_in_bf16(tmp_path / "encode.onnx") >= 2
    assert (tmp_path / "encode.onnx").stat().st_size < 0.7 * before
    session = onnxruntime.InferenceSession(tmp_path / "encode.onnx", providers=["CPUExecutionProvider"])
    (said,) = session.run(None, {"symbols": graph.example[0].numpy()})
    with torch.no_grad():
        for weight in (module.table.weight, module.inner.weight):
            weight.copy_(weight.bfloat16().float())
    np.testing.assert_allclose(said, module(graph.example[0]).detach().numpy(), atol=1e-4)


def test_files_of_ctranslate2_are_half_as_large(tmp_path: Path) -> None:
    model = Transformer(TransformerConfig(dim=64, heads=4, encoder_layers=1, decoder_layers=1), SPEC, SPEC).eval()
    for precision in ("fp32", "bf16"):
        (tmp_path / precision).mkdir()
        write_transformer(model, tmp_path / precision, 64, precision)  # type: ignore[arg-type]
    sizes = [(tmp_path / precision / "model.bin").stat().st_size for precision in ("fp32", "bf16")]
    assert sizes[1] < 0.6 * sizes[0]
