"""What every test gets: one thread per process that does not spin while it waits, and a random seed that is printed. The summary says what
the processes used.

Nothing of Antiphon is imported here: a module that is imported before pytest has switched on the checking of shapes is not checked.
"""

import contextlib
import ctypes
import gc
import os
import random
import resource
from collections.abc import Iterator
from typing import Any

import hypothesis
import jaxtyping
import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # processes share few cores; read once, when torch is loaded
import torch

from tests.checked_shapes import checked

jaxtyping.jaxtyped = checked  # what the imports of Antiphon look up from here on

# Several test processes share few cores; more threads would only wait for each other, and a busy machine is no reason to fail.
torch.set_num_threads(1)
hypothesis.settings.register_profile("antiphon", deadline=None, print_blob=True)
hypothesis.settings.load_profile("antiphon")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest --seed 17` repeats what a failed test printed."""
    parser.addoption("--seed", type=int, default=None, help="use this seed instead of a random one")


def pytest_collection_finish() -> None:
    """What the imports and the collection made stays until the end, so the garbage collector need not look through it again and again.

    The second collection tells it how little is left: beside millions of old objects, it would let large tensors in cycles wait for ever.
    """
    gc.collect()
    gc.freeze()
    gc.collect()


def give_back() -> None:
    """Free what nothing holds any more, and give it back to the system where the C library keeps it for later."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # GNU's alone has it
        ctypes.CDLL(None).malloc_trim(0)


@pytest.fixture(scope="module", autouse=True)
def little_garbage() -> Iterator[None]:
    """No file of tests leaves its models to the next one."""
    yield
    give_back()


USED = pytest.StashKey[dict[str, tuple[float, float]]]()


def used() -> tuple[float, float]:
    """Minutes of computing of this process and of those it started, and the most memory that it had, in GB."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(each.ru_utime + each.ru_stime for each in (own, children)) / 60, own.ru_maxrss / 1e6


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A process of several tells the first one what it used."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["used"] = used()
    elif not session.config.getoption("numprocesses", None):
        session.config.stash[USED] = {"this process": used()}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """What one of several processes said at its end; nothing, if it died."""
    node.config.stash.setdefault(USED, {})[node.gateway.id] = node.workeroutput["used"] if hasattr(node, "workeroutput") else (0.0, 0.0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each process."""
    for name, (minutes, memory) in sorted(terminalreporter.config.stash.get(USED, {}).items()):
        terminalreporter.write_line(f"{name}: {minutes:.1f} minutes of computing, at most {memory:.2f} GB")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> Iterator[int]:
    """A seed that differs in every run; torch is seeded with it. pytest shows the printed line when the test fails."""
    given = request.config.getoption("--seed")
    drawn = random.SystemRandom().randrange(2**31) if given is None else given
    print(f"seed {drawn}: repeat with --seed {drawn}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(drawn)
        yield drawn
