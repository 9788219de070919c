"""Documented code is right: it runs, it prints what the page shows, and the generated page is current.

The fast tests stop every training after three updates; the slow ones run the pages as they are written.
"""

import gzip
import importlib.util
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType

import jaxtyping
import pytest

from tests.conftest import give_back
from tests.package.documented_code import RUN, run_command, run_page
from tests.package.source_files import ROOT

PAGES = sorted(page for page in (ROOT / "docs").rglob("*.md") if RUN in page.read_text(encoding="utf-8"))
SERIES = ("Total Private,", "Retail Trade: Clothing", "Construction,", "Manufacturing,", "Government,")
RECIPE = """\
task: {name: translation, source: en, target: de, vocabulary: {kind: word}}
data: {train: test.tsv, validation: 20, test: test.tsv}
model: {name: lstm, dim: 16}
training: {max_steps: 3}
search: {name: greedy}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that looks like the project's, in which pages may write. Models that a page made are gone behind it."""
    for name in ("examples", "recipes"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    give_back()  # functions of a page hold its names, and these hold the functions


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Shapes are not checked meanwhile, which would take longer than all else; other tests of the same code do it."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def few_records(project: Path, page: Path) -> None:
    """Fewer of the sample series and documents; fewer sentences where a page says no numbers of them."""
    for name in (
        "recipes",
        "examples",
        "examples/data",
    ):  # folders of links, since `recipes/..` leads through a link to its target's parent
        if (project / name).is_symlink():
            (project / name).unlink()
        (project / name).mkdir()
        for path in (ROOT / name).iterdir():
            if path.name not in ("data", "employment", "summarization", "translation"):
                (project / name / path.name).symlink_to(path)
    (project / "examples" / "data" / "employment").mkdir()
    for name in ("examples/data/employment/train.csv.gz", "examples/data/employment/test.csv.gz"):
        with gzip.open(ROOT / name, "rt", encoding="utf-8") as packed:
            header, *rows = packed.readlines()
        with gzip.open(project / name, "wt", encoding="utf-8") as packed:
            packed.writelines([header, *(row for row in rows if row.startswith(SERIES))])
    sentences = FEW_SENTENCES.get(page.stem, 30_000)
    few = {
        "summarization": {"train": 200, "validation": 10, "test": 10},
        "translation": {"train": sentences, "validation": 1000, "test": 1000},
    }
    for folder, counts in few.items():
        (project / "examples" / "data" / folder).mkdir()
        for split, count in counts.items():
            name = f"examples/data/{folder}/{split}.tsv.gz"
            with gzip.open(ROOT / name, "rt", encoding="utf-8") as packed, gzip.open(project / name, "wt", encoding="utf-8") as fewer:
                fewer.writelines(islice(packed, count + 1))


LONG = (  # a quarter or half a minute each, also when small
    "translation",
    "fine_tuning",
    "search",
    "evaluation",
    "summarization",
    "forecasting",
    "pretraining",
    "distillation",
    "speech",
    "from_file_to_service",
)
FEW_SENTENCES = {"po_files": 1500, "context_vector": 1, "attention": 1, "transformer": 1, "decoding": 4000}


@pytest.mark.timeout(1200)  # on a busy machine
@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=[pytest.mark.slow] * (page.stem in LONG)) for page in PAGES], ids=[page.stem for page in PAGES]
)
def test_pages_run(page: Path, project: Path, few_records: None, unchecked: None) -> None:
    assert run_page(page, small=True) > 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_run_as_they_are_written(page: Path, project: Path) -> None:
    assert run_page(page, small=False) > 0


def test_commands_of_the_readme_run(project: Path) -> None:
    """Those with a recipe of one's own; the recipe is made small, as `new` asks one to change it anyway."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = [line.strip() for line in text.splitlines() if line.startswith(("    antiphon ", "    echo ", "    python "))]
    assert len(commands) >= 6
    with gzip.open(ROOT / "examples/data/translation/validation.tsv.gz", "rt", encoding="utf-8") as packed:
        pairs = "".join(packed.readlines()[:60])
    for name in ("test.tsv", "messages.tsv"):
        (project / name).write_text(pairs, encoding="utf-8")
    for command in commands:
        output, failed = run_command(command, small=False)
        assert not failed, f"{command}\n{output}"
        if " new " in f"{command} ":
            (project / "german.yaml").write_text(RECIPE, encoding="utf-8")
    shutil.rmtree(project / "runs")
    (project / "README.md").write_text(text, encoding="utf-8")
    assert run_page(project / "README.md", small=False) == 1


@pytest.mark.parametrize(
    ("fence", "problem"),
    [
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", "should"),
        ("```bash\nantiphon list nonsense\n```\n", "failed"),
        ("<!-- fails -->\n```bash\nantiphon list models\n```\n", "did not fail"),
        ("```bash\nfalse\n```\n", "failed"),
    ],
)
def test_wrong_pages_are_found(fence: str, problem: str, project: Path) -> None:
    (project / "page.md").write_text(f"# A page\n\n{fence}", encoding="utf-8")
    with pytest.raises(AssertionError, match=problem):
        run_page(project / "page.md", small=True)


CLAIM = """\
# A page

<!-- small: N = 2 -->
```python
N = 5
```

```python
print(N)
```

```console
5
```

<!-- claim: N > {least} -->
"""


def test_pages_are_made_small_and_what_they_say_is_asked_as_they_are_written(project: Path) -> None:
    page, printed = project / "page.md", list[str]()
    page.write_text(CLAIM.format(least=4), encoding="utf-8")
    for small in (True, False):
        run_page(page, small=small, told=lambda _, output: printed.append(output.strip()))
    assert printed == ["", "2", "", "5"]
    page.write_text(CLAIM.format(least=6), encoding="utf-8")
    run_page(page, small=True)
    with pytest.raises(AssertionError, match="it does not hold that N > 6"):
        run_page(page, small=False)


def test_the_pages_are_there() -> None:
    assert {"tour", "translation", "forecasting", "data", "search", "evaluation", "training", "add_architecture"} <= {
        page.stem for page in PAGES
    }


def test_what_is_not_to_be_run_is_not(project: Path) -> None:
    text = "<!-- not run: it needs a GPU -->\n```bash\nfalse\n```\n\n```python\nprint(1)\n```\n\n<!-- slow -->\n```python\n1 / 0\n```\n"
    (project / "page.md").write_text(text, encoding="utf-8")
    assert run_page(project / "page.md", small=True) == 1


def load_script(name: str) -> ModuleType:
    """A program of scripts/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_recipe_reference_is_current() -> None:
    """It is written from the config classes: run `python scripts/recipe_reference.py` after changing one."""
    assert (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8") == load_script("recipe_reference").write_page()


@pytest.mark.parametrize(
    "word", ["Factory", "class '", "typing", "Annotated", "FieldInfo", "Undefined", "object at", "None", "True", "False", "{'"]
)
def test_the_recipe_reference_speaks_no_python(word: str) -> None:
    assert [line for line in (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8").splitlines() if word in line] == []
