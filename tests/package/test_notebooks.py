"""The chapters of docs/learn/ as notebooks hold every line that the pages run, and nothing that is for the tests alone."""

import re
from pathlib import Path

import pytest

from tests.judges import judge
from tests.package.documented_code import blocks
from tests.package.source_files import ROOT
from tests.package.test_documented_code import load_script

CHAPTERS = sorted(page for page in (ROOT / "docs" / "learn").glob("*.md") if page.stem != "index")
PAGE = """\
<!-- The tests run the code on this page. -->
# A page

<!-- small: N = 1 -->
```python
N = 5
```

<!-- claim: N > 1 -->

![A curve](pictures/curve.svg)

```yaml
# mine.yaml
task: translation
```

```bash
antiphon check mine.yaml
```

See [search](../search.md#limits), [a paper](https://example.org/a.md) and [above](#a-page).
"""


def test_a_page_as_notebook() -> None:
    text = load_script("notebooks").notebook_text(PAGE)
    assert "<!--" not in text
    assert "pictures/" not in text
    assert "```python\n%%writefile mine.yaml\n# mine.yaml\ntask: translation\n```" in text
    assert "```python\n%%bash\nantiphon check mine.yaml\n```" in text
    assert "[search](../docs/learn/../search.md#limits), [a paper](https://example.org/a.md) and [above](#a-page)" in text


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.stem)
def test_notebooks_hold_every_line_of_their_page(page: Path, tmp_path: Path) -> None:
    judge("jupytext", extra="docs")
    nbformat = judge("nbformat", extra="docs")
    written = {path.stem: path for path in load_script("notebooks").write_notebooks(tmp_path)}
    notebook = nbformat.read(written[page.stem], as_version=4)
    nbformat.validate(notebook)
    cells = [re.sub(r"^%%.*\n", "", cell.source) for cell in notebook.cells if cell.cell_type == "code"]
    assert cells[1:] == [block.code.rstrip("\n") for block in blocks(page.read_text(encoding="utf-8"))]


def test_the_table_of_chapters_is_complete() -> None:
    index = (ROOT / "docs" / "learn" / "index.md").read_text(encoding="utf-8")
    assert [page.name for page in CHAPTERS if f"({page.name})" not in index] == []
