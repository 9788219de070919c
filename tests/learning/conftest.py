"""Learning takes thousands of updates, so the shapes in signatures are not checked here: every other test checks them."""

from collections.abc import Iterator

import jaxtyping
import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Half a minute alone, and ten times as long on a busy machine; the slow ones say their own time."""
    for item in items:
        if "tests/learning" in item.nodeid and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(1200))


@pytest.fixture(autouse=True)
def unchecked_shapes() -> Iterator[None]:
    """Functions are called as they are."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
