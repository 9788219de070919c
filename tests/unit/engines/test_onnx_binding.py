"""A graph of ONNX Runtime that was bound reads and writes tensors where they lie."""

import pytest
import torch

from antiphon.engines.onnx_binding import Binding

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture
def session():
    """sum = x + y, and twice = 2 * sum."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [helper.make_node("Add", ["x", "y"], ["sum"]), helper.make_node("Add", ["sum", "sum"], ["twice"])]
    inputs, outputs = ([helper.make_tensor_value_info(name, kind, ["n", 3]) for name in names] for names in (("x", "y"), ("sum", "twice")))
    model = helper.make_model(helper.make_graph(nodes, "g", inputs, outputs), opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("rows", [2, 20_000])
def test_each_run_reads_what_stands_in_the_inputs_now(session, rows):
    x, y, place = torch.ones(rows, 3), torch.ones(rows, 3), torch.zeros(rows, 3)
    run = Binding(session, {"x": x, "y": y}, {"sum": place}, ["twice"])
    found = []
    for number in range(4):
        x.fill_(number)
        found.append(run()["twice"])
        assert torch.equal(place, torch.full((rows, 3), number + 1.0))
    for number, twice in enumerate(found):
        assert torch.equal(twice, torch.full((rows, 3), 2 * (number + 1.0))), "what was returned is the caller's"


def test_tensors_with_gaps_are_refused(session):
    with pytest.raises(ValueError, match="contiguous"):
        Binding(session, {"x": torch.ones(3, 2).T, "y": torch.ones(2, 3)}, {}, ["sum", "twice"])


def test_what_somebody_holds_is_not_written_over(session):
    x = torch.ones(2, 3)
    run = Binding(session, {"x": x, "y": torch.ones(2, 3)}, {}, ["sum", "twice"])
    held = []
    for number in range(1, 6):
        x.fill_(number)
        held.append(run()["twice"][0])  # a view is enough
    assert [float(one[0]) for one in held] == [2 * (number + 1) for number in range(1, 6)]


def test_what_nobody_holds_is_written_over(session):
    run = Binding(session, {"x": torch.ones(2, 3), "y": torch.ones(2, 3)}, {}, ["sum", "twice"])
    run()
    assert len({run()["twice"].data_ptr() for _ in range(5)}) == 1
