#!/usr/bin/env python3
"""Debian's package descriptions as tables: English and a translation side by side, or a long description and its one-line synopsis.

    python prepare.py translation LISTS de OUT      writes OUT/debian.en-de.{train,dev,test}.tsv.gz
    python prepare.py summarization LISTS OUT       writes OUT/debian-synopsis.{train,dev,test}.tsv.gz

LISTS holds index files as apt keeps them (docs/debian_data.md says how to get them): `Packages`, `Translation-en` and, for
translation, `Translation-de`. Several suites in one folder are read together. Only the standard library is needed.

Unusual here: the indexes know which English text a translator had in front of them, since a description is named by the MD5 sum of its
English text. So texts are never matched by guess; only inside a description are paragraphs, list items and sentences matched by
position, and where their structure differs, less of the description is used. The split is by *source* package, because the packages
that one source builds share most of their text. The same index files give the same bytes.
"""

import argparse
import bz2
import gzip
import hashlib
import io
import lzma
import os
import re
import shutil
import subprocess
import sys
import unicodedata
import zlib
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, final
from urllib.parse import unquote

SPLITS = ("train", "dev", "test")
TRANSLATION_COLUMNS = ("kind", "source", "package", "en")  # and the other language
SUMMARIZATION_COLUMNS = ("source", "package", "description", "synopsis")

Key = tuple[str, str]  # name of a package, MD5 sum of its English description
Descriptions = dict[Key, list[str]]  # the synopsis, then the lines of the long description as they stand in the index


@final
class PreparationError(Exception):
    """What the tables are to be made from is missing or broken."""


@final
@dataclass
class Counts:
    """What went in, what was left out and why, and what came out."""

    read: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)

    def report(self) -> str:
        """One line per count, the largest first."""
        groups = (("read", self.read), ("dropped", self.dropped), ("written", self.written))
        return "\n".join(f"{group:8}{count:10,}  {what}" for group, counter in groups for what, count in counter.most_common())


@final
class Row(NamedTuple):
    """A line of a table. The last two cells are the text to read and the text to write."""

    split: str
    cells: tuple[str, ...]


# ------------------------------------------------------------------------------------------------------------- index files


def index_files(lists: Path, name: str) -> list[Path]:
    """All files of one index, such as `Translation-de`, whatever they are compressed with. Raises PreparationError if there is none."""
    if not lists.is_dir():
        raise PreparationError(f"`{lists}` must be a folder with apt's index files, but is none.")
    files = {path: index_name(path) for path in sorted(lists.iterdir()) if path.is_file()}
    found = [path for path, index in files.items() if index == name]
    if not found:
        known = ", ".join(sorted({*files.values()} - {""})) or "none"
        raise PreparationError(f"There is no index `{name}` in {lists}, which has: {known}. See docs/debian_data.md for how to get it.")
    return found


def index_name(path: Path) -> str:
    """`Translation-pt_BR` for `MIRROR_debian_dists_bookworm_main_i18n_Translation-pt%5fBR.lz4`; empty for other files."""
    found = re.search(r"(?:^|_)(Translation-\w+|Packages)(?:\.(?:gz|xz|bz2|lz4|zst))?$", unquote(path.name))
    return found[1] if found else ""


def index_lines(path: Path) -> Iterator[str]:
    """The lines of an index file without their ends, decompressed as they are read. Raises PreparationError for a broken file."""
    try:
        with open_index(path) as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    yield line.decode("utf-8").removesuffix("\n")
                except UnicodeDecodeError as error:
                    raise PreparationError(f"{path}:{number}: the line must be UTF-8, but is not. Fetch the index again.") from error
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise PreparationError(f"{path}: the file cannot be read to its end: {error}. Fetch the index again.") from error


