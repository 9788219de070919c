"""The few rules of style that a program can see and a linter does not know."""

import ast
from pathlib import Path

import pytest

from tests.package.source_files import SOURCES, parsed, place

VAGUE = {"utils", "util", "helpers", "helper", "common", "base", "manager", "handler", "misc"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_open_keyword_arguments(path: Path) -> None:
    """A signature says what it takes: `**kwargs` hides misspelled arguments, and what may be changed."""
    functions = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)]
    assert [place(path, node.lineno) for node in functions if node.args.kwarg is not None] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_file_says_its_idea(path: Path) -> None:
    assert ast.get_docstring(parsed(path)), "a file begins with a docstring that says its idea"


def test_names_of_files_say_something() -> None:
    assert [str(path) for path in SOURCES if VAGUE & {*path.stem.split("_"), path.parent.name}] == []
