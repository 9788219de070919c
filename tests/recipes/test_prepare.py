"""The program that makes the Debian tables, on small made-up index files."""

import bz2
import gzip
import hashlib
import importlib.util
import lzma
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "recipes" / "debian" / "prepare.py"

spec = importlib.util.spec_from_file_location("debian_prepare", PROGRAM)
assert spec is not None
assert spec.loader is not None
prepare = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = prepare  # dataclasses look their module up
spec.loader.exec_module(prepare)

# One source package for each split, found by trying; the hash must never change.
SOURCES = {"train": "hello", "dev": "3dchess", "test": "acl2"}
BODY = "A long text about the {name} of the world, with more than twenty words in it, so that there is something to be summarized here."


def stanza(package: str, language: str, synopsis: str, body: str, english: str = "") -> str:
    """An entry of a Translation index. `english` is what was translated; it decides the MD5 sum."""
    md5 = hashlib.md5((english or synopsis + body).encode(), usedforsecurity=False).hexdigest()
    lines = "".join(f" {line or '.'}\n" for line in body.split("\n"))
    return f"Package: {package}\nDescription-md5: {md5}\nDescription-{language}: {synopsis}\n{lines}\n"


def write_lists(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / f"mirror_dists_bookworm_main_{name}").write_text(text, encoding="utf-8")
    return folder


def table(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in gzip.decompress(path.read_bytes()).decode("utf-8").splitlines()]


# ------------------------------------------------------------------------------------------------------------------ index files


def test_a_stanza_is_its_wanted_fields() -> None:
    lines = ["Package: a", "Depends: b,", " c", "Description-en: short", " first", " .", " second", "", "", "Package: d", "Size: 1"]
    assert list(prepare.stanzas(lines, ("Package", "Description"))) == [
        {"Package": ["a"], "Description-en": ["short", " first", " .", " second"]},
        {"Package": ["d"]},
    ]


@pytest.mark.parametrize(
    ("file", "index"),
    [
        ("mirror_main_i18n_Translation-de", "Translation-de"),
        ("mirror_main_i18n_Translation-pt%5fBR.lz4", "Translation-pt_BR"),
        ("Translation-en.xz", "Translation-en"),
        ("mirror_main_binary-amd64_Packages.gz", "Packages"),
        ("mirror_InRelease", ""),
        ("Packages.diff", ""),
    ],
)
def test_files_of_an_index_are_known_by_their_names(file: str, index: str) -> None:
    assert prepare.index_name(Path("lists") / file) == index


