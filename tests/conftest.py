"""What every test gets: one thread per process that does not spin while it waits, and a random seed that is printed.

Nothing of Antiphon is imported here: a module that is imported before pytest has switched on the checking of shapes is not checked.
"""

import os
import random
from collections.abc import Iterator

import hypothesis
import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the commands do; read once, when torch is loaded, and by child processes
import torch

# Several test processes share few cores; more threads would only wait for each other, and a busy machine is no reason to fail.
torch.set_num_threads(1)
hypothesis.settings.register_profile("antiphon", deadline=None, print_blob=True)
hypothesis.settings.load_profile("antiphon")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest --seed 17` repeats what a failed test printed."""
    parser.addoption("--seed", type=int, default=None, help="use this seed instead of a random one")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> Iterator[int]:
    """A seed that differs in every run; torch is seeded with it. pytest shows the printed line when the test fails."""
    given = request.config.getoption("--seed")
    drawn = random.SystemRandom().randrange(2**31) if given is None else given
    print(f"seed {drawn}: repeat with --seed {drawn}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(drawn)
        yield drawn