@contextmanager
def open_index(path: Path) -> Iterator[Iterable[bytes]]:
    """The lines of an index file as bytes. Containers keep lists as LZ4, which Python cannot read; there apt's own program unpacks them."""
    if path.suffix in (".lz4", ".zst"):
        helper = shutil.which("apt-helper", path=os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/lib/apt")))
        if helper is None:
            remedy = "Let apt keep its lists uncompressed: `-o Acquire::GzipIndexes=false`."
            raise PreparationError(f"`{path}` can only be unpacked by apt-helper, which is not on this machine. {remedy}")
        with subprocess.Popen([helper, "cat-file", str(path)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            yield process.stdout
        if process.returncode:
            raise PreparationError(f"apt-helper cannot unpack `{path}` (exit status {process.returncode}). Fetch the index again.")
    else:
        unpack = {".gz": gzip.GzipFile, ".bz2": bz2.BZ2File, ".xz": lzma.LZMAFile}.get(path.suffix, io.FileIO)
        with io.BufferedReader(unpack(path, "rb")) as file:
            yield file


def stanzas(lines: Iterable[str], wanted: tuple[str, ...]) -> Iterator[dict[str, list[str]]]:
    """The fields whose names begin with one of `wanted`, stanza by stanza: the value beside the name, then the lines that continue it."""
    stanza: dict[str, list[str]] = {}
    value: list[str] | None = None  # the field that a continuation line belongs to, if it is wanted
    for line in lines:
        if not line:
            if stanza:
                yield stanza
            stanza, value = {}, None
        elif line[0] in " \t":
            if value is not None:
                value.append(line)
        elif line.startswith(wanted):
            name, _, first = line.partition(":")
            value = stanza[name] = [first.strip()]
        else:
            value = None
    if stanza:
        yield stanza


def read_descriptions(lists: Path, language: str, wanted: Container[Key] | None = None) -> Descriptions:
    """All descriptions in a language, or those that are wanted."""
    descriptions: Descriptions = {}
    for path in index_files(lists, f"Translation-{language}"):
        for stanza in stanzas(index_lines(path), ("Package", "Description")):
            text = stanza.get(f"Description-{language}")
            if text and "Package" in stanza and "Description-md5" in stanza:
                key = stanza["Package"][0], stanza["Description-md5"][0]
                if wanted is None or key in wanted:
                    descriptions[key] = text
    return descriptions


def read_sources(lists: Path) -> dict[str, str]:
    """The source package of each package. `Source` is left out when the names are the same, and may carry a version."""
    sources: dict[str, str] = {}
    for path in index_files(lists, "Packages"):
        for stanza in stanzas(index_lines(path), ("Package", "Source")):
            if "Package" in stanza:
                package = stanza["Package"][0]
                sources[package] = stanza.get("Source", [package])[0].split(" ")[0]
    return sources


# ------------------------------------------------------------------------------------------------- the structure of a description

LIST_ITEM = re.compile(r"^\s*(?:[-*+o•·]|\d+[.)])\s+")
SENTENCE_BREAK = re.compile(r"(?<=[.!?:])\s+(?=[A-ZÀ-ÖØ-Þ\"'„«(¿¡А-Я0-9])")
ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|z\.B|d\.h|bzw|usw|u\.a|vs|cf|ca|ad es|p\. ex|No|Nr|Dr|Mr|St|vol|resp|[A-Z])\.)$",
)


def squeeze(text: str) -> str:
    """White space of any kind and length as one blank: no tab or line end is left that would break a table."""
    return re.sub(r"\s+", " ", text).strip()


def parts(description: Sequence[str]) -> list[tuple[str, str]]:
    """The parts of a description, each with its kind.

    `short` is the synopsis, `para` flowing text, `item` a list item without its marker, and `verb` what is indented to be shown as it
    stands (commands, tables). A line with only a dot ends a part.
    """
    synopsis, *body = description
    found: list[tuple[str, list[str]]] = [("para", [])]
    for line in body:
        kind, lines = found[-1]
        text = line[1:]
        if line.strip() == ".":
            found.append(("para", []))
        elif marker := LIST_ITEM.match(text):
            found.append(("item", [text[marker.end() :]]))
        elif kind == "para" and text.startswith(" "):
            found.append(("verb", [text]))
        elif kind == "item" and not text.startswith(" "):
            found.append(("para", [text]))
        else:
            lines.append(text)
    # The synopsis is there even if nobody translated it, so that what follows stays in step.
    return [("short", squeeze(synopsis)), *((kind, text) for kind, lines in found if (text := squeeze(" ".join(lines))))]


def sentences(text: str) -> list[str]:
    """The sentences of a paragraph. It need not be right, only wrong in the same way in both languages: else their numbers differ."""
    found: list[str] = []
    for piece in SENTENCE_BREAK.split(text):
        if found and ABBREVIATION.search(found[-1]):
            found[-1] += " " + piece
        else:
            found.append(piece)
    return [sentence.strip() for sentence in found if sentence.strip()]


