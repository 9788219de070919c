#!/usr/bin/env python3
"""Tables of the Queen corpus: real voices out of an adventure game, 3.6 hours of English in short utterances.

    python prepare.py QUEEN OUT             writes OUT/queen.{train,dev,test}.tsv, and OUT/queen.zip as a link

QUEEN is a folder with `queen.tsv` (columns audio, speaker, seconds, split, text, normalized) and `queen.zip` with the MP3 files that it
names. The speech is that of "Flight of the Amazon Queen" (Copyright 1995 John Passfield and Steven Stamatiadis), as the Debian package
flight-of-the-amazon-queen has it; it may be passed on unchanged with its notice, not sold, and is no part of this project.

Unusual here: nothing is copied. The tables name members of the archive. Their `text` is the normalized one (a to z, space, apostrophe);
`written` has capitals and punctuation. Only the standard library is needed.
"""

import argparse
import csv
import sys
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

COLUMNS = ("audio", "speaker", "seconds", "split", "text", "normalized")
SPLITS = ("train", "dev", "test")


class PreparationError(Exception):
    """What the user can set right."""


def write_tables(queen: Path, out: Path) -> Counter[str]:
    """Write the tables; returns how many rows each has, and what was left out."""
    table, archive = queen / "queen.tsv", queen / "queen.zip"
    for path in (table, archive):
        if not path.is_file():
            raise PreparationError(f"{queen} must hold queen.tsv and queen.zip, but has no {path.name}.")
    with zipfile.ZipFile(archive) as opened:
        members = frozenset(opened.namelist())
    rows: dict[str, list[tuple[str, str, str, str]]] = {split: [] for split in SPLITS}
    counts: Counter[str] = Counter()
    with open(table, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise PreparationError(f"{table} must have the columns {', '.join(COLUMNS)}, but has {', '.join(reader.fieldnames or ())}.")
        for line, row in enumerate(reader, start=2):
            if row["split"] not in rows:
                raise PreparationError(f"{table}:{line}: `split` must be train, dev or test, but is {row['split']!r}.")
            if row["audio"] not in members:
                raise PreparationError(f"{table}:{line}: {archive} has no member {row['audio']}.")
            if not row["normalized"].strip():
                counts["left out: nothing is said"] += 1
                continue
            rows[row["split"]].append((row["audio"], row["normalized"], row["speaker"], row["text"]))
    out.mkdir(parents=True, exist_ok=True)
    for split, found in rows.items():
        lines = ["\t".join(row) + "\n" for row in (("audio", "text", "speaker", "written"), *found)]  # quotation marks as they are
        (out / f"queen.{split}.tsv").write_text("".join(lines), encoding="utf-8")
        counts[f"rows in queen.{split}.tsv"] = len(found)
    link = out / "queen.zip"
    if not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(archive.resolve())
    return counts


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, write the tables, print what there is."""
    parser = argparse.ArgumentParser(description="Make tables of the Queen corpus.")
    parser.add_argument("queen", type=Path, help="folder with queen.tsv and queen.zip")
    parser.add_argument("out", type=Path, help="folder to write to")
    given = parser.parse_args(arguments)
    try:
        counts = write_tables(given.queen, given.out)
    except (PreparationError, OSError, zipfile.BadZipFile) as error:
        sys.exit(f"prepare.py: {error}")
    for name, count in sorted(counts.items()):
        print(f"{count:>8,} {name}")


if __name__ == "__main__":
    main()
