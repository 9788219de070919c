"""Tests on generated files: on some in the fast tests, on 500 in the slow ones."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SOME, MANY = 25, 500

on_generated_files = pytest.mark.parametrize(
    "count", [pytest.param(SOME, id="some"), pytest.param(MANY, id="many", marks=pytest.mark.slow)]
)
"""Marks a test with the parameter `count`, which hands it to `over`."""


def over(count: int, check: Callable[..., None], **drawn: st.SearchStrategy[Any]) -> None:
    """Check so many examples, whose parts are drawn by the name of the argument that takes them."""
    settings(max_examples=count)(given(**drawn)(check))()
