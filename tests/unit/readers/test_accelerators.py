"""Keys of labels are taken out and put back; marks that are none stay."""

import pytest

from antiphon.readers.accelerators import accelerator_mark, with_accelerator, without_accelerator, without_marks


@pytest.mark.parametrize(
    ("text", "mark", "found"),
    [
        ("_File", "_", ("File", "F")),
        ("Save _As...", "_", ("Save As...", "A")),
        ("E_xit", "_", ("Exit", "x")),
        ("&Open %s", "&", ("Open %s", "O")),
        ("AT&T", "&", ("AT&T", None)),
        ("Copyright &copy; me", "&", ("Copyright &copy; me", None)),
        ("file_name", "_", ("file_name", None)),
        ("MAX_SIZE", "_", ("MAX_SIZE", None)),
        ("_a _b", "_", ("_a _b", None)),
        ("%(_name)s", "_", ("%(_name)s", None)),
        ("Black && &White", "&", ("Black && White", "W")),
        ("_File", None, ("_File", None)),
    ],
)
def test_keys_are_taken_out(text: str, mark: str | None, found: tuple[str, str | None]) -> None:
    assert without_accelerator(text, mark) == found


@pytest.mark.parametrize(
    ("text", "letter", "found"),
    [
        ("Datei", "F", "_Datei"),
        ("Alle speichern", "s", "Alle _speichern"),
        ("Öffnen", "f", "Ö_ffnen"),
        ("%s öffnen", "s", "%s _öffnen"),
        ("文件(...)", "f", "文件(...)(_F)"),
        ("文件...", "f", "文件(_F)..."),
        ("ファイル", "F", "ファイル(_F)"),
        ("5 %", "f", "5 %"),
        ("Файл", "F", "_Файл"),
    ],
)
def test_keys_are_put_back(text: str, letter: str, found: str) -> None:
    assert with_accelerator(text, "_", letter) == found


def test_the_mark_of_a_file_is_found() -> None:
    assert accelerator_mark(["_File", "_Edit", "R&D", "a sentence"]) == "_"
    assert accelerator_mark(["&File", "E&xit", "&amp;"]) == "&"
    assert accelerator_mark(["Q&A", "file_name", "~/.config", "<b>a</b>"]) is None
    assert accelerator_mark(["_x", *["text"] * 120]) is None
    assert accelerator_mark(["_x", "_y", *["text"] * 1000]) == "_"
    assert accelerator_mark(["~x", "~y", *["text"] * 1000]) is None
    assert accelerator_mark(["_File"]) == "_"


def test_marks_that_nobody_asked_for_are_taken_away() -> None:
    assert without_marks("_-Ein _Text_Feld %(_a)s", "_") == "_-Ein TextFeld %(_a)s"
    assert without_marks("A & &B &amp;", "&") == "A & B &amp;"
