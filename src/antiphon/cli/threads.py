"""Threads that have nothing to do spin for a short while only.

torch computes with OpenMP, which lets a thread that has done its part spin for milliseconds in case more comes at once. Where others want
the core (a second training, the other ranks, a container's quota, a desktop), the spinning holds up the very thread that is waited for, and
everything becomes several times slower. Without any spinning, a small model alone on its machine is slower, too, since threads fall asleep
between two layers. `benchmarks/README.md` has the numbers.
"""

import os

SPINS = "2000"
"""Turns of a waiting thread before it sleeps: some hundredths of a millisecond. GNU's OpenMP has 300,000 by itself."""
_WISHES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def bound_spinning() -> None:
    """Let waiting threads sleep soon, here and in child processes, unless the environment has a wish of its own.

    To be called before torch is loaded, since OpenMP reads the variables once. Ranks that share a machine do not spin at all.
    """
    if any(name in os.environ for name in _WISHES):
        return
    if int(os.environ.get("LOCAL_WORLD_SIZE", "1")) > 1:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    else:
        os.environ["GOMP_SPINCOUNT"] = SPINS
