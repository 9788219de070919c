"""Tensors of the Open Inference Protocol (https://github.com/kserve/open-inference-protocol), as JSON or as bytes appended to it.

What stands behind the JSON is Triton's extension for binary tensors: all numbers with their least byte first, an element of BYTES as its
length in four bytes and what it is, a truth as one byte.
"""

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from antiphon.serving.refused import RefusedError
from antiphon.store.json_text import json_text

_NUMPY = {
    **{f"INT{bits}": f"<i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": f"<u{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
    "BOOL": "?",
}


@final
@dataclass(frozen=True)
class Tensor:
    """A named tensor: `values` are bytes objects for BYTES, or an array of its shape."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: "list[bytes] | np.ndarray"


def read_tensors(body: bytes, head: str | None) -> tuple[dict[str, Any], list[Tensor]]:
    """The JSON of a request, and its inputs; `head` is the length of the JSON where bytes follow it.

    Raises RefusedError when it cannot be read.
    """
    if head is not None and not (head.isascii() and head.isdigit() and int(head) <= len(body)):
        raise RefusedError(400, f"`Inference-Header-Content-Length` must be the length of the JSON, but is {head[:40]!r}.")
    end = len(body) if head is None else int(head)
    try:
        request = json.loads(body[:end])
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "The request must begin with a JSON object in UTF-8.") from error
    if not isinstance(request, dict) or not isinstance(request.get("inputs"), list) or not request["inputs"]:
        raise RefusedError(400, "The request must be an object with a list of `inputs`.")
    tensors, raw = list[Tensor](), memoryview(body)[end:]
    for given in request["inputs"]:
        tensor, raw = _tensor(given, raw)
        tensors.append(tensor)
    if len(raw):
        raise RefusedError(400, f"{len(raw)} bytes are left after the last tensor.")
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise RefusedError(400, "Each input may be given once.")
    return request, tensors


def _tensor(given: Any, raw: memoryview) -> tuple[Tensor, memoryview]:
    name = given.get("name") if isinstance(given, dict) else None
    if not isinstance(name, str):
        raise RefusedError(400, "Each input must be an object with a `name`, a `shape` and a `datatype`.")
    datatype, shape, parameters = given.get("datatype"), given.get("shape"), given.get("parameters") or {}
    if datatype != "BYTES" and (not isinstance(datatype, str) or datatype not in _NUMPY):
        known = ", ".join(("BYTES", *_NUMPY))
        raise RefusedError(400, f"The `datatype` of `{name}` must be one of {known}, but is {json_text(datatype, default=str)[:80]}.")
    if not isinstance(shape, list) or not all(type(size) is int and 0 <= size < 2**31 for size in shape) or not 0 < len(shape) < 9:
        raise RefusedError(400, f"The `shape` of `{name}` must be whole numbers from 0 on, but is {json_text(shape, default=str)[:80]}.")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if isinstance(parameters, dict) and any(str(key).startswith("shared_memory") for key in parameters):
        raise RefusedError(400, f"`{name}` must be sent in the request: shared memory is not supported here.")
    if size is None:
        return Tensor(name, datatype, tuple(shape), _of_json(name, datatype, shape, given.get("data"))), raw
    if type(size) is not int or not 0 <= size <= len(raw):
        raise RefusedError(400, f"`{name}` must have {json_text(size, default=str)[:40]} bytes behind the JSON, but there are {len(raw)}.")
    return Tensor(name, datatype, tuple(shape), _of_bytes(name, datatype, shape, bytes(raw[:size]))), raw[size:]


def _of_json(name: str, datatype: str, shape: Sequence[int], data: Any) -> "list[bytes] | np.ndarray":
    found = list[Any]()
    waiting = [data]
    while waiting:  # rows may be lists of their own
        value = waiting.pop()
        if isinstance(value, list):
            waiting += reversed(value)
        else:
            found.append(value)
    if not isinstance(data, list) or len(found) != math.prod(shape):
        raise RefusedError(400, f"`{name}` must have {math.prod(shape)} elements in `data`, as its shape says.")
    if datatype == "BYTES":
        if not all(isinstance(value, str) for value in found):
            raise RefusedError(400, f"`{name}` must have texts in `data`.")
        return [value.encode("utf-8", "surrogatepass") for value in found]
    try:
        if not all(isinstance(value, bool) if datatype == "BOOL" else _is_number(value, datatype) for value in found):
            raise ValueError
        with np.errstate(over="ignore"):  # what a format cannot hold is infinite in it
            return np.array(found, dtype=_NUMPY[datatype]).reshape(shape)
    except (ValueError, OverflowError, TypeError) as error:
        raise RefusedError(400, f"`{name}` must have values of {datatype} in `data`.") from error


def _is_number(value: Any, datatype: str) -> bool:
    wanted = (int, float) if datatype.startswith("FP") else int
    return isinstance(value, wanted) and not isinstance(value, bool)


def _of_bytes(name: str, datatype: str, shape: Sequence[int], raw: bytes) -> "list[bytes] | np.ndarray":
    count = math.prod(shape)
    if datatype == "BYTES":
        found, place = list[bytes](), 0
        while place + 4 <= len(raw) and len(found) < count:
            (length,) = struct.unpack_from("<I", raw, place)
            found.append(raw[place + 4 : place + 4 + length])
            place += 4 + length
        if place != len(raw) or len(found) != count:
            raise RefusedError(400, f"`{name}` must have {count} elements, each behind its length in four bytes.")
        return found
    dtype = np.dtype(_NUMPY[datatype])
    if len(raw) != count * dtype.itemsize:
        raise RefusedError(400, f"`{name}` must have {count * dtype.itemsize} bytes, as its shape says, but has {len(raw)}.")
    if datatype == "BOOL" and any(byte > 1 for byte in raw):
        raise RefusedError(400, f"`{name}` must have bytes that are 0 or 1.")
    return np.frombuffer(raw, dtype=dtype).reshape(shape)


def written(response: Mapping[str, Any], tensors: Sequence[Tensor], binary: Mapping[str, bool]) -> tuple[bytes, int | None]:
    """A response with outputs, those named in `binary` as bytes; and the length of its JSON where bytes follow."""
    outputs, raw = list[dict[str, Any]](), list[bytes]()
    for tensor in tensors:
        output: dict[str, Any] = {"name": tensor.name, "shape": list(tensor.shape), "datatype": tensor.datatype}
        if binary.get(tensor.name):
            raw.append(_as_bytes(tensor))
            output["parameters"] = {"binary_data_size": len(raw[-1])}
        elif isinstance(tensor.values, list):
            output["data"] = [value.decode("utf-8", "replace") for value in tensor.values]
        else:
            output["data"] = tensor.values.ravel().tolist()
        outputs.append(output)
    head = json_text({**response, "outputs": outputs}, ascii_only=True).encode("ascii")
    return b"".join([head, *raw]), len(head) if raw else None


def _as_bytes(tensor: Tensor) -> bytes:
    if isinstance(tensor.values, list):
        return b"".join(struct.pack("<I", len(value)) + value for value in tensor.values)
    return np.ascontiguousarray(tensor.values, dtype=_NUMPY[tensor.datatype]).tobytes()


def texts(tensor: Tensor) -> list[str]:
    """The elements of a tensor of texts. Raises RefusedError for any other tensor."""
    if not isinstance(tensor.values, list):
        raise RefusedError(400, f"`{tensor.name}` must be of datatype BYTES, but is of {tensor.datatype}.")
    try:
        return [value.decode("utf-8") for value in tensor.values]
    except UnicodeDecodeError as error:
        raise RefusedError(400, f"`{tensor.name}` must have texts in UTF-8.") from error


def numbers(tensor: Tensor) -> "np.ndarray":
    """The elements of a tensor of numbers, float64 in its shape. Raises RefusedError for any other tensor."""
    if isinstance(tensor.values, list) or tensor.datatype == "BOOL":
        raise RefusedError(400, f"`{tensor.name}` must be of numbers, but is of {tensor.datatype}.")
    with np.errstate(invalid="ignore"):
        return tensor.values.astype(np.float64)
