"""The contract of `import antiphon`: ten names, each found only when it is asked for."""

import pytest

import antiphon
from tests.package.source_files import project, run_python

PUBLIC = {"Predictor", "Recipe", "distill", "evaluate", "export", "import_model", "load", "serve", "sweep", "train", "tune"}


def test_public_names() -> None:
    assert set(antiphon.__all__) == PUBLIC
    assert set(dir(antiphon)) >= PUBLIC, "completion in a shell shows what `dir` lists"


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_public_name_exists_and_is_documented(name: str) -> None:
    found = getattr(antiphon, name)
    assert callable(found)
    assert found.__doc__


def test_from_import() -> None:
    """`from antiphon import train` with nothing of Antiphon imported before: no other import may be needed. torch is loaded once."""
    program = "import sys, torch\nfor name in sys.argv[1:]:\n"
    program += "    for module in [one for one in sys.modules if one.partition('.')[0] == 'antiphon']: del sys.modules[module]\n"
    program += "    exec(f'from antiphon import {name}')\n"
    finished = run_python(program, *sorted(PUBLIC))
    assert finished.returncode == 0, finished.stderr


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = antiphon.no_such_name  # type: ignore[attr-defined]


def test_version() -> None:
    assert antiphon.__version__ == project()["version"]
