"""No code in a file is ever run by reading it: no pickle, no `torch.load`, no `eval`, no YAML that builds objects."""

import ast

import pytest

from tests.package.source_files import SOURCES, imports, parsed, place

FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml"}
BETWEEN_PROCESSES = {"src/antiphon/data/processes.py": "pickle"}
"""What passes between a process and those that it has started, in pipes and files without a name."""
FORBIDDEN_CALLS = {"eval", "exec", "__import__", "torch.load", "torch.save", "torch.jit.load", "yaml.load", "yaml.unsafe_load"}


def findings(tree: ast.Module) -> list[tuple[str, int]]:
    """What is forbidden in a tree, with its line."""
    found = [(name, line) for name, line in imports(tree) if name.split(".")[0] in FORBIDDEN_MODULES or name in FORBIDDEN_CALLS]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        settings = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if called in FORBIDDEN_CALLS - {"yaml.load"}:
            found.append((called, node.lineno))
        elif settings.get("allow_pickle", "False") != "False":
            found.append((f"{called}(allow_pickle=...)", node.lineno))
        elif called.endswith("YAML") and settings.get("typ") not in ("'safe'", "'rt'"):
            found.append((f"{called} without typ='safe' or 'rt'", node.lineno))
    return found


def test_source_runs_no_foreign_code() -> None:
    found = [(place(path, line), what) for path in SOURCES for what, line in findings(parsed(path))]
    assert [f"{where}: {what}" for where, what in found if BETWEEN_PROCESSES.get(where.split(":")[0]) != what] == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import yaml",
        "from torch import load",
        "torch.load('x')",
        "torch.save(1, 'x')",
        "eval('1')",
        "exec('1')",
        "np.load('x', allow_pickle=True)",
        "YAML()",
        "ruamel.yaml.YAML(typ='unsafe')",
    ],
)
def test_the_search_finds_what_is_forbidden(code: str) -> None:
    assert findings(ast.parse(code))


@pytest.mark.parametrize(
    "code", ["model.eval()", "from ruamel.yaml import YAML", "YAML(typ='safe').load(file)", "np.load(path)", "re.compile('x')"]
)
def test_the_search_lets_pass_what_is_allowed(code: str) -> None:
    assert not findings(ast.parse(code))


JUDGED = {"validate", "recipe_from", "load_trained", "stored_recipe", "task_of", "upgraded"}  # what reads names of code


def unjudged(tree: ast.Module) -> list[tuple[str, int]]:
    """Calls that read names of code without a verdict whether it is trusted."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in JUDGED]
    return [(ast.unparse(call.func), call.lineno) for call in calls if "trust" not in ast.unparse(call).lower()]


def test_whoever_reads_names_of_code_says_whether_it_is_trusted() -> None:
    assert [f"{place(path, line)}: {what}" for path in SOURCES for what, line in unjudged(parsed(path))] == []
    assert unjudged(ast.parse("recipe_from(values)"))
    assert not unjudged(ast.parse("recipe_from(values, trust=FOREIGN)"))


def test_code_from_outside_is_imported_in_one_place() -> None:
    """`import_module` of a name that is not written out."""
    found = []
    for path in SOURCES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and "antiphon." not in ast.unparse(node):
                found.append(place(path, node.lineno).rpartition(":")[0])
    assert {name.rpartition("antiphon/")[2] for name in found} == {"contracts/registry.py"}
