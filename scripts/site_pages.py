#!/usr/bin/env python3
"""Gather the pages of the site in build/docs, from which zensical makes site/ (`make docs` does both).

Beside docs/ these are: the reference of the Python interface, made from docstrings; the pages of numbers and changes that stand elsewhere
in the project; every source file that a page links to; and the reports of scripts/gallery.py, as far as they have been made.
"""

import re
import shutil
from pathlib import Path

from api_reference import pages as api_pages

ROOT = Path(__file__).resolve().parent.parent
STAGED = ROOT / "build" / "docs"
GALLERY = ROOT / "build" / "gallery"
# Pages from elsewhere in the project, and where they stand on the site.
ELSEWHERE = {
    "recipes/README.md": "measured/recipes.md",
    "recipes/debian/README.md": "measured/debian.md",
    "recipes/forecasting/README.md": "measured/forecasting.md",
    "benchmarks/README.md": "measured/benchmarks.md",
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
}
LANGUAGES = {".py": "python", ".yaml": "yaml", ".md": "markdown", ".toml": "toml", ".sh": "bash", "": "text"}
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s#]+)(#[^)\s]*)?\)")
FENCES = re.compile(r"(^ {0,3}```.*?^ {0,3}```\s*$)", re.DOTALL | re.MULTILINE)


def gather() -> None:
    """Write build/docs anew."""
    shutil.rmtree(STAGED, ignore_errors=True)
    shutil.copytree(ROOT / "docs", STAGED)
    places = {path.relative_to(ROOT).as_posix(): path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    places |= ELSEWHERE
    sources: set[str] = set()
    for origin, place in places.items():
        write(place, relinked((ROOT / origin).read_text(encoding="utf-8"), origin, place, places, sources))
    for name in sorted(sources):
        write(source_place(name), source_page(name))
    for page in api_pages():
        write(f"api/{page.name}", page.text)
    for report in GALLERY.glob("*/report.html"):
        (STAGED / "reports").mkdir(exist_ok=True)
        shutil.copyfile(report, STAGED / "reports" / f"{report.parent.name}.html")


def write(place: str, text: str) -> None:
    """A page below build/docs."""
    (STAGED / place).parent.mkdir(parents=True, exist_ok=True)
    (STAGED / place).write_text(text, encoding="utf-8")


def relinked(text: str, origin: str, place: str, places: dict[str, str], sources: set[str]) -> str:
    """The text of a page with links that lead to the same things from its new place; `sources` learns which files are linked to."""
    depth = "../" * place.count("/")

    def lead(found: re.Match[str]) -> str:
        opening, address, anchor = found[1], found[2], found[3] or ""
        if re.match(r"[a-z]+:", address):
            return found[0]
        target = (ROOT / origin).parent.joinpath(address).resolve()
        if not target.is_relative_to(ROOT) or not target.exists():
            return found[0]
        name = target.relative_to(ROOT).as_posix()
        if name in places:
            return f"{opening}{depth}{places[name]}{anchor})"
        if target.is_dir() or name.startswith("docs/"):
            return found[0] if name.startswith("docs/") else opening.lstrip("!")[1:-2]  # a folder has no page: its name stays
        sources.add(name)
        return f"{opening}{depth}{source_place(name)})"

    return "".join(part if part.startswith("```") else LINK.sub(lead, part) for part in FENCES.split(text))


def source_place(name: str) -> str:
    """Where a file's page stands; files that begin with a dot would be passed over."""
    return f"files/{name.lstrip('.')}.md"


def source_page(name: str) -> str:
    """A file of the project as a page."""
    text, suffix = (ROOT / name).read_text(encoding="utf-8"), Path(name).suffix
    return f"---\nsearch:\n  exclude: true\n---\n\n# {name}\n\n````{LANGUAGES.get(suffix, 'text')}\n{text}````\n"


if __name__ == "__main__":
    gather()
