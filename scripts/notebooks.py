"""Turn the chapters of docs/learn/ into notebooks: python scripts/notebooks.py [folder], by default notebooks/.

The Markdown pages are the source, and jupytext does the work. What differs between a page and a notebook is changed before: YAML and shell
become cells that write and run them, pictures are left out, since the cells draw them, and comments for the tests are gone.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = ROOT / "docs" / "learn"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$\n?", re.DOTALL | re.MULTILINE)
BEGIN = """\
```python
import os
import sys
from pathlib import Path

os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where `antiphon` is
while not Path("examples/data").is_dir() and Path.cwd() != Path.cwd().parent:
    os.chdir("..")  # to the project's folder
```

"""


def notebook_text(page: str) -> str:
    """The page as the Markdown that jupytext is to read."""
    page = re.sub(r"^<!-- .*? -->\n+", "", page, flags=re.MULTILINE)
    page = re.sub(r"^!\[.*?\]\(pictures/.*?\)\n+", "", page, flags=re.MULTILINE)
    page = re.sub(r"\]\((?!\w+:|#)([^)]*?)\.md(#[^)]*)?\)", r"](../docs/learn/\1.md\2)", page)
    page = FENCE.sub(_cell, page)
    head, _, rest = page.partition("\n\n")
    return f"{head}\n\n{BEGIN}{rest}"


def _cell(fence: re.Match[str]) -> str:
    language, code = fence[1], fence[2]
    named = re.match(r"# (\S+\.yaml)\n", code)
    if language == "yaml" and named is not None:
        return f"```python\n%%writefile {named[1]}\n{code}```\n"
    if language == "bash":
        return f"```python\n%%bash\n{code}```\n"
    return fence[0]


def write_notebooks(folder: Path) -> list[Path]:
    """Write a notebook for each chapter; returns their paths."""
    import jupytext  # the extra `docs`

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for page in sorted(CHAPTERS.glob("*.md")):
        if page.stem != "index":
            notebook = jupytext.reads(notebook_text(page.read_text(encoding="utf-8")), fmt="md")
            notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
            written.append(folder / f"{page.stem}.ipynb")
            jupytext.write(notebook, written[-1])
    return written


if __name__ == "__main__":
    for path in write_notebooks(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "notebooks"):
        print(path)