def aligned_segments(english: Sequence[str], translation: Sequence[str], counts: Counts) -> Iterator[tuple[str, str, str]]:
    """Kind, English and translation of all that surely belongs together in two descriptions."""
    ours, theirs = parts(english), parts(translation)
    if [kind for kind, _ in ours] != [kind for kind, _ in theirs]:
        # One list item more, and everything after it would be paired with its neighbour. The synopsis is always first.
        counts.dropped["long descriptions: their structure is not that of the English one"] += 1
        ours, theirs = ours[:1], theirs[:1]
    for (kind, text), (_, translated) in zip(ours, theirs, strict=True):
        if kind == "verb":
            counts.dropped["indented blocks: commands and tables are no text"] += 1
        elif kind == "para" and len(ours_split := sentences(text)) == len(theirs_split := sentences(translated)):
            yield from ((kind, *pair) for pair in zip(ours_split, theirs_split, strict=True))
        else:  # a paragraph with another number of sentences is kept, but whole
            yield kind, text, translated


# ------------------------------------------------------------------------------------------------------------- filters and splits

DENSE_LANGUAGES = ("ja", "ko", "zh_CN", "zh_TW")  # a character holds more than one of English


def fault(english: str, translated: str, language: str) -> str | None:
    """Why a pair of segments is not worth learning from, or None."""
    shortest, longest = (0.15, 1.2) if language in DENSE_LANGUAGES else (0.5, 2.2)
    if "<trans>" in translated or not english or not translated:
        return "not translated: empty, or still with the mark of the translation server"
    if english == translated:
        return "not translated: the same text, mostly names and commands, which teaches a model to copy"
    if len(english) < 8 or len(translated) < 2:
        return "too short: under 8 characters of English are rarely more than a name"
    if len(english) > 20 and not shortest <= len(translated) / len(english) <= longest:
        return f"length ratio outside {shortest} to {longest}: a part is missing or was added"
    if sum(character.isalpha() for character in english) < 0.5 * len(english):
        return "mostly digits and signs: addresses and version numbers"
    return None


def near_duplicate_key(text: str) -> str:
    """The words of a text. Case, punctuation and what looks like a name (`libfoo1.2-dev`, `/etc/foo`, `1.3`) do not count.

    A single digit or sign at the end of a word makes no name of it: the sign may end a sentence.
    """
    text = unicodedata.normalize("NFKC", text).lower()
    text = re.sub(r"\S*[\d_/\-+.]\S+", "#", text)
    return squeeze(re.sub(r"[^\w# ]", " ", text))


def split_of(source_package: str) -> str:
    """2 % test, 2 % dev, 96 % train, by a hash: a package keeps its split in every release of Debian and for every language."""
    number = int(hashlib.sha1(source_package.encode(), usedforsecurity=False).hexdigest(), 16) % 1000
    return "test" if number < 20 else "dev" if number < 40 else "train"


def without_leaks(rows: Sequence[Row], counts: Counts, key_length: int | None = None, once: bool = False) -> list[Row]:
    """The rows without those of dev and test whose text or answer was, but for names and numbers, learned from already.

    Boilerplate ("This package contains the development files.") is the same in thousands of sources, so that the split by source is
    not enough. Only the first `key_length` characters of a text's key count; `once` also keeps a single one of those that are alike
    among dev and test, so that no sentence counts twice.
    """
    learned = [row.cells for row in rows if row.split == "train"]
    texts = {near_duplicate_key(cells[-2])[:key_length] for cells in learned}
    answers = {near_duplicate_key(cells[-1]) for cells in learned}
    seen: set[str] = set()
    kept: list[Row] = []
    for row in rows:
        if row.split != "train":
            key = near_duplicate_key(row.cells[-2])[:key_length]
            if key in texts or near_duplicate_key(row.cells[-1]) in answers:
                counts.dropped[f"{row.split}: near-duplicates of train"] += 1
                continue
            if once and key in seen:
                counts.dropped[f"{row.split}: near-duplicates within dev and test"] += 1
                continue
            seen.add(key)
        kept.append(row)
    return kept


# --------------------------------------------------------------------------------------------------------------------- the tables


