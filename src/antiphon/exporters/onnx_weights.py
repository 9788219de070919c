"""Moves the weights of an ONNX file into a file beside it, NAME.onnx.data, which ONNX Runtime maps into memory instead of reading it.

Unusual here: so a process holds only what the runtime makes of them (packed for products, or turned), and all processes that have the file
open share one copy of the rest. What is inside of the `.onnx` file itself is copied by each.
"""

from pathlib import Path

FEWEST = 4096
"""The size in bytes below which tensors stay in the ONNX file."""
ALIGNED = 64
"""Each tensor begins at a multiple of this many bytes, which suits vector instructions."""


def put_beside(path: Path) -> None:
    """Change a file in place; weights that are already in a file beside it are written anew."""
    import onnx
    from onnx.external_data_helper import set_external_data

    model = onnx.load(path)  # with weights that are beside it
    data = path.with_name(f"{path.name}.data")
    with data.open("wb") as file:
        for tensor in model.graph.initializer:
            content = tensor.raw_data
            if len(content) < FEWEST:
                continue
            file.write(bytes(-file.tell() % ALIGNED))
            set_external_data(tensor, data.name, offset=file.tell(), length=len(content))
            tensor.ClearField("raw_data")
            file.write(content)
    onnx.save(model, path)
    if not data.stat().st_size:
        data.unlink()
