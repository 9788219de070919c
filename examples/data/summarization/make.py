"""Make the summarization tables from the help pages of LibreOffice: what stands under a heading -> the heading.

    python make.py TEXT_DIR

TEXT_DIR is `help/en-US/text` of an installed LibreOffice help. Whole pages go to one side of the split, by a hash of the page's name. What
remains in validation or test is compared with train once more, since help pages repeat each other; see README.md beside this file.

Unusual: a page is read as a tree, since it holds what it shows on other systems and in other applications, too.
"""

import gzip
import hashlib
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
SPLITS = ("train", "validation", "test")
WORD = re.compile(r"[^\W\d_]+")
VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
UNSEEN = {"script", "style", "aside", "header", "footer", "button", "nav"}
ASIDE = {"howtoget", "relatedtopics", "bascode", "pycode", "debug"}  # how to get there, what to read next, programs
# Headings that are left out: what follows them belongs to the heading before.
INNER = re.compile(
    r"(syntax|examples?|parameters?|return (value|type)s?|error codes|in (python|basic)|technical information|what.s this)\W*", re.I
)
SHORTEST, LONGEST = 15, 1000  # words of a document
HEADING = 12  # words of a heading at most
OFTEN = 8  # a heading on more pages says little about any of them
ALIKE = 5  # two documents count as one when at most one in five of the words of both is in one alone


class Row(NamedTuple):
    """What stands under a heading, and the heading."""

    page: str
    document: str
    summary: str


@dataclass
class Node:
    """An element of a page; its children are nodes and texts."""

    tag: str
    attributes: dict[str, str | None]
    children: list[Any] = field(default_factory=list)

    @property
    def classes(self) -> set[str]:
        """The names of its classes."""
        return set((self.attributes.get("class") or "").split())


class Tree(HTMLParser):
    """A page as nodes."""

    def __init__(self, text: str):
        super().__init__()
        self.root = Node("", {})
        self._open = [self.root]
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin an element."""
        node = Node(tag, dict(attrs))
        self._open[-1].children.append(node)
        if tag not in VOID:
            self._open.append(node)

    def handle_endtag(self, tag: str) -> None:
        """End an element, and what was left open in it."""
        places = [place for place, node in enumerate(self._open) if node.tag == tag]
        if places:
            del self._open[places[-1] :]

    def handle_data(self, data: str) -> None:
        """Text within an element."""
        self._open[-1].children.append(data)


def shown(node: Node) -> list[Any]:
    """The children that a reader sees: of the variants of a switch (an operating system, an application) the usual one."""
    if node.classes & {"switch", "switchinline"}:
        variants = [child for child in node.children if isinstance(child, Node)]
        usual = [child for child in variants if (child.attributes.get("id") or "").startswith("default")]
        return [*(usual or variants)[:1]]
    return node.children


def text_of(node: Node) -> str:
    """Its text as it stands there."""
    return "".join(child if isinstance(child, str) else " " if child.tag == "br" else text_of(child) for child in shown(node))


def blocks(node: Node) -> Iterator[tuple[int, str]]:
    """(level of a heading or 0, text) of each heading and paragraph of a page, in order."""
    for child in shown(node):
        if isinstance(child, str) or child.tag in UNSEEN or child.classes & ASIDE or child.attributes.get("id") == "DEBUG":
            continue
        level = int(child.tag[1]) if re.fullmatch("h[1-6]", child.tag) else 0
        if not level and child.tag not in ("p", "pre"):
            yield from blocks(child)
        elif (text := " ".join(text_of(child).split())) and child.attributes.get("id") and child.classes.isdisjoint({"code", "related"}):
            yield level, text


def sections(page: str, found: Iterable[tuple[int, str]]) -> Iterator[Row]:
    """Each heading with what follows up to the next one, and the first heading with the whole page."""
    texts = [(level, text) for level, text in found if not (INNER.fullmatch(text) if level else text in ("Icon", "Note", "Tip", "Warning"))]
    starts = [place for place, (level, _) in enumerate(texts) if level]
    for place, end in zip(starts, [*starts, len(texts)][1:], strict=True):
        whole = place == starts[0] and texts[place][0] == 1
        yield Row(page, " ".join(text for _, text in texts[place + 1 : None if whole else end]), texts[place][1].rstrip(" :"))


def fault(row: Row, pages: int, seen: set[str]) -> str:
    """Why a row is not kept, or ""."""
    words = len(row.document.split())
    if words < SHORTEST:
        return f"left out: fewer than {SHORTEST} words under the heading"
    if words > LONGEST:
        return f"left out: more than {LONGEST} words under the heading"
    if not WORD.search(row.summary) or len(row.summary.split()) > HEADING:
        return f"left out: a heading without letters, or of more than {HEADING} words"
    if pages > OFTEN:
        return f"left out: the heading stands on more than {OFTEN} pages"
    return "left out: the same document again" if plain(row.document) in seen else ""


def split_of(page: str) -> str:
    """86 % of the pages to train, 5 % to validation, 9 % to test, by a hash of the page's name."""
    bucket = int.from_bytes(hashlib.sha256(page.encode()).digest()[:8], "big") % 100
    return "train" if bucket < 86 else "validation" if bucket < 91 else "test"