@pytest.mark.parametrize(("suffix", "pack"), [("", bytes), (".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_compressed_files_are_read(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"Packages{suffix}"
    path.write_bytes(pack("eins\nzw\u2028ei\n".encode()))  # U+2028 ends no line here
    assert list(prepare.index_lines(path)) == ["eins", "zw\u2028ei"]


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_half_a_file_is_an_error(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"Packages{suffix}"
    packed = pack(os.urandom(1000).hex().encode())
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(prepare.PreparationError, match=rf"Packages{suffix}: the file cannot be read to its end"):
        list(prepare.index_lines(path))


def test_a_line_that_is_no_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "Packages"
    path.write_bytes(b"one\nt\xffo\n")
    with pytest.raises(prepare.PreparationError, match=r"Packages:2: the line must be UTF-8"):
        list(prepare.index_lines(path))


def test_lz4_without_apt_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare.shutil, "which", lambda *_, **__: None)
    path = tmp_path / "Packages.lz4"
    path.write_bytes(b"")
    with pytest.raises(prepare.PreparationError, match="GzipIndexes=false"):
        list(prepare.index_lines(path))


def test_source_packages(tmp_path: Path) -> None:
    lists = write_lists(tmp_path, {"binary-amd64_Packages": "Package: a\n\nPackage: b-doc\nSource: b (1.2-3)\n\nPackage: c\nSource: d\n"})
    assert prepare.read_sources(lists) == {"a": "a", "b-doc": "b", "c": "d"}


# --------------------------------------------------------------------------------------------------------------------- structure


def test_parts_of_a_description() -> None:
    description = [
        "short  one",
        " Flowing",
        " text:",
        "  * first",
        "    item",
        "  2) second",
        " again text",
        " .",
        "   ls -l",
        "   cp",
        " .",
    ]
    assert prepare.parts(description) == [
        ("short", "short one"),
        ("para", "Flowing text:"),
        ("item", "first item"),
        ("item", "second"),
        ("para", "again text"),
        ("verb", "ls -l cp"),
    ]


def test_an_empty_synopsis_keeps_its_place() -> None:
    assert prepare.parts(["", " text"]) == [("short", ""), ("para", "text")]


def test_sentences() -> None:
    text = "It is e.g. Small. Dr. Who likes it! 3 of 4 do. see below."
    assert prepare.sentences(text) == ["It is e.g. Small.", "Dr. Who likes it!", "3 of 4 do. see below."]


def aligned(english: list[str], translation: list[str]) -> tuple[list[tuple[str, str, str]], int]:
    counts = prepare.Counts()
    return list(prepare.aligned_segments(english, translation, counts)), counts.dropped.total()


def test_equal_structure_is_paired_sentence_by_sentence() -> None:
    english = ["a b", " One. Two.", "  - item. Still item.", " .", " Last."]
    german = ["A B", " Eins. Zwei.", "  * Punkt. Noch Punkt.", " .", " Ende."]
    assert aligned(english, german)[0] == [
        ("short", "a b", "A B"),
        ("para", "One.", "Eins."),
        ("para", "Two.", "Zwei."),
        ("item", "item. Still item.", "Punkt. Noch Punkt."),
        ("para", "Last.", "Ende."),
    ]


def test_a_paragraph_with_another_number_of_sentences_is_kept_whole() -> None:
    assert aligned(["a", " One. Two."], ["A", " Eins, zwei."]) == ([("short", "a", "A"), ("para", "One. Two.", "Eins, zwei.")], 0)


def test_of_another_structure_only_the_synopsis_is_used() -> None:
    assert aligned(["a", " One.", "  - x"], ["A", "  - x", " Eins."]) == ([("short", "a", "A")], 1)


def test_indented_blocks_are_dropped_and_counted() -> None:
    assert aligned(["a", "   ls"], ["A", "   ls"]) == ([("short", "a", "A")], 1)


# ------------------------------------------------------------------------------------------------------------ filters and splits


@pytest.mark.parametrize(
    ("english", "translated", "reason"),
    [
        ("a library for numbers", "eine Bibliothek für Zahlen", None),
        ("a library for numbers", "<trans>", "not translated: empty"),
        ("a library for numbers", "", "not translated: empty"),
        ("a library for numbers", "a library for numbers", "not translated: the same"),
        ("library", "Bibliothek", "too short"),
        ("a library for numbers", "Zahlen", "length ratio"),
        ("a library for numbers", "x" * 50, "length ratio"),
        ("numbers, numbers", "Zahlen" * 20, None),  # of short texts any ratio is believed
        ("ab 1.2.3.4 cde 5.6.7.8", "ab 1.2.3.4 cdf 5.6.7.8", "mostly digits"),
    ],
)
def test_faults(english: str, translated: str, reason: str | None) -> None:
    found = prepare.fault(english, translated, "de")
    assert found is None if reason is None else found is not None and found.startswith(reason)


def test_chinese_is_believed_to_be_short() -> None:
    english, chinese = "a library for very large numbers", "大数库大数库"
    assert prepare.fault(english, chinese, "zh_CN") is None
    assert "length ratio" in prepare.fault(english, chinese, "de")


def test_near_duplicates_differ_in_names_numbers_case_and_punctuation() -> None:
    key = prepare.near_duplicate_key
    assert key("Headers for libfoo1.2-dev.") == key("headers for  LIBBAR2-dev!")
    assert key("ﬁle") == key("file")
    assert key("headers for games") != key("headers for music")


def test_splits_never_change() -> None:
    """2 % each for dev and test; a table made today must not test on what an old one trained on."""
    assert {split: prepare.split_of(source) for split, source in SOURCES.items()} == {split: split for split in SOURCES}
    splits = [prepare.split_of(f"package{number}") for number in range(5000)]
    assert 70 <= splits.count("dev") <= 130
    assert 70 <= splits.count("test") <= 130


def test_what_was_learned_is_not_tested() -> None:
    rows = [
        prepare.Row("train", ("Files for foo-1", "Dateien")),
        prepare.Row("train", ("files for foo-2", "Dateien, auch")),  # train may repeat itself
        prepare.Row("dev", ("Files for bar3.0.", "anders")),
        prepare.Row("dev", ("something else", "DATEIEN")),
        prepare.Row("dev", ("new text", "neu")),
        prepare.Row("test", ("New text!", "ganz neu")),
    ]
    counts = prepare.Counts()
    assert prepare.without_leaks(rows, counts, once=True) == [*rows[:2], rows[4]]
    assert counts.dropped == {"dev: near-duplicates of train": 2, "test: near-duplicates within dev and test": 1}
    assert prepare.without_leaks(rows, prepare.Counts()) == [*rows[:2], *rows[4:]]


def test_only_the_beginning_of_a_long_text_counts() -> None:
    rows = [prepare.Row("train", ("one two three", "a")), prepare.Row("dev", ("one two four", "b")), prepare.Row("test", ("two one", "c"))]
    assert prepare.without_leaks(rows, prepare.Counts(), key_length=7) == [rows[0], rows[2]]
    assert prepare.without_leaks(rows, prepare.Counts()) == rows


# --------------------------------------------------------------------------------------------------------------------- the tables


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """A mirror with a package for each split, one of them from another source, one that nobody translated, and an outdated translation."""
    names = {"hello-doc": "greetings", "3dchess": "chessboards", "acl2": "logicians"}
    english = {package: (f"all about {name} and more", BODY.format(name=name)) for package, name in names.items()}
    texts = {"en": "", "de": ""}
    for package, (synopsis, body) in english.items():
        texts["en"] += stanza(package, "en", synopsis, body)
        texts["de"] += stanza(
            package, "de", f"alles über {names[package]}", f"Ein Text zu {names[package]}. " + "Lang. " * 10, synopsis + body
        )
    texts["en"] += stanza("zoo", "en", "wild animals", "Lions.")
    texts["de"] += stanza("acl2", "de", "ein alter Text", "alt", "an English text that is gone")
    folder = tmp_path / "lists"
    folder.mkdir()
    files = {f"i18n_Translation-{language}": text for language, text in texts.items()}
    return write_lists(folder, {**files, "binary-amd64_Packages": "Package: hello-doc\nSource: hello\n\nPackage: 3dchess\n"})


def test_translation_tables(lists: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare.main(["translation", str(lists), "de", str(tmp_path / "out")])
    tables = {split: table(tmp_path / "out" / f"debian.en-de.{split}.tsv.gz") for split in SOURCES}
    assert {split: {row[1] for row in rows[1:]} for split, rows in tables.items()} == {split: {name} for split, name in SOURCES.items()}
    assert tables["train"][:2] == [
        ["kind", "source", "package", "en", "de"],
        ["short", "hello", "hello-doc", "all about greetings and more", "alles über greetings"],
    ]
    assert [row[0] for row in tables["test"]] == ["kind", "short", "para"]
    printed = capsys.readouterr().out
    assert "dropped          1  descriptions: no such English text, it has changed since" in printed
    assert "read             1  descriptions whose package is not in `Packages`" in printed  # acl2


def test_summarization_tables(lists: Path, tmp_path: Path) -> None:
    prepare.main(["summarization", str(lists), str(tmp_path / "out")])
    assert table(tmp_path / "out" / "debian-synopsis.test.tsv.gz") == [
        ["source", "package", "description", "synopsis"],
        ["acl2", "acl2", BODY.format(name="logicians"), "all about logicians and more"],
    ]


@pytest.mark.parametrize(
    ("synopsis", "words", "reason"),
    [
        ("three words here", 20, None),
        ("three words here", 19, "under 20 words"),
        ("two words", 30, "under 20 words, or a synopsis"),
        ("w " * 20, 60, None),
        ("w " * 21, 70, "under 20 words, or a synopsis"),
        ("one two three four five six seven", 21, None),
        ("one two three four five six seven", 20, "not three times"),
        ("all about that and more", 26, "the same text was there before"),
    ],
)
def test_what_is_a_summary(tmp_path: Path, synopsis: str, words: int, reason: str | None) -> None:
    body = " ".join(f"word{number}" for number in range(words))
    first = stanza("a", "en", "all about this and more", " ".join(f"word{number}" for number in range(26)))
    lists = write_lists(
        tmp_path, {"i18n_Translation-en": first + stanza("b", "en", synopsis, body), "binary-amd64_Packages": "Package: a\n"}
    )
    counts = prepare.Counts()
    rows = prepare.summarization_rows(lists, counts)
    assert [row.cells[1] for row in rows] == (["a", "b"] if reason is None else ["a"])
    assert [dropped.removeprefix("descriptions: ").startswith(reason or "") for dropped in counts.dropped] == [True] * (2 - len(rows))


def test_rows_are_in_the_order_of_packages(tmp_path: Path) -> None:
    """Whatever the order of the index: which of two like rows is kept must not depend on it."""
    english = {name: stanza(name, "en", f"all about {name * 5}", "x") for name in "cab"}
    german = {name: stanza(name, "de", f"alles über {name * 5}", "y", f"all about {name * 5}x") for name in "bca"}
    texts = {
        "i18n_Translation-en": "".join(english.values()),
        "i18n_Translation-de": "".join(german.values()),
        "binary-amd64_Packages": "\n",
    }
    rows = prepare.translation_rows(write_lists(tmp_path, texts), "de", prepare.Counts())
    assert [row.cells[2] for row in rows] == ["a", "b", "c"]


def test_a_source_package_gives_at_most_two_summaries(lists: Path) -> None:
    families = "".join(stanza(f"hello-{letter}", "en", f"the {letter} part of it", BODY.format(name=letter)) for letter in "abcd")
    packages = "".join(f"Package: hello-{letter}\nSource: hello\n\n" for letter in "abcd")
    write_lists(lists, {"i18n_Translation-en": families, "binary-amd64_Packages": packages})
    counts = prepare.Counts()
    rows = prepare.summarization_rows(lists, counts)
    assert [row.cells[1] for row in rows if row.cells[0] == "hello"] == ["hello-a", "hello-b"]
    assert counts.dropped["descriptions: two of the source package are there already"] == 2


def test_every_segment_is_written_or_accounted_for(lists: Path, tmp_path: Path) -> None:
    twins = [stanza(f"hello{number}", "en", "the same text for all", "No. 1 is  a number") for number in range(5)]
    (lists / "mirror_i18n_Translation-en.gz").write_bytes(gzip.compress("".join(twins).encode()))
    german = [stanza(f"hello{number}", "de", "der gleiche Text", "kurz", "the same text for allNo. 1 is  a number") for number in range(5)]
    (lists / "mirror_i18n_Translation-de.gz").write_bytes(gzip.compress("".join(german).encode()))
    counts = prepare.Counts()
    rows = prepare.translation_rows(lists, "de", counts)
    dropped = sum(count for reason, count in counts.dropped.items() if reason.startswith(("segments", "dev", "test")))
    assert counts.read["segments"] == 16
    assert len(rows) + dropped == 16
    assert counts.dropped["segments: the same pair was there before"] == 8


def test_the_same_lists_give_the_same_bytes(lists: Path, tmp_path: Path) -> None:
    for out in ("first", "second"):
        prepare.main(["translation", str(lists), "de", str(tmp_path / out)])
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()
        assert path.read_bytes()[4:8] == bytes(4), "the time of writing must not be in the file"
    assert len(list((tmp_path / "first").iterdir())) == 3, "nothing unfinished is left"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["translation", "LISTS", "fr", "OUT"], "There is no index `Translation-fr` in .*has: Packages, Translation-de, Translation-en"),
        (["translation", "LISTS", "en", "OUT"], "must be one that English is translated to"),
        (["translation", "OUT", "de", "OUT"], "must be a folder"),
    ],
)
def test_mistakes_are_told_in_a_sentence(lists: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    places = {"LISTS": str(lists), "OUT": str(tmp_path / "out")}
    with pytest.raises(SystemExit, match=message):
        prepare.main([places.get(argument, argument) for argument in arguments])
    assert not (tmp_path / "out").exists()
