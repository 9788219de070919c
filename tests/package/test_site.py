"""The site holds every page: the navigation names each, and the reference of the Python interface describes each public name."""

import ast
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from ruamel.yaml import YAML

import antiphon
from tests.package.source_files import PACKAGE, ROOT
from tests.package.test_documented_code import load_script


def program(name: str) -> ModuleType:
    """A program of scripts/ as a module, which others of them may import."""
    if name not in sys.modules:
        sys.modules[name] = load_script(name)
    return sys.modules[name]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    return program("api_reference")


def named(navigation: Any) -> Iterator[str]:
    """The pages that the navigation names."""
    if isinstance(navigation, str):
        yield navigation
    else:
        for each in navigation.values() if isinstance(navigation, dict) else navigation:
            yield from named(each)


def test_the_navigation_names_every_page_once(reference: ModuleType) -> None:
    found = sorted(named(YAML(typ="safe").load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))
    written = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    made = [*program("site_pages").ELSEWHERE.values(), "api/index.md", *(f"api/{folder}.md" for folder in reference.FOLDERS)]
    assert found == sorted([*written, *made])


def test_the_reference_has_every_folder_and_public_name(reference: ModuleType) -> None:
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert folders - set(reference.FOLDERS) == {"cli", "report"}
    page = reference.public_page()
    assert [name for name in antiphon.__all__ if f"\n## {name}\n" not in page] == []


def test_signatures_keep_shapes_and_defaults(reference: ModuleType) -> None:
    (definition,) = ast.parse('def f(x: Float[Tensor, "B T"], /, *, mask: Bool | None = None) -> Loss: pass').body
    assert reference.signature(definition, "f") == "def f(x: Float[Tensor, 'B T'], /, *, mask: Bool | None = None) -> Loss"
    long = reference.signature(definition, "f" * 60)
    assert long.splitlines()[1:4] == ["    x: Float[Tensor, 'B T'],", "    /,", "    *,"]


def test_docstrings_become_paragraphs_lists_and_code(reference: ModuleType) -> None:
    found = reference.markdown("Train.\n\nrecipe    a path,\n          or a Recipe\nout, data  places\n\n    run = train()\n")
    assert found == "Train.\n\n- `recipe`: a path,\n  or a Recipe\n- `out, data`: places\n\n```\nrun = train()\n```"


def test_links_to_files_lead_to_their_pages(reference: ModuleType) -> None:
    pages, sources = program("site_pages"), set[str]()
    code = "```\n[e](../src/antiphon/version.py)\n```\n"
    text = f"[a](../src/antiphon/version.py) [b](../recipes/README.md#x) [c](data.md) [d](../src)\n{code}"
    places = {**pages.ELSEWHERE, "docs/data.md": "data.md"}
    found = pages.relinked(text, "docs/tour.md", "tour.md", places, sources)
    assert found.startswith("[a](files/src/antiphon/version.py.md) [b](measured/recipes.md#x) [c](data.md) d\n")
    assert found.endswith(code)
    assert sources == {"src/antiphon/version.py"}
