"""What the C library does with memory that is let go (mallopt(3))."""

import ctypes
import sys

_M_MMAP_THRESHOLD = -3
_LARGE = 2**20


def map_large_blocks() -> None:
    """Give back blocks of a mebibyte and more as soon as they are free, for the rest of this process.

    glibc raises that size to up to 32 MiB by itself once a block was freed, and keeps smaller ones in its heap, with holes between them,
    for which a process whose weights come and go layer by layer needs a fifth more memory. Other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
