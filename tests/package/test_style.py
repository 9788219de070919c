"""The few rules of style that a program can see and a linter does not know."""

import ast

from tests.package.source_files import SOURCES, parsed, place

VAGUE = {"utils", "util", "helpers", "helper", "common", "base", "manager", "handler", "misc"}


def test_no_open_keyword_arguments() -> None:
    """A signature says what it takes: `**kwargs` hides misspelled arguments, and what may be changed."""
    nodes = [(path, node) for path in SOURCES for node in ast.walk(parsed(path))]
    functions = [(path, node) for path, node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)]
    assert [place(path, node.lineno) for path, node in functions if node.args.kwarg is not None] == []


def test_a_file_says_its_idea() -> None:
    """In a docstring at its top."""
    assert [str(path) for path in SOURCES if not ast.get_docstring(parsed(path))] == []


def test_names_of_files_say_something() -> None:
    assert [str(path) for path in SOURCES if VAGUE & {*path.stem.split("_"), path.parent.name}] == []
