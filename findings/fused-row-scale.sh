#!/usr/bin/env bash
# onnxruntime 1.32.0 on a CPU: a product of whole numbers that is scaled by a factor for each row times one for each column, and gets a bias. All
# operators are ONNX's own, and the graph passes its checker.
#
# Expected: graph optimizations change rounding at most.
# Seen: from ORT_ENABLE_EXTENDED on, and so by default, MatMulInteger, Cast, Mul and Add become one operator that adds the bias before it multiplies by
# the scale of the row: the bias of each row is multiplied by that scale, and nothing says so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" -q install onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/env/bin/python" - <<'P'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

draw = np.random.default_rng(1)
weights, bias = draw.integers(-60, 61, (8, 4)).astype(np.int8), np.full(4, 100, dtype=np.float32)
columns, rows = draw.uniform(0.5, 2, 4).astype(np.float32), np.array([[1], [2], [3]], dtype=np.float32)
values = draw.integers(0, 100, (3, 8)).astype(np.uint8)
nodes = [
    helper.make_node("MatMulInteger", ["values", "weights"], ["sums"]),
    helper.make_node("Cast", ["sums"], ["real"], to=TensorProto.FLOAT),
    helper.make_node("Mul", ["rows", "columns"], ["scales"]),
    helper.make_node("Mul", ["real", "scales"], ["scaled"]),
    helper.make_node("Add", ["scaled", "bias"], ["said"]),
]
graph = helper.make_graph(
    nodes,
    "graph",
    [helper.make_tensor_value_info("values", TensorProto.UINT8, [3, 8]), helper.make_tensor_value_info("rows", TensorProto.FLOAT, [3, 1])],
    [helper.make_tensor_value_info("said", TensorProto.FLOAT, [3, 4])],
    [numpy_helper.from_array(value, name) for name, value in (("weights", weights), ("bias", bias), ("columns", columns))],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
onnx.checker.check_model(model, full_check=True)
exact = (values.astype(int) @ weights.astype(int)) * rows * columns
found = {}
for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL"):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    said = onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, {"values": values, "rows": rows})[0]
    found[level] = np.round((said - exact)[:, 0])
    print(onnxruntime.__version__, level, "what was added to each row (a bias of 100):", found[level])
assert (found["ORT_ENABLE_BASIC"] == 100).all() and (found["ORT_ENABLE_ALL"] == [100, 200, 300]).all(), "the bias is right now"
P
