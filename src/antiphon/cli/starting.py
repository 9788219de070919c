"""Start quickly: Python looks for cycles of objects again and again while modules are loaded, and finds none."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collections() -> Iterator[None]:
    """Collect no garbage while something is loaded, and count what was loaded as old, which is looked through rarely."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.unfreeze()  # into the oldest generation, without a look at it
        gc.enable()
