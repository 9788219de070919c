"""ONNX graphs in 8 bits: sums that are exact on this processor, rows that do not know their neighbours, how near they are to float32."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from antiphon.errors import ExportError
from antiphon.exporters.int8_weights import by_column, by_output
from antiphon.exporters.onnx_int8 import rounded_inputs, to_int8

Values = NDArray[np.float32]


def graph(nodes: list[Any], weights: dict[str, Any], inputs: dict[str, tuple[int, list[Any]]], rank: int = 2) -> onnx.ModelProto:
    """A graph of opset 20."""
    given = [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()]
    said = [helper.make_tensor_value_info("said", TensorProto.FLOAT, [None] * rank)]
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    model = helper.make_model(helper.make_graph(nodes, "graph", given, said, stored), opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 10
    return model


def run(model: onnx.ModelProto, **inputs: NDArray[Any]) -> NDArray[Any]:
    """What ONNX Runtime says, with all of its graph optimizations."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    found: NDArray[Any] = session.run(["said"], inputs)[0]
    return found


def in_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in 8 bits, checked."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    to_int8(copy)
    onnx.checker.check_model(copy, full_check=True)
    return copy


def operators(model: onnx.ModelProto) -> set[str]:
    """The kinds of operators of a graph."""
    return {node.op_type for node in model.graph.node}


def error(found: Values, expected: Values) -> float:
    """The root mean square of the difference, as a share of that of what was expected."""
    return float(np.sqrt(np.square(found - expected).mean() / np.square(expected).mean()))


