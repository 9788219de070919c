"""8-bit weights for CTranslate2, rounded to 7 bits.

Unusual here: processors without VNNI multiply pairs of an unsigned and a signed byte and add them up in 16 bits, where 255 * 127 * 2 is
cut off without a word; results are then much worse, and others than on newer processors. With weights up to 63 nothing is cut off
anywhere (255 * 63 * 2 < 2 ** 15), which is what ONNX Runtime calls a reduced range.
"""

from pathlib import Path
from typing import Any

import numpy as np

from antiphon.contracts.engine import Precision

_LARGEST = 63


def write_spec(spec: Any, place: Path, precision: Precision) -> None:
    """Write a specification with weights in the given precision into a folder."""
    if precision == "int8":
        round_weights(spec)
    else:
        spec.optimize({"fp32": "float32", "bf16": "bfloat16"}[precision])
    spec.save(str(place))


def round_weights(spec: Any) -> None:
    """Round the weights of linear layers and embeddings, with a scale for each row; shared weights stay shared."""
    from ctranslate2.specs.model_spec import NumpyVariable, visit_spec

    def rounded(part: Any, name: str, value: Any) -> None:
        key = name.split("/")[-1]
        if not hasattr(part, f"{key}_scale") or isinstance(value, str) or len(value.shape) < 2:
            return
        weight = value.numpy()
        largest = np.abs(weight.reshape(len(weight), -1)).max(axis=1)
        scale = (_LARGEST / np.where(largest == 0, _LARGEST, largest)).astype(np.float32)
        numbers = np.rint(weight * scale.reshape(-1, *[1] * (weight.ndim - 1))).astype(np.int8)
        setattr(part, key, NumpyVariable(numbers))
        setattr(part, f"{key}_scale", NumpyVariable(scale))

    spec.optimize("float32")  # makes one of what is the same
    visit_spec(spec, rounded)
