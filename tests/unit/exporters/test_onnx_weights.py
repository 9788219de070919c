"""Weights beside an ONNX file: mapped into memory rather than copied, aligned, and the same when they are put there again."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from antiphon.exporters.onnx_weights import ALIGNED, put_beside

TABLE = (1 << 15, 256)  # 32 MiB


def write(path: Path, tables: dict[str, np.ndarray]) -> None:
    """A graph that looks symbols up in each table, one after the other, and adds what it finds."""
    nodes = [helper.make_node("Gather", [name, "symbols"], [f"{name}_said"]) for name in tables]
    nodes.append(helper.make_node("Sum", [f"{name}_said" for name in tables], ["said"]))
    given, said = helper.make_tensor_value_info("symbols", TensorProto.INT64, ["n"]), helper.make_tensor_value_info("said", 1, ["n", None])
    stored = [numpy_helper.from_array(table, name) for name, table in tables.items()]
    model = helper.make_model(helper.make_graph(nodes, "graph", [given], [said], stored), opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 10
    onnx.save(model, path)


def opened(path: Path) -> onnxruntime.InferenceSession:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])


def own_memory() -> float:
    """MiB that no file stands behind."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Anonymous:")).split()[1]) / 1024


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="only Linux says whose memory it is")
def test_what_stands_beside_is_not_copied(tmp_path: Path) -> None:
    table = np.arange(np.prod(TABLE), dtype=np.float32).reshape(TABLE)
    inside, beside = tmp_path / "inside.onnx", tmp_path / "beside.onnx"
    for path in (inside, beside):
        write(path, {"table": table})
    put_beside(beside)
    opened(inside)  # whatever the first session of a process takes
    before = own_memory()
    session = opened(beside)
    assert own_memory() - before < 8
    symbols = np.array([3, 9, TABLE[0] - 1])
    assert (session.run(None, {"symbols": symbols})[0] == table[symbols]).all()
    copied = own_memory()
    other = opened(inside)
    assert own_memory() - copied > 24, "what is inside of the file is copied"
    assert (other.run(None, {"symbols": symbols})[0] == table[symbols]).all()


def test_weights_are_aligned_and_stay_the_same(tmp_path: Path) -> None:
    draw, path = np.random.default_rng(0), tmp_path / "graph.onnx"
    tables = {f"table_{number}": draw.normal(size=(rows, 33)).astype(np.float32) for number, rows in enumerate((40, 41, 42))}
    tables["small"] = np.zeros((4, 33), dtype=np.float32)
    write(path, tables)
    said = opened(path).run(None, {"symbols": np.array([0, 3])})[0]
    for _ in range(2):
        put_beside(path)
        stored = onnx.load(path, load_external_data=False).graph.initializer
        places = {one.name: {entry.key: entry.value for entry in one.external_data} for one in stored}
        assert {name for name, place in places.items() if place} == {"table_0", "table_1", "table_2"}, "small ones stay inside"
        assert all(place["location"] == "graph.onnx.data" and int(place["offset"]) % ALIGNED == 0 for place in places.values() if place)
        assert (opened(path).run(None, {"symbols": np.array([0, 3])})[0] == said).all()
    assert sum(int(place["length"]) for place in places.values() if place) == 123 * 33 * 4
    assert path.with_name("graph.onnx.data").stat().st_size < 123 * 33 * 4 + 3 * ALIGNED


def test_a_file_of_small_weights_has_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    write(path, {"small": np.zeros((4, 33), dtype=np.float32)})
    put_beside(path)
    assert list(tmp_path.iterdir()) == [path]
