"""No JSON that is written for others holds NaN, which browsers refuse: one function writes it, or the call says why it need not."""

import ast

import pytest

from tests.package.source_files import SOURCES, imports, parsed, place

KEEPS_NAN = {"content.py", "encoded_blocks.py", "windows.py", "distributed.py"}  # contents that are hashed, or that we read back


def findings(tree: ast.Module, name: str) -> list[int]:
    """Lines that write JSON in another way: neither within a hash, nor saying `allow_nan`."""
    hashed = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("hashlib.")
        for inner in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or ast.unparse(node.func) not in ("json.dump", "json.dumps") or id(node) in hashed:
            continue
        said = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}.get("allow_nan")
        if said != "False" and not (said == "True" and name in KEEPS_NAN):
            found.append(node.lineno)
    return found


def test_one_function_writes_json() -> None:
    assert [place(path, line) for path in SOURCES for line in findings(parsed(path), path.name)] == []
    named = [place(path, line) for path in SOURCES for what, line in imports(parsed(path)) if what in ("json.dump", "json.dumps")]
    assert named == [], "`json.dumps` is called by this name, so that the search sees it"


@pytest.mark.parametrize("code", ["json.dumps(x)", "json.dump(x, file, indent=1)", "json.dumps(x, allow_nan=True)", "f(json.dumps(x))"])
def test_the_search_finds_what_is_forbidden(code: str) -> None:
    assert findings(ast.parse(code), "other.py")


@pytest.mark.parametrize("code", ["json.dumps(x, allow_nan=False)", "hashlib.sha256(json.dumps(x).encode())", "json.loads(x)"])
def test_the_search_lets_pass_what_is_allowed(code: str) -> None:
    assert not findings(ast.parse(code), "other.py")
