"""What is written for people stays true: links lead somewhere, the README's tree is the tree, and no page tells of a private place."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.package.source_files import PACKAGE, ROOT

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ {0,3}(```|~~~).*?^ {0,3}\1\s*$", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#+\s+(.*?)\s*$", re.MULTILINE)
# Written so that this file does not find itself.
PRIVATE = re.compile(
    r"(?<![\w.])/(?:work|root|farm)/|\.\./(?:shared)|pypi[.]org|python[h]osted|registry[.]npmjs|download[.]pytorch"
    r"|anaconda[.]org|(?:deb|ftp|security|archive|snapshot|packages)[.](?:\w+[.])?(?:debian|ubuntu)[.]"
)


def project_files() -> list[Path]:
    """Files that git knows or would add."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [path for name in listed if (path := ROOT / name).is_file()]


def anchors(text: str) -> set[str]:
    """The anchors that headings make: lower case, punctuation gone, blanks as hyphens."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(FENCE.sub("", text))}


def broken_links(page: Path) -> list[str]:
    """Links to files that do not exist or headings that are not there; addresses elsewhere are not visited."""
    text = page.read_text(encoding="utf-8")
    broken = []
    for link in LINK.findall(FENCE.sub("", text)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8"))):
            broken.append(link)
    return broken


def test_links_lead_somewhere() -> None:
    pages = [path for path in project_files() if path.suffix == ".md"]
    assert {str(page.relative_to(ROOT)): broken for page in pages if (broken := broken_links(page))} == {}


def test_broken_links_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One: two\n[a](#one-two) [b](#three) [c](page.md) [d](gone.md)\n```\n[e](gone.md)\n```\n", encoding="utf-8")
    assert broken_links(page) == ["#three", "gone.md"]


def test_no_file_tells_of_a_private_place() -> None:
    """No paths of the machine it was written on, and no host of a package registry: each user has their own."""
    found = []
    for path in project_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in PRIVATE.finditer(text)]
    assert found == []


@pytest.mark.parametrize(
    ("path", "private"),
    [
        ("work/x", True),
        ("shared/x", False),
        ("rooted/x", False),
        ("root/x", True),
        *((f"/{kind}.{system}.org/", True) for kind, system in (("deb", "debian"), ("ftp.de", "debian"), ("archive", "ubuntu"))),
        ("/debian/prepare.py", False),
    ],
)
def test_private_places_are_found(path: str, private: bool) -> None:
    assert bool(PRIVATE.search(f"see /{path}")) == private


def readme_tree() -> list[str]:
    """The paths in the README's drawing of the package: the block whose first line is `src/antiphon/`, a path first on each line."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"^```[^\n]*\n(src/antiphon/.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert block, "the README must draw the package in a block that begins with `src/antiphon/`"
    paths: list[str] = []
    folders: list[tuple[int, str]] = []
    for line in block[1].splitlines():
        entry = line.split()
        if not entry or not re.fullmatch(r"[\w./-]+", entry[0]) or not re.search(r"/$|\.\w+$", entry[0]):
            continue  # the rest of a phrase
        indent = len(line) - len(line.lstrip())
        while folders and folders[-1][0] >= indent:
            folders.pop()
        path = (folders[-1][1] if folders else "") + entry[0]
        paths.append(path)
        if path.endswith("/"):
            folders.append((indent, path))
    return paths


def test_readme_draws_the_package_as_it_is() -> None:
    drawn = readme_tree()
    assert [path for path in drawn if not (ROOT / path).exists()] == [], "the README shows what does not exist"
    entries = {path.name + "/" for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    entries |= {path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")}
    assert {f"src/antiphon/{entry}" for entry in entries} - set(drawn) == set(), "the README leaves out parts of the package"
