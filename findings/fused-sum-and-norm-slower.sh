#!/usr/bin/env bash
# onnxruntime 1.32.0 on a CPU (x86-64 with AVX2): a residual sum followed by a layer normalization, two operators of ONNX's own, one thread.
#
# Expected: graph optimizations make it faster, or leave it as it is.
# Seen: from ORT_ENABLE_EXTENDED on, and so by default, Add and LayerNormalization become one SkipLayerNormalization, which takes four to seven times as
# long as the two (rows of 256 and of 512 numbers, 32 to 1,024 of them; for one row there is no difference). The same numbers come out. A Transformer
# has two of them in each layer. With the fusion left out by name (`disabled_optimizers=["SkipLayerNormFusion"]`) it is as fast as without optimizations.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" -q install onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/env/bin/python" - <<'P'
import statistics
import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

draw = np.random.default_rng(1)


def model(width: int) -> bytes:
    weights = [numpy_helper.from_array(draw.standard_normal(width, dtype=np.float32), name) for name in ("gain", "bias")]
    nodes = [
        helper.make_node("Add", ["state", "branch"], ["sum"]),
        helper.make_node("LayerNormalization", ["sum", "gain", "bias"], ["said"], epsilon=1e-5),
    ]
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 1, width]) for name in ("state", "branch", "said")]
    graph = helper.make_graph(nodes, "graph", tensors[:2], tensors[2:], weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()


def session(content: bytes, level: str, **more: list[str]) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"], **more)


def seconds(ran: onnxruntime.InferenceSession, inputs: dict[str, np.ndarray], times: int) -> float:
    ran.run(None, inputs)
    began = time.process_time()
    for _ in range(times):
        ran.run(None, inputs)
    return (time.process_time() - began) / times


slower = []
for width in (256, 512):
    content = model(width)
    plain, fused = session(content, "ORT_ENABLE_BASIC"), session(content, "ORT_ENABLE_ALL")
    spared = session(content, "ORT_ENABLE_ALL", disabled_optimizers=["SkipLayerNormFusion"])
    for rows in (32, 160, 1024):
        inputs = {name: draw.standard_normal((rows, 1, width), dtype=np.float32) for name in ("state", "branch")}
        first, *others = (one.run(None, inputs)[0] for one in (plain, fused, spared))
        assert all(np.allclose(first, other, atol=1e-4) for other in others)
        turns = [[seconds(one, inputs, 100_000 // rows) for one in (plain, fused, spared)] for _ in range(7)]
        ratio, again = (statistics.median(turn[place] / turn[0] for turn in turns) for place in (1, 2))
        shown = [f"{1e6 * statistics.median(times):.0f}" for times in zip(*turns, strict=True)]
        print(onnxruntime.__version__, f"{rows} rows of {width}: plain, fused, fusion left out: {', '.join(shown)} us; {ratio:.1f} times, {again:.1f}")
        slower.append((ratio, again))
assert all(ratio > 2 and again < 1.5 for ratio, again in slower), "the fused operator is no slower now"
P
