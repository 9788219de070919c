"""The output layer for selected symbols only: the weights inside a graph become its inputs (`engines/output_layer.py`).

So it computes with chosen weights as the whole graph does with all of them, in float32 or in 8 bits: each logit is the same.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from antiphon.engines.output_layer import FILE, SOME, WHOLE
from antiphon.errors import ExportError


def split(folder: Path, size: int) -> None:
    """Write a graph for selected symbols beside that for all `size` symbols, and the weights into a file that the latter reads, too.

    Raises ExportError where weights do not say which of their axes is that of symbols.
    """
    import onnx
    from onnx import numpy_helper

    whole = onnx.load(folder / f"{WHOLE}.onnx")  # with weights that are in a file beside it
    arrays = {one.name: numpy_helper.to_array(one) for one in whole.graph.initializer if size in one.dims}
    if any(array.shape.count(size) > 1 for array in arrays.values()):
        raise ExportError(
            f"`--shortlist` needs a model whose last layer is not as wide as its vocabulary, but both are {size}. Leave it out."
        )
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / FILE)
    some = onnx.ModelProto()
    some.CopyFrom(whole)
    _take_as_inputs(some.graph, arrays, size)
    onnx.save(some, folder / f"{SOME}.onnx")
    _read_from_file(whole.graph, folder / FILE)
    onnx.save(whole, folder / f"{WHOLE}.onnx")
    (folder / f"{WHOLE}.onnx.data").unlink(missing_ok=True)


def _take_as_inputs(graph: Any, arrays: dict[str, Any], size: int) -> None:
    from onnx import helper

    for one in list(graph.initializer):
        if one.name in arrays:
            shape = ["symbols" if length == size else length for length in one.dims]
            graph.input.append(helper.make_tensor_value_info(one.name, one.data_type, shape))
            graph.initializer.remove(one)
    del graph.value_info[:]  # sizes that were those of all symbols
    for value in graph.output:
        value.type.tensor_type.shape.dim[-1].dim_param = "symbols"


def _read_from_file(graph: Any, path: Path) -> None:
    """Make the graph read its weights from a safetensors file, at the offsets that its header gives."""
    from onnx import TensorProto

    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    for one in graph.initializer:
        if one.name in header:
            begin, end = header[one.name]["data_offsets"]
            one.ClearField("raw_data")
            one.data_location = TensorProto.EXTERNAL
            for key, value in (("location", path.name), ("offset", 8 + length + begin), ("length", end - begin)):
                one.external_data.add(key=key, value=str(value))
