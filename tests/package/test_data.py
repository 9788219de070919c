"""The shipped samples are what their README says: counts, columns, and splits that share nothing."""

import csv
import gzip
import hashlib
import importlib.util
import io
import re
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from tests.package.source_files import ROOT

SAMPLES = {"pronunciation": ["word", "phonemes"], "translation": ["page", "en", "de"]}
SPLITS = ("train", "validation", "test")


@cache
def table(sample: str, split: str) -> list[list[str]]:
    """The rows of a table, the names of its columns first. Quotes mean nothing in these files."""
    text = gzip.decompress((ROOT / "examples" / "data" / sample / f"{split}.tsv.gz").read_bytes()).decode("utf-8")
    assert "\r" not in text
    return list(csv.reader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))


def maker(sample: str) -> ModuleType:
    """The program that made a sample."""
    spec = importlib.util.spec_from_file_location(f"make_{sample}", ROOT / "examples" / "data" / sample / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("sample", SAMPLES)
def test_every_row_has_its_columns_filled(sample: str, split: str) -> None:
    header, *rows = table(sample, split)
    assert header == SAMPLES[sample]
    bad = [number for number, row in enumerate(rows, 2) if len(row) != len(header) or any(cell != cell.strip() or not cell for cell in row)]
    assert bad == []
    assert len({tuple(row) for row in rows}) == len(rows), "a row stands twice"


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("sample", SAMPLES)
def test_counts_are_those_of_the_readme(sample: str, split: str) -> None:
    readme = (ROOT / "examples" / "data" / sample / "README.md").read_text(encoding="utf-8")
    stated = re.search(rf"^\| {split} \| ([\d,]+) \| ([\d,]+) \|$", readme, re.MULTILINE)
    assert stated, f"the README of {sample} has no line for {split}"
    rows = table(sample, split)[1:]
    assert [int(number.replace(",", "")) for number in stated.groups()] == [len(rows), len({row[0] for row in rows})]


@pytest.mark.parametrize("sample", SAMPLES)
def test_no_word_or_page_is_on_two_sides(sample: str) -> None:
    sides = [{row[0] for row in table(sample, split)[1:]} for split in SPLITS]
    assert sides[0] & sides[1] == sides[0] & sides[2] == sides[1] & sides[2] == set()


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("sample", SAMPLES)
def test_the_split_is_a_function_of_the_first_column(sample: str, split: str) -> None:
    split_of = maker(sample).split_of
    assert {split_of(row[0]) for row in table(sample, split)[1:]} == {split}


def test_pronunciation_has_letters_and_phonemes_alone() -> None:
    rows = [row for split in SPLITS for row in table("pronunciation", split)[1:]]
    assert [word for word, _ in rows if not re.fullmatch(r"[a-z']+", word)] == []
    assert len({phoneme for _, phonemes in rows for phoneme in phonemes.split(" ")}) == 39


def test_no_translation_of_validation_or_test_stands_in_train() -> None:
    """Neither side, also when case, digits and punctuation are ignored; written here anew so as not to trust the maker."""

    def key(text: str) -> str:
        return re.sub(r"[\W\d_]+", " ", text.casefold()).strip()

    for column in (1, 2):
        train = {key(row[column]) for row in table("translation", "train")[1:]}
        for split in SPLITS[1:]:
            assert [row for row in table("translation", split)[1:] if key(row[column]) in train] == []


def test_the_makers_find_near_duplicates() -> None:
    make = maker("translation")
    seen = make.Seen(
        [make.Row("a", "Opens the dialog for 3 cells now.", "Öffnet den Dialog."), make.Row("b", "One two three four five", "eins")]
    )
    assert seen.has_like(make.Row("x", "opens the dialog, for 17 cells: now", "anders"))
    assert seen.has_like(make.Row("x", "something else", "ÖFFNET den Dialog!"))
    assert seen.has_like(make.Row("x", "five four three two", "anders")), "four of five words are shared"
    assert not seen.has_like(make.Row("x", "one two three nine ten", "anders"))


def test_making_a_table_again_gives_the_same_bytes(tmp_path: Path) -> None:
    make = maker("pronunciation")
    rows = [("a", "AH"), ("a", "EY")]
    digests = set()
    for name in ("one.tsv.gz", "two.tsv.gz"):
        make.write_table(tmp_path / name, rows)
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1
    assert gzip.decompress((tmp_path / "one.tsv.gz").read_bytes()).decode() == "word\tphonemes\na\tAH\na\tEY\n"


@pytest.mark.parametrize("sample", SAMPLES)
def test_licence_lies_beside_the_data(sample: str) -> None:
    assert len((ROOT / "examples" / "data" / sample / "LICENSE").read_text(encoding="utf-8")) > 1000