def two_layers(draw: np.random.Generator, dim: int = 32, width: int = 96) -> onnx.ModelProto:
    """What a Transformer's layer is to this pass: products with biases behind a ReLU, a norm, and the input added."""
    weights = {
        "first": draw.standard_normal((dim, width)) * dim**-0.5,
        "first_bias": draw.standard_normal(width),
        "second": draw.standard_normal((dim, width)) * width**-0.5,  # as torch stores it, turned in the graph
        "second_bias": draw.standard_normal(dim),
        "gain": draw.uniform(0.5, 2, dim),
    }
    nodes = [
        helper.make_node("LayerNormalization", ["x", "gain"], ["normed"], axis=-1),
        helper.make_node("MatMul", ["normed", "first"], ["wide"]),
        helper.make_node("Add", ["wide", "first_bias"], ["biased"]),
        helper.make_node("Relu", ["biased"], ["hidden"]),
        helper.make_node("Transpose", ["second"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["hidden", "turned"], ["narrow"]),
        helper.make_node("Add", ["narrow", "second_bias"], ["more"]),
        helper.make_node("Add", ["more", "x"], ["said"]),
    ]
    stored = {name: value.astype(np.float32) for name, value in weights.items()}
    return graph(nodes, stored, {"x": (TensorProto.FLOAT, ["batch", "steps", dim])}, rank=3)


@pytest.mark.parametrize("place", [0, 7, 31])
def test_what_is_no_number_stays_so(place: int, seed: int) -> None:
    """ReduceMax of ONNX Runtime passes over NaN, so that of a row with one the scale would be a number, and so all that is said."""
    draw = np.random.default_rng(seed)
    weights = {"weights": draw.standard_normal((32, 40)).astype(np.float32)}
    model = in_int8(graph([helper.make_node("MatMul", ["x", "weights"], ["said"])], weights, {"x": (TensorProto.FLOAT, ["rows", 32])}))
    x = draw.standard_normal((3, 32)).astype(np.float32)
    x[1, place] = np.nan
    assert np.isnan(run(model, x=x)).all(1).tolist() == [False, True, False]


def test_weights_that_are_no_numbers_are_refused() -> None:
    weights = np.ones((32, 40), dtype=np.float32)
    weights[3, 5] = np.nan
    for write in (by_column, by_output):
        with pytest.raises(ExportError, match="NaN or infinite"):
            write(weights)


def test_sums_are_exact_on_this_processor_for_the_largest_inputs(seed: int) -> None:
    """Where a processor saturates, customary 8 bits (each column up to 127) fail here."""
    draw = np.random.default_rng(seed)
    for rows, inputs, outputs in ((1, 33, 17), (2, 64, 64), (5, 256, 40), (13, 130, 8)):
        weights = by_column(draw.standard_t(3, (inputs, outputs)).astype(np.float32)).values
        node = helper.make_node("MatMulInteger", ["x", "weights"], ["sums"])
        cast = helper.make_node("Cast", ["sums"], ["said"], to=TensorProto.FLOAT)
        model = graph([node, cast], {"weights": weights}, {"x": (TensorProto.UINT8, ["rows", inputs])})
        for signs in (weights[:, 0] > 0, weights[:, 1] < 0, np.ones(inputs, dtype=bool)):
            x = np.where(signs, 255, 0).astype(np.uint8)[None].repeat(rows, axis=0)
            expected = x.astype(np.int64) @ weights.astype(np.int64)
            assert (run(model, x=x) == expected).all()


@pytest.mark.parametrize("rows", [33, 64])
def test_no_two_neighbours_are_too_large_together(seed: int, rows: int) -> None:
    weights = np.random.default_rng(seed).standard_normal((rows, 500)).astype(np.float32)
    found = by_column(weights)
    pairs = np.pad(found.values.astype(np.int64), ((0, rows % 2), (0, 0))).reshape(-1, 2, 500)
    assert max(np.maximum(pairs, 0).sum(1).max(), np.maximum(-pairs, 0).sum(1).max()) <= 128  # 255 * 128 < 2^15
    assert np.abs(found.values * found.scales - weights).max() <= found.scales.max() / 2 * 1.001


def test_a_row_is_the_same_alone_and_beside_loud_ones(seed: int) -> None:
    draw = np.random.default_rng(seed)
    model = in_int8(two_layers(draw))
    x = draw.standard_normal((4, 7, 32)).astype(np.float32)
    together = run(model, x=x)
    loud = x * np.array([1, 1000, 1, 1e-4], dtype=np.float32)[:, None, None]
    padded = np.concatenate([loud, draw.standard_normal((4, 5, 32)).astype(np.float32) * 1000], axis=1)
    assert (run(model, x=x[:1]) == together[:1]).all()
    assert (run(model, x=loud)[[0, 2]] == together[[0, 2]]).all()
    assert (run(model, x=padded)[[0, 2], :7] == together[[0, 2]]).all()
    assert (run(model, x=x[:, 3:4])[:, 0] == together[:, 3]).all()


def test_layers_in_8_bits_are_near_those_in_float32(seed: int) -> None:
    draw = np.random.default_rng(seed)
    model = two_layers(draw, dim=64, width=256)
    small = in_int8(model)
    x = draw.standard_normal((3, 5, 64)).astype(np.float32)
    assert error(run(small, x=x), run(model, x=x)) < 0.02
    assert not {"MatMul", "Transpose"} & operators(small)
    assert small.ByteSize() < 0.4 * model.ByteSize()


def test_a_row_of_zeros_is_the_bias(seed: int) -> None:
    draw = np.random.default_rng(seed)
    weights = {"w": draw.standard_normal((32, 64)).astype(np.float32), "b": draw.standard_normal(64).astype(np.float32)}
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Add", ["m", "b"], ["said"])]
    model = in_int8(graph(nodes, weights, {"x": (TensorProto.FLOAT, ["rows", 32])}))
    x = draw.standard_normal((5, 32)).astype(np.float32)
    x[[1, 3]] = 0
    found = run(model, x=x)
    assert (found[[1, 3]] == weights["b"]).all()
    assert error(found, x @ weights["w"] + weights["b"]) < 0.02


@pytest.mark.parametrize(("turned", "alpha", "beta"), [(1, 1.0, 1.0), (0, 0.5, 1.0), (1, 2.0, 0.25)])
def test_products_with_factors_and_biases(seed: int, turned: int, alpha: float, beta: float) -> None:
    draw = np.random.default_rng(seed)
    weights = {"w": draw.standard_normal((48, 32) if turned else (32, 48)), "b": draw.standard_normal(48)}
    node = helper.make_node("Gemm", ["x", "w", "b"], ["said"], transB=turned, alpha=alpha, beta=beta)
    model = graph([node], {name: value.astype(np.float32) for name, value in weights.items()}, {"x": (TensorProto.FLOAT, ["rows", 32])})
    x = draw.standard_normal((6, 32)).astype(np.float32)
    assert error(run(in_int8(model), x=x), run(model, x=x)) < 0.02
    assert "Gemm" not in operators(in_int8(model))


def test_what_reads_several_matrices_is_rounded_once(seed: int) -> None:
    draw = np.random.default_rng(seed)
    weights = {name: draw.standard_normal((32, 32)).astype(np.float32) for name in ("k", "v")}
    nodes = [
        helper.make_node("MatMul", ["x", "k"], ["a"]),
        helper.make_node("MatMul", ["x", "v"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["said"]),
    ]
    model = in_int8(graph(nodes, weights, {"x": (TensorProto.FLOAT, ["rows", 32])}))
    assert [node.op_type for node in model.graph.node].count("QuantizeLinear") == 1


def test_a_tied_table_is_read_and_multiplied_with_in_8_bits(seed: int) -> None:
    draw = np.random.default_rng(seed)
    table = draw.standard_normal((600, 32)).astype(np.float32)
    nodes = [helper.make_node("Gather", ["table", "symbols"], ["x"]), helper.make_node("Gemm", ["x", "table"], ["said"], transB=1)]
    model = graph(nodes, {"table": table}, {"symbols": (TensorProto.INT64, ["rows"])})
    small, symbols = in_int8(model), draw.integers(600, size=9)
    assert error(run(small, symbols=symbols), run(model, symbols=symbols)) < 0.02
    assert small.ByteSize() < 0.4 * model.ByteSize()  # stored once


def test_what_is_small_or_no_table_of_symbols_stays(seed: int) -> None:
    """Values of a series, few outputs, and positions, whose steps would be coarser than what lies between them."""
    draw = np.random.default_rng(seed)
    weights = {
        "inputs": draw.standard_normal((3, 512)).astype(np.float32),
        "outputs": draw.standard_normal((512, 2)).astype(np.float32),
        "positions": draw.standard_normal((64, 512)).astype(np.float32),
        "zero": np.int64(0),
        "one": np.int64(1),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "inputs"], ["wide"]),
        helper.make_node("Shape", ["x"], ["steps"], start=0, end=1),
        helper.make_node("Squeeze", ["steps"], ["length"]),
        helper.make_node("Range", ["zero", "length", "one"], ["numbers"]),
        helper.make_node("Gather", ["positions", "numbers"], ["at"]),
        helper.make_node("Add", ["wide", "at"], ["sum"]),
        helper.make_node("MatMul", ["sum", "outputs"], ["said"]),
    ]
    model = graph(nodes, weights, {"x": (TensorProto.FLOAT, ["rows", 3])})
    small = in_int8(model)
    assert to_int8(small) == 0
    x = draw.standard_normal((6, 3)).astype(np.float32)
    assert (run(small, x=x) == run(model, x=x)).all()


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_recurrent_weights_are_stored_in_8_bits(seed: int, cell: str) -> None:
    draw, gates = np.random.default_rng(seed), 4 if cell == "LSTM" else 3
    weights = {
        "w": draw.uniform(-0.3, 0.3, (2, gates * 32, 24)),
        "r": draw.uniform(-0.3, 0.3, (2, gates * 32, 32)),
        "b": draw.uniform(-0.3, 0.3, (2, 2 * gates * 32)),
    }
    node = helper.make_node(cell, ["x", "w", "r", "b", "lengths"], ["said"], hidden_size=32, direction="bidirectional")
    inputs = {"x": (TensorProto.FLOAT, ["steps", "batch", 24]), "lengths": (TensorProto.INT32, ["batch"])}
    model = graph([node], {name: value.astype(np.float32) for name, value in weights.items()}, inputs, rank=4)
    small = in_int8(model)
    x, lengths = draw.standard_normal((9, 3, 24)).astype(np.float32), np.array([9, 4, 7], dtype=np.int32)
    assert error(run(small, x=x, lengths=lengths), run(model, x=x, lengths=lengths)) < 0.01
    assert small.ByteSize() < 0.4 * model.ByteSize()


