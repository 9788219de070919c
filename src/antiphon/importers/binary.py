"""Reads binary files that may be damaged or hostile: every length is checked against the size of the file before it is used.

Unusual here: the file is mapped, not read. An array is a view of it, so a model of gigabytes needs memory only for what is made of it.
"""

from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import UInt8

from antiphon.errors import CheckpointError


@final
class BinaryReader:
    """Reads little-endian values one after another. All methods raise CheckpointError where the file ends too early."""

    def __init__(self, path: Path, what: str):
        self.path, self.what, self.position = path, what, 0
        try:
            size = path.stat().st_size
            self._bytes: UInt8[np.ndarray, " N"] = np.memmap(path, mode="r") if size else np.zeros(0, np.uint8)
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error

    @property
    def left(self) -> int:
        """The number of bytes left."""
        return len(self._bytes) - self.position

    def take(self, count: int) -> UInt8[np.ndarray, " count"]:
        """The next bytes, as a view."""
        if count > self.left:
            raise CheckpointError(f"{self.path} is no complete {self.what}: it ends too soon, after {len(self._bytes):,} bytes.")
        taken = self._bytes[self.position : self.position + count]
        self.position += count
        return taken

    def number(self, size: int, *, signed: bool = False) -> int:
        """The next integer, of the given number of bytes."""
        return int.from_bytes(self.take(size).tobytes(), "little", signed=signed)

    def text(self, length: int) -> str:
        """The next `length` bytes as a text, without trailing zeros."""
        try:
            return self.take(length).tobytes().rstrip(b"\0").decode()
        except UnicodeDecodeError as error:
            raise CheckpointError(f"{self.path} is no {self.what}: a name in it is no text.") from error

    def refuse(self, reason: str) -> CheckpointError:
        """The error that the file is not valid."""
        return CheckpointError(f"{self.path} is no {self.what}: {reason}.")


def elements(data: UInt8[np.ndarray, " N"], dtype: type[np.generic], shape: tuple[int, ...]) -> np.ndarray:
    """Bytes as an array of this shape, whose size has been checked; copied, since values in a file need not be aligned for the CPU."""
    return np.frombuffer(data.tobytes(), dtype=np.dtype(dtype).newbyteorder("<")).reshape(shape)