def translation_rows(lists: Path, language: str, counts: Counts) -> list[Row]:
    """Pairs of segments: sentences where the sentences of a paragraph match in number, else paragraphs; list items; synopses."""
    if language == "en":
        raise PreparationError("The language must be one that English is translated to, but is `en`.")
    translated = read_descriptions(lists, language)
    english = read_descriptions(lists, "en", wanted=translated)
    sources = read_sources(lists)
    counts.read[f"descriptions in {language}"] = len(translated)
    counts.dropped["descriptions: no such English text, it has changed since"] = len(translated) - len(english)
    rows: list[Row] = []
    seen: set[tuple[str, str]] = set()
    for key in sorted(english):
        package = key[0]
        source = source_of(package, sources, counts)
        for kind, text, translation in aligned_segments(english[key], translated[key], counts):
            counts.read["segments"] += 1
            if reason := fault(text, translation, language):
                counts.dropped[f"segments: {reason}"] += 1
            elif (text, translation) in seen:
                counts.dropped["segments: the same pair was there before"] += 1
            else:
                seen.add((text, translation))
                rows.append(Row(split_of(source), (kind, source, package, text, translation)))
    return without_leaks(rows, counts, once=True)


def summarization_rows(lists: Path, counts: Counts) -> list[Row]:
    """Long descriptions as flowing text, and their synopses."""
    english, sources = read_descriptions(lists, "en"), read_sources(lists)
    counts.read["descriptions in en"] = len(english)
    rows: list[Row] = []
    seen: set[str] = set()
    per_source: Counter[str] = Counter()
    for (package, _), (synopsis, *body) in sorted(english.items()):
        text, synopsis = squeeze(" ".join(line[1:] for line in body if line.strip() != ".")), squeeze(synopsis)
        source = source_of(package, sources, counts)
        words, short = len(text.split()), len(synopsis.split())
        if words < 20 or not 3 <= short <= 20:
            counts.dropped["descriptions: under 20 words, or a synopsis that has not 3 to 20"] += 1
        elif words < 3 * short:
            counts.dropped["descriptions: not three times as long as the synopsis, so nothing is summarized"] += 1
        elif text in seen:
            counts.dropped["descriptions: the same text was there before, with a synopsis of its own"] += 1
        else:
            seen.add(text)
            per_source[source] += 1
            if per_source[source] > 2:  # `foo`, `foo-doc`, `foo-dev`, `libfoo1`: families would fill the table
                counts.dropped["descriptions: two of the source package are there already"] += 1
            else:
                rows.append(Row(split_of(source), (source, package, text, synopsis)))
    return without_leaks(rows, counts, key_length=200)


def source_of(package: str, sources: dict[str, str], counts: Counts) -> str:
    """The source package, or the package itself if it is not built for the architecture of the index."""
    if package not in sources:
        counts.read["descriptions whose package is not in `Packages`, and stands for its source package"] += 1
    return sources.get(package, package)


def write_tables(rows: Sequence[Row], columns: Sequence[str], out: Path, name: str, counts: Counts) -> None:
    """Write OUT/name.{train,dev,test}.tsv.gz. The same rows give the same bytes, and a file is there whole or not at all."""
    if not rows:
        raise PreparationError("No row is left, so no table is written. Are all index files of one and the same release?")
    out.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        lines = ["\t".join(row.cells) for row in rows if row.split == split]
        path = out / f"{name}.{split}.tsv.gz"
        unfinished = path.with_name(path.name + ".unfinished")
        with open(unfinished, "wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as table:
            table.write("".join(line + "\n" for line in ("\t".join(columns), *lines)).encode())
        os.replace(unfinished, path)
        counts.written[f"rows in {path}"] = len(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, write the tables, print what was left out."""
    parser = argparse.ArgumentParser(description="Make tables for translation or summarization from apt's index files.")
    commands = parser.add_subparsers(dest="command", required=True)
    translation = commands.add_parser("translation", help="English and a translation, segment by segment")
    summarization = commands.add_parser("summarization", help="long descriptions and their synopses")
    for command in (translation, summarization):
        command.add_argument("lists", type=Path, help="folder with index files")
        if command is translation:
            command.add_argument("language", help="code of the other language, as apt has it: de, it, pt_BR")
        command.add_argument("out", type=Path, help="folder to write to")
    given = parser.parse_args(arguments)
    counts = Counts()
    try:
        if given.command == "translation":
            rows = translation_rows(given.lists, given.language, counts)
            write_tables(rows, (*TRANSLATION_COLUMNS, given.language), given.out, f"debian.en-{given.language}", counts)
        else:
            rows = summarization_rows(given.lists, counts)
            write_tables(rows, SUMMARIZATION_COLUMNS, given.out, "debian-synopsis", counts)
    except (PreparationError, OSError) as error:
        sys.exit(f"prepare.py: {error}")
    print(counts.report())


if __name__ == "__main__":
    main()
