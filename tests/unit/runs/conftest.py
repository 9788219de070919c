"""A tiny trained run for all tests here."""

from tests.cli.conftest import trained

__all__ = ["trained"]
