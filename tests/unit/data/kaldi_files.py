"""Archives as Kaldi writes them."""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np


def plain(matrix: np.ndarray) -> bytes:
    """A matrix of float32 or float64 in Kaldi's binary form."""
    kind = b"DM " if matrix.dtype == np.float64 else b"FM "
    return b"\0B" + kind + struct.pack("<bibi", 4, matrix.shape[0], 4, matrix.shape[1]) + matrix.tobytes()


def write_ark(path: Path, entries: Mapping[str, bytes]) -> dict[str, str]:
    """Write an archive: id, blank, content; the places of the contents."""
    content, places = b"", {}
    for key, value in entries.items():
        content += f"{key} ".encode()
        places[key] = f"{path}:{len(content)}"
        content += value
    path.write_bytes(content)
    return places
