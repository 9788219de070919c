"""Make the translation tables from the help pages of LibreOffice: an English paragraph -> the German one with the same id.

    python make.py EN_TEXT_DIR DE_TEXT_DIR

The directories are `help/en-US/text` and `help/de/text` of an installed LibreOffice help. Whole pages go to one side of the split, by a
hash of the page's name. What remains in validation or test is compared with train once more, since help pages repeat each other; see
README.md beside this file.
"""

import gzip
import hashlib
import html
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
SPLITS = ("train", "validation", "test")
PARAGRAPH = re.compile(r'<(p|h[1-6])\s+id="((?:par|hd|bm|tit)_id\w+)"[^>]*>(.*?)</\1>', re.DOTALL)
UNSEEN = re.compile(r"<!--.*?-->|<(script|style).*?</\1>", re.DOTALL)
TAG = re.compile(r"<[^>]+>")
WORD = re.compile(r"[^\W\d_]+")
ALIKE = 5  # two English paragraphs count as one when at most one in five of the words of both is in one alone


class Row(NamedTuple):
    """One pair of paragraphs."""

    page: str
    en: str
    de: str


def paragraphs(path: Path) -> dict[str, str]:
    """Id -> plain text of each paragraph and heading of a page."""
    found = PARAGRAPH.finditer(path.read_text(encoding="utf-8"))
    return {match[2]: " ".join(html.unescape(TAG.sub("", UNSEEN.sub("", match[3]))).split()) for match in found}


def pairs(english: Path, german: Path, counts: Counter[str]) -> Iterator[Row]:
    """Pairs worth learning from; `counts` says what was left out and why."""
    seen = set()
    for path in sorted(english.rglob("*.html")):
        page = path.relative_to(english)
        if not (german / page).exists():
            continue
        translated = paragraphs(german / page)
        for key, en in paragraphs(path).items():
            if key not in translated:
                continue
            row = Row(page.as_posix(), en, translated[key])
            counts["paragraphs with the same id"] += 1
            reason = fault(row) or ("left out: the same pair again" if row[1:] in seen else "")
            if reason:
                counts[reason] += 1
                continue
            seen.add(row[1:])
            yield row


def fault(row: Row) -> str:
    """Why a pair is not kept, or ""."""
    if row.en == row.de:
        return "left out: not translated, both sides are equal"
    if not row.de or len(row.en.split()) < 3:
        return "left out: fewer than three English words, or nothing in German"
    if len(row.en) > 25 and not 0.4 <= len(row.de) / len(row.en) <= 2.5:
        return "left out: one side is over 2.5 times as long as the other"
    if sum(letter.isalpha() for letter in row.en) < len(row.en) / 2:
        return "left out: less than half of the characters are letters"
    return ""


def split_of(page: str) -> str:
    """96 % of the pages to train, 2 % to validation, 2 % to test, by a hash of the page's name."""
    bucket = int.from_bytes(hashlib.sha256(page.encode()).digest()[:8], "big") % 100
    return "train" if bucket < 96 else "validation" if bucket < 98 else "test"


class Seen:
    """What has been seen so far, to find near-duplicates: equal but for case, digits and punctuation, or much the same words."""

    def __init__(self, rows: Iterable[Row]):
        self.texts: set[str] = set()
        self.word_sets: list[frozenset[str]] = []
        self.holders: dict[str, list[int]] = defaultdict(list)
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> None:
        """Remember a row."""
        self.texts.update((plain(row.en), plain(row.de)))
        words = frozenset(plain(row.en).split())
        for word in words:
            self.holders[word].append(len(self.word_sets))
        self.word_sets.append(words)

    def has_like(self, row: Row) -> bool:
        """Whether a row's English or German text, or most of its English words (Jaccard similarity), was seen in one row."""
        if plain(row.en) in self.texts or plain(row.de) in self.texts:
            return True
        words = frozenset(plain(row.en).split())
        # A set as similar as this misses at most len(words) // ALIKE of these words, so it holds one of any larger choice: take the rarest.
        rarest = sorted(words, key=lambda word: len(self.holders.get(word, ())))[: len(words) // ALIKE + 1]
        candidates = {index for word in rarest for index in self.holders.get(word, ())}
        return any(len(words ^ self.word_sets[index]) * ALIKE <= len(words | self.word_sets[index]) for index in candidates)


def plain(text: str) -> str:
    """The words of a text in lower case, without digits and punctuation."""
    return " ".join(WORD.findall(text.casefold()))


def write_table(path: Path, rows: Iterable[Row]) -> None:
    """Write a table; without a name and a time in the header, equal rows give equal bytes."""
    text = "".join("\t".join(row) + "\n" for row in [Row._fields, *rows])
    with path.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=raw, mtime=0) as packed:
        packed.write(text.encode())


def main() -> None:
    """Write the three tables and print the counts that README.md holds."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    counts: Counter[str] = Counter()
    rows = list(pairs(Path(sys.argv[1]), Path(sys.argv[2]), counts))
    chosen: dict[str, list[Row]] = {split: [] for split in SPLITS}
    chosen["train"] = [row for row in rows if split_of(row.page) == "train"]
    seen = Seen(chosen["train"])
    for split in SPLITS[1:]:
        for row in rows:
            if split_of(row.page) != split:
                continue
            if seen.has_like(row):
                counts[f"left out of {split}: much like a pair of train, or like one of validation or test before it"] += 1
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
