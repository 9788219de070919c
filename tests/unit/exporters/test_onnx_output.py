"""The product of some symbols is that of all of them, in single precision and in 8 bits."""

from pathlib import Path

import numpy as np
import pytest
import torch

from antiphon.contracts.sequences import Memory
from antiphon.engines.output_layer import OutputLayer
from antiphon.errors import ExportError
from antiphon.exporters.graphs import say_graph
from antiphon.heads.categorical import Categorical
from tests.checked_shapes import unchecked

pytestmark = pytest.mark.slow
SIZE, DIM = 90, 32


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("bias", [True, False])
def test_some_symbols_are_said_as_among_all(tmp_path: Path, precision: str, bias: bool) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from antiphon.engines.onnx import OnnxGraphs
    from antiphon.exporters.onnx_file import save
    from antiphon.exporters.onnx_int8 import quantize
    from antiphon.exporters.onnx_output import split
    from antiphon.exporters.onnx_weights import put_beside

    torch.manual_seed(1)
    head = Categorical(DIM, SIZE, bias=bias, tied=None)
    if head.bias is not None:
        torch.nn.init.normal_(head.bias, std=5)
    with unchecked():
        save(say_graph(head), tmp_path / "say.onnx", "say")
    if precision == "int8":
        assert quantize(tmp_path / "say.onnx") == 1
    put_beside(tmp_path / "say.onnx")
    split(tmp_path, SIZE)
    assert (tmp_path / "say.onnx").stat().st_size < 4 * SIZE * DIM // 2  # its weights are in the file of both
    assert not (tmp_path / "say.onnx.data").exists()
    layer = OutputLayer(OnnxGraphs(tmp_path), tmp_path, SIZE)
    features = torch.randn(2, 5, DIM) * torch.tensor([1.0, 30.0]).view(2, 1, 1)
    whole = layer.output(features, None, Memory(features[:, :1], torch.ones(2, 1, dtype=torch.bool))).values
    exact = head(features).detach()
    atol = 1e-3 if precision == "fp32" else 0.02 * float(exact.abs().max())
    torch.testing.assert_close(whole, exact, atol=atol, rtol=0)
    symbols = torch.from_numpy(np.random.default_rng(1).permutation(SIZE)[:17].copy())
    torch.testing.assert_close(layer.of(symbols)(features), whole[..., symbols], atol=1e-4, rtol=0)
    torch.testing.assert_close(layer.of(symbols[:1])(features[0, :1]), whole[0, :1, symbols[:1]], atol=1e-4, rtol=0)


def test_a_layer_as_wide_as_its_vocabulary_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    from antiphon.exporters.onnx_file import save
    from antiphon.exporters.onnx_output import split

    with unchecked():
        save(say_graph(Categorical(DIM, DIM, bias=False, tied=None)), tmp_path / "say.onnx", "say")
    with pytest.raises(ExportError, match="both are 32"):
        split(tmp_path, DIM)
