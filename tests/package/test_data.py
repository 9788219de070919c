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

SAMPLES = {"pronunciation": ["word", "phonemes"], "translation": ["page", "en", "de"], "summarization": ["page", "document", "summary"]}
SPLITS = ("train", "validation", "test")
LICENSED = [*SAMPLES, "employment"]


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


@pytest.mark.parametrize("sample", LICENSED)
def test_licence_lies_beside_the_data(sample: str) -> None:
    assert len((ROOT / "examples" / "data" / sample / "LICENSE").read_text(encoding="utf-8")) > 1000


@cache
def employment(split: str) -> dict[str, dict[str, float]]:
    """A table of series: name -> month -> value, in the order of the file."""
    series: dict[str, dict[str, float]] = {}
    text = gzip.decompress((ROOT / "examples" / "data" / "employment" / f"{split}.csv.gz").read_bytes()).decode("utf-8")
    header, *rows = csv.reader(io.StringIO(text))
    assert header == ["unique_id", "ds", "y"]
    for name, month, value in rows:
        assert month not in series.setdefault(name, {}), f"{name} has two rows for {month}"
        series[name][month] = float(value)
    return series


def months(first: str, last: str) -> list[str]:
    """All months from one to another."""
    start, end = (12 * int(text[:4]) + int(text[5:]) - 1 for text in (first, last))
    return [f"{number // 12}-{number % 12 + 1:02d}" for number in range(start, end + 1)]


@pytest.mark.parametrize("split", ["train", "test"])
def test_employment_is_complete_and_as_the_readme_says(split: str) -> None:
    readme = (ROOT / "examples" / "data" / "employment" / "README.md").read_text(encoding="utf-8")
    stated = re.search(rf"^\| {split} \| ([\d,]+) \| ([\d,]+) \| (\S+) to (\S+) \|$", readme, re.MULTILINE)
    assert stated, f"the README has no line for {split}"
    series, every = employment(split), months(stated[3], stated[4])
    assert len(series) == int(stated[2])
    assert [name for name, values in series.items() if list(values) != every] == []
    assert sum(len(values) for values in series.values()) == int(stated[1].replace(",", ""))
    assert min(min(values.values()) for values in series.values()) > 0


def test_employment_goes_on_behind_its_training_data_for_three_horizons() -> None:
    train, test = employment("train"), employment("test")
    assert list(train) == list(test)
    for name, values in test.items():
        assert [month for month in values if month not in train[name]] == months("2016-10", "2019-09")
        assert [month for month in values if values[month] != train[name].get(month, values[month])] == [], f"{name} has two pasts"


@pytest.mark.parametrize(
    ("total", "parts"),
    [
        ("All Employees, Total Nonfarm", ["Total Private", "Government"]),
        ("Total Private", ["Goods-Producing", "Private Service-Providing"]),
        ("Goods-Producing", ["Mining and Logging", "Construction", "Manufacturing"]),
        ("Government", ["Government: Federal", "Government: State Government", "Government: Local Government"]),
    ],
)
def test_employment_adds_up(total: str, parts: list[str]) -> None:
    for split in ("train", "test"):
        series = employment(split)
        for month, value in series[total].items():
            assert sum(series[part][month] for part in parts) == value, f"{total}, {month}"


def test_employment_is_made_from_months_and_titles(tmp_path: Path) -> None:
    make = maker("employment")
    lines = ["Month,Series_ID,Title,Employed", *(f'1990 {name},X1,"A, B",{n}.0' for n, name in enumerate(make.MONTHS, 1))]
    lines += [line.replace("X1", "X2").replace("A, B", "C") for line in lines[1:]]
    lines[-1] = "1990 Dec,X2,C,"  # so the second series is incomplete
    lines.append('1989 Dec,X1,"A, B",5.0')
    counts = make.Counter()
    rows = make.read_rows(lines, counts)
    assert rows == [("A, B", f"1990-{n:02d}", str(n)) for n in range(1, 13)]
    assert list(counts.values()) == [2, 1]
    assert make.split(rows, "train") == rows
    assert make.split(rows, "test") == []
    for name in ("one.csv.gz", "two.csv.gz"):
        make.write_table(tmp_path / name, rows)
    assert (tmp_path / "one.csv.gz").read_bytes() == (tmp_path / "two.csv.gz").read_bytes()
    assert gzip.decompress((tmp_path / "one.csv.gz").read_bytes()).decode().splitlines()[1] == '"A, B",1990-01,1'


def test_employment_is_small() -> None:
    folder = ROOT / "examples" / "data" / "employment"
    assert sum(path.stat().st_size for path in folder.glob("*.gz")) < 500_000


def test_headings_hold_no_document_that_is_much_like_one_of_train() -> None:
    """Written here anew so as not to trust the maker: none of validation and test is one of train but for case, digits and punctuation."""

    def key(text: str) -> str:
        return re.sub(r"[\W\d_]+", " ", text.casefold()).strip()

    train = {key(document) for _, document, _ in table("summarization", "train")[1:]}
    for split in SPLITS[1:]:
        rows = table("summarization", split)[1:]
        assert [row for row in rows if key(row[1]) in train] == []
        assert [row for row in rows if not 15 <= len(row[1].split()) <= 1000 or not 1 <= len(row[2].split()) <= 12] == []


def test_headings_are_made_of_what_a_page_shows() -> None:
    make = maker("summarization")
    text = " ".join(f"word{n}" for n in range(20))
    page = f"""<body><header><p id="x">menu</p></header><div id="DisplayArea"><h1 id="hd_1"><a name="h1"></a>Cells &amp; Rows:</h1>
    <p id="par_1" class="paragraph">Choose <span id="s" class="switchinline">
    <span hidden="true" id="MACx" class="MAC"><span>Preferences</span></span>
    <span hidden="true" id="defaultx"><span class="emph">Options</span></span></span> now.</p>
    <div class="howtoget"><p id="par_2">Format - Cells</p></div><h2 id="hd_2">Deleting</h2><p id="par_3">{text}<br>end</p>
    <h3 id="hd_3">Syntax:</h3><p id="par_4">more</p><h2 id="hd_4">Icon bar</h2><div class="bascode"><pre>x = 1</pre></div></div></body>"""
    rows = list(make.sections("page", make.blocks(make.Tree(page).root)))
    assert [row.summary for row in rows] == ["Cells & Rows", "Deleting", "Icon bar"]
    assert rows[0].document == f"Choose Options now. Deleting {text} end more Icon bar"
    assert rows[1].document == f"{text} end more"
    assert rows[2].document == ""
    assert "fewer than 15" in make.fault(rows[2], 1, set())
    assert make.fault(rows[1], 1, set()) == ""
    assert "more than 8 pages" in make.fault(rows[1], 9, set())
    assert "same document" in make.fault(rows[1], 1, {make.plain(rows[1].document)})
    seen = make.Seen([rows[1]])
    assert seen.has_like(rows[1]._replace(document=rows[1].document.upper() + " 17"))
    assert not seen.has_like(rows[1]._replace(document=text.replace("word", "other")))