def test_convolutions_are_stored_in_8_bits(seed: int) -> None:
    draw = np.random.default_rng(seed)
    weights = draw.standard_normal((32, 16, 3, 3)).astype(np.float32) * np.geomspace(0.01, 10, 32, dtype=np.float32)[:, None, None, None]
    model = graph([helper.make_node("Conv", ["x", "w"], ["said"])], {"w": weights}, {"x": (TensorProto.FLOAT, ["batch", 16, 8, 8])}, rank=4)
    small, x = in_int8(model), draw.standard_normal((2, 16, 8, 8)).astype(np.float32)
    found, expected = run(small, x=x), run(model, x=x)
    assert max(error(found[:, channel], expected[:, channel]) for channel in range(32)) < 0.02
    assert small.ByteSize() < 0.4 * model.ByteSize()


def test_graphs_inside_of_operators_are_written_too(seed: int) -> None:
    """The weights of a branch may be those of the graph around it."""
    draw = np.random.default_rng(seed)
    shared = draw.standard_normal((32, 64)).astype(np.float32)
    said = helper.make_tensor_value_info("branch", TensorProto.FLOAT, ["rows", 64])
    own = [numpy_helper.from_array(shared * 2, "own")]
    branches = [
        helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["branch"])], "then", [], [said]),
        helper.make_graph([helper.make_node("MatMul", ["x", "own"], ["branch"])], "else", [], [said], own),
    ]
    node = helper.make_node("If", ["which"], ["said"], then_branch=branches[0], else_branch=branches[1])
    model = graph([node], {"w": shared}, {"x": (TensorProto.FLOAT, ["rows", 32]), "which": (TensorProto.BOOL, [])})
    small, x = in_int8(model), draw.standard_normal((4, 32)).astype(np.float32)
    for which in (True, False):
        assert error(run(small, x=x, which=np.array(which)), run(model, x=x, which=np.array(which))) < 0.02
    assert small.ByteSize() < 0.5 * model.ByteSize()