class Seen:
    """The documents so far, to find near-duplicates: equal but for case, digits and punctuation, or much the same words."""

    def __init__(self, rows: Iterable[Row]):
        self.texts: set[str] = set()
        self.word_sets: list[frozenset[str]] = []
        self.holders: dict[str, list[int]] = defaultdict(list)
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> None:
        """Remember a row."""
        self.texts.add(plain(row.document))
        words = frozenset(plain(row.document).split())
        for word in words:
            self.holders[word].append(len(self.word_sets))
        self.word_sets.append(words)

    def has_like(self, row: Row) -> bool:
        """Whether a row's document, or most of its words (Jaccard similarity), was seen in one row."""
        if plain(row.document) in self.texts:
            return True
        words = frozenset(plain(row.document).split())
        # A set as similar as this misses at most len(words) // ALIKE of these words, so it holds one of any larger choice: take the rarest.
        rarest = sorted(words, key=lambda word: len(self.holders.get(word, ())))[: len(words) // ALIKE + 1]
        candidates = {index for word in rarest for index in self.holders.get(word, ())}
        return any(len(words ^ self.word_sets[index]) * ALIKE <= len(words | self.word_sets[index]) for index in candidates)


def plain(text: str) -> str:
    """The words of a text in lower case, without digits and punctuation."""
    return " ".join(WORD.findall(text.casefold()))


def read_rows(folder: Path, counts: Counter[str]) -> list[Row]:
    """Rows worth learning from; `counts` says what was left out and why."""
    rows = [
        row
        for path in sorted(folder.rglob("*.html"))
        for row in sections(path.relative_to(folder).as_posix(), blocks(Tree(path.read_text(encoding="utf-8")).root))
    ]
    pages = Counter(heading for _, heading in {(row.page, row.summary.casefold()) for row in rows})
    seen: set[str] = set()
    kept = []
    for row in rows:
        counts["headings"] += 1
        reason = fault(row, pages[row.summary.casefold()], seen)
        if reason:
            counts[reason] += 1
            continue
        seen.add(plain(row.document))
        kept.append(row)
    return kept


def write_table(path: Path, rows: Iterable[Row]) -> None:
    """Write a table; without a name and a time in the header, equal rows give equal bytes."""
    text = "".join("\t".join(row) + "\n" for row in [Row._fields, *rows])
    with path.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=raw, mtime=0) as packed:
        packed.write(text.encode())


def main() -> None:
    """Write the three tables and print the counts that README.md holds."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    counts: Counter[str] = Counter()
    rows = read_rows(Path(sys.argv[1]), counts)
    chosen: dict[str, list[Row]] = {split: [] for split in SPLITS}
    chosen["train"] = [row for row in rows if split_of(row.page) == "train"]
    seen = Seen(chosen["train"])
    for split in SPLITS[1:]:
        for row in rows:
            if split_of(row.page) != split:
                continue
            if seen.has_like(row):
                counts[f"left out of {split}: much like a document of train, or like one of validation or test before it"] += 1
                continue
            seen.add(row)
            chosen[split].append(row)
    for reason, number in counts.items():
        print(f"{number:7,} {reason}")
    for split in SPLITS:
        write_table(HERE / f"{split}.tsv.gz", chosen[split])
        print(f"| {split} | {len(chosen[split]):,} | {len({row.page for row in chosen[split]}):,} |")


if __name__ == "__main__":
    main()
