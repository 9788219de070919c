"""Stores the weights of an ONNX file in bf16, at half the size; ONNX Runtime, which cannot multiply in bf16, converts them to float32 when
it opens the file.

Unusual here: so the only thing that is lost is what rounding of the weights loses, and any processor runs the file as fast as in float32.
"""

from pathlib import Path
from typing import Any

import numpy as np

FEWEST = 1024
"""Smaller weights are not converted."""


def store_in_bf16(path: Path) -> int:
    """Change a file in place; returns how many weights are in bf16."""
    import onnx

    model = onnx.load(path)  # with weights that are in a file beside it
    changed = [one for one in model.graph.initializer if one.data_type == onnx.TensorProto.FLOAT and np.prod(one.dims) >= FEWEST]
    for one in changed:
        model.graph.node.insert(0, onnx.helper.make_node("Cast", [f"bf16 {one.name}"], [one.name], to=onnx.TensorProto.FLOAT))
        _round(one)
    onnx.save(model, path)
    path.with_name(f"{path.name}.data").unlink(missing_ok=True)
    return len(changed)


def _round(weight: Any) -> None:
    """A tensor rounded to bf16, and its new name."""
    import onnx

    bits = onnx.numpy_helper.to_array(weight).view(np.uint32)
    nearest = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)  # ties to even
    weight.ClearField("float_data")
    weight.raw_data, weight.data_type, weight.name = nearest.tobytes(), onnx.TensorProto.BFLOAT16, f"bf16 {weight.name}"
