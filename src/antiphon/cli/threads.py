"""Threads that have nothing to do sleep instead of spinning.

torch computes with OpenMP, which lets a thread that has done its part spin for a while in case more comes at once. Where others want the
core (a second training, the other ranks, a container's quota, a desktop), the spinning holds up the very thread that is waited for, and
everything becomes several times slower. `docs/training.md` has the numbers.
"""

import os


def let_waiting_threads_sleep() -> None:
    """Ask OpenMP to let waiting threads sleep, here and in child processes, unless the environment has a wish of its own.

    To be called before torch is loaded, since OpenMP reads the variable once. It is the standard's, so it does for the libraries of GNU,
    LLVM and Intel, and their own variables, `GOMP_SPINCOUNT` and `KMP_BLOCKTIME`, go before it.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