def test_a_table_keeps_the_scale_of_each_symbol(seed: int) -> None:
    table = (
        np.random.default_rng(seed).standard_normal((40, 16)).astype(np.float32) * np.geomspace(1e-4, 1e4, 40, dtype=np.float32)[:, None]
    )
    table[3] = 0
    found = by_output(table)
    assert (np.abs(found.values * found.scales - table) <= found.scales / 2 * 1.001).all()


def test_a_constant_scale_is_one_operator_for_product_scales_and_bias() -> None:
    draw = np.random.default_rng(3)
    single = two_layers(draw)
    small = onnx.ModelProto()
    small.CopyFrom(single)
    values = draw.standard_normal((4, 5, 32)).astype(np.float32)
    assert rounded_inputs(single) == ["normed", "hidden"]
    to_int8(small, {"normed": 8.0, "hidden": 12.0})
    onnx.checker.check_model(small)
    assert [node.op_type for node in small.graph.node].count("MatMulIntegerToFloat") == 2
    assert not operators(small) & {"MatMulInteger", "ReduceMax", "Cast"}
    found = run(small, x=values)
    assert error(found, run(single, x=values)) < 0.02
    for row in range(4):
        np.testing.assert_array_equal(run(small, x=values[row : row + 1])[0], found[row])


def test_inputs_without_a_limit_keep_a_scale_for_each_row() -> None:
    small = two_layers(np.random.default_rng(4))
    to_int8(small, {"hidden": 12.0})
    assert {"MatMulIntegerToFloat", "MatMulInteger", "ReduceMax"} <= operators(small)


def test_what_is_beyond_the_limit_is_cut() -> None:
    weights = np.eye(64, dtype=np.float32)
    model = graph([helper.make_node("MatMul", ["x", "w"], ["said"])], {"w": weights}, {"x": (TensorProto.FLOAT, ["rows", 64])})
    to_int8(model, {"x": 2.0})
    values = np.linspace(-4, 4, 64, dtype=np.float32)[None]
    np.testing.assert_allclose(run(model, x=values), np.clip(values, -2 * 128 / 127, 2), atol=0.02)
