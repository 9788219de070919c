"""What is imported, and when: the core needs only its own dependencies, and what starts the command line needs no torch."""

import ast
import re
import sys
from importlib.metadata import packages_distributions

import pytest

from tests.package.source_files import PACKAGE, SOURCES, imports, parsed, place, project, run_python

WITHOUT_TORCH = [
    "antiphon",
    "antiphon.errors",
    "antiphon.contracts.registry",
    "antiphon.contracts.configuration",
    "antiphon.metrics",
    "antiphon.cli.main",
    "antiphon.cli.threads",
]


def normalized(requirement: str) -> str:
    """ "ruamel.yaml>=0.18" -> "ruamel-yaml"."""
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=!~;\[ ]", requirement)[0]).lower()


DISTRIBUTIONS = packages_distributions()  # reads every installed package, so once
OF_EXTRAS = {"mlflow": ["mlflow-skinny"]}  # where the module has another name than its distribution, which may not be installed


def distribution_of(module: str) -> set[str]:
    """The installed distributions that a module may come from; of a namespace such as `ruamel`, several."""
    top = module.split(".")[0]
    return {normalized(name) for name in DISTRIBUTIONS.get(top, OF_EXTRAS.get(top, [top]))}


def imported_at_once(tree: ast.Module) -> list[tuple[str, int]]:
    """Imports that run when the module is imported: those outside of functions, also under `if` and `try`."""
    outside: list[tuple[str, int]] = []
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            outside.extend(imports(ast.Module([node], [])))
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))
    return outside


def foreign(names: list[tuple[str, int]], allowed: set[str]) -> list[tuple[str, int]]:
    """Imports that come neither from the standard library, nor from Antiphon, nor from an allowed distribution."""
    known = {*sys.stdlib_module_names, "antiphon"}
    return [(name, line) for name, line in names if name.split(".")[0] not in known and not distribution_of(name) & allowed]


ROOMS_OF_EXTRAS = {"serving": "serve"}  # who enters such a room has the extra, and says so where it is missing


def test_core_imports_no_optional_package() -> None:
    core = {normalized(requirement) for requirement in project()["dependencies"]}
    extras = {room: {normalized(one) for one in project()["optional-dependencies"][extra]} for room, extra in ROOMS_OF_EXTRAS.items()}
    allowed = {path: core | extras.get(path.relative_to(PACKAGE).parts[0], set()) for path in SOURCES}
    assert [
        f"{place(path, line)}: {name}" for path in SOURCES for name, line in foreign(imported_at_once(parsed(path)), allowed[path])
    ] == []


def test_every_import_is_declared() -> None:
    """Also what functions import late must be a dependency or stand in an extra that a user can install."""
    extras = [item for name, items in project()["optional-dependencies"].items() if name not in ("dev", "docs", "judges") for item in items]
    declared = {normalized(requirement) for requirement in [*project()["dependencies"], *extras]}
    assert [f"{place(path, line)}: {name}" for path in SOURCES for name, line in foreign(list(imports(parsed(path))), declared)] == []


@pytest.mark.parametrize("module", WITHOUT_TORCH)
def test_imports_no_torch(module: str) -> None:
    """In a process of its own, since this one has imported torch already."""
    finished = run_python(f"import sys, {module}; print('torch' in sys.modules)")
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip() == "False"


def test_annotations_are_evaluated() -> None:
    """With postponed annotations, jaxtyping would check no shapes, and say nothing."""
    assert [place(path, line) for path in SOURCES for name, line in imports(parsed(path)) if name == "__future__.annotations"] == []


def test_every_folder_is_a_package() -> None:
    folders = {path.parent for path in SOURCES}
    assert [folder.name for folder in folders if not (folder / "__init__.py").exists()] == []
    assert (PACKAGE / "py.typed").exists(), "without `py.typed`, users' type checkers ignore our types"


def test_the_search_tells_early_imports_from_late_ones() -> None:
    tree = ast.parse("import a\nif b:\n    from c import d\ndef e():\n    import f\nclass g:\n    import h\n")
    assert {name for name, _ in imported_at_once(tree)} == {"a", "c.d", "h"}
    assert foreign([("numpy.random", 1), ("os.path", 2), ("antiphon.errors", 3), ("pytest", 4)], {"numpy"}) == [("pytest", 4)]
