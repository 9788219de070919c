"""PO files made by gettext's own tools (xgettext, msginit and msgmerge 0.21) are read as they are and come back with targets alone changed.

Judges are msgfmt and msgcat, polib, and pofilter of the translate-toolkit, each where it is installed.
"""

import difflib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from antiphon.contracts.files import FileConfig
from antiphon.contracts.reader import MissingError, Reading, Said, Skip
from antiphon.data.records import open_records
from antiphon.errors import ConfigError, DataError
from antiphon.readers.po import PoRewriter, plugin, read
from tests.judges import judge

FILES = Path(__file__).parent / "po"
HEAD = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'


def reading(path: Path, *states: str, targets: bool = False, encoding: str = "utf-8") -> Reading:
    file = FileConfig(path=str(path), states=states, encoding=encoding)
    return Reading(path, file, ("source", "target") if targets else ("source",), "source", "target")


def units(one: Reading) -> list[Any]:
    return [record for _, record in read(one) if not isinstance(record, Skip)]


def written(path: Path, texts: dict[int, str]) -> bytes:
    rewriter = PoRewriter(reading(path))
    for unit, text in texts.items():
        rewriter.put(unit, Said(text))
    return rewriter.content()


@pytest.fixture
def po(tmp_path: Path) -> Any:
    def write(text: str, head: str = HEAD) -> Path:
        (tmp_path / "a.po").write_text(head + text, encoding="utf-8", newline="")
        return tmp_path / "a.po"

    return write


def test_finished_units_are_learned_from() -> None:
    found = units(reading(FILES / "pl.po", targets=True))
    assert [(one["source"], one["target"], one["form"]) for one in found] == [
        ("Could not open the file", "Nie można otworzyć pliku", None),
        ("%d file was found", "Znaleziono %d plik", 0),
        ("%d files were found", "Znaleziono %d pliki", 1),
        ("%d files were found", "Znaleziono %d plików", 2),
    ]
    wider = units(reading(FILES / "pl.po", "translated", "fuzzy", "obsolete", targets=True))
    assert [(one["state"], one["target"]) for one in wider if one["state"] != "translated"] == [
        ("fuzzy", "Witaj w edytorze"),
        ("obsolete", "Przepadło"),
    ]
    assert wider[0]["note"] == "TRANSLATORS: shown when the program starts"
    records = open_records(FILES / "pl.po", required=("source", "target"))
    assert {reason: one.count for reason, one in records.skipped().items()} == {"fuzzy": 1, "untranslated": 15, "obsolete": 1}
    assert records.skipped()["fuzzy"].first == (f"{FILES / 'pl.po'}:25",)


def test_waiting_units_are_answered() -> None:
    found = units(reading(FILES / "pl.po"))
    assert [one["source"] for one in found[:3]] == ["One line was changed", "%d lines were changed", "%d lines were changed"]
    assert [one["source"] for one in found[3:7]] == ["File", "Save As", "Exit", "Open Recent"], "without their keys"
    assert [one["context"] for one in found if one["source"] == "Open"] == ["menu", "state of a door"]
    assert found[-4]["source"] == "First line\n\tsecond line\\end\n"
    assert found[-5]["source"].endswith("sleeps on in the sun until the evening comes.")
    assert len(units(reading(FILES / "ar.po"))) == 24, "12 texts, and 2 of 6 forms, of which the file has 2"


def test_a_template_comes_back_as_a_file() -> None:
    assert len(units(reading(FILES / "editor.pot"))) == 18
    assert b"#, fuzzy\n#. " not in written(FILES / "editor.pot", {1: "Hallo!"})
    assert b'#: new.c:2\n#, fuzzy\nmsgid "Welcome to the editor!"\nmsgstr "Hallo!"\n' in written(FILES / "editor.pot", {1: "Hallo!"})


def variants(tmp_path: Path, name: str) -> list[Path]:
    """The file as it is, with other line ends, without a final one, with a mark, not wrapped, in another encoding."""
    content = (FILES / name).read_bytes()
    kinds = {"crlf": content.replace(b"\n", b"\r\n"), "cut": content.rstrip(b"\n"), "mark": b"\xef\xbb\xbf" + content}
    kinds["wide"] = re.sub(rb'(?<!\\n)"\n"', b"", content).replace(b'msgid ""The', b'msgid "The')
    kinds["utf16"] = content.decode().encode("utf-16")
    paths = [FILES / name]
    for kind, changed in kinds.items():
        paths.append(tmp_path / f"{kind}.po")
        paths[-1].write_bytes(changed)
    return paths


@pytest.mark.parametrize("name", ["pl.po", "ar.po"])
def test_only_targets_change(tmp_path: Path, name: str) -> None:
    for path in variants(tmp_path, name):
        found = units(reading(path))
        assert written(path, {}) == path.read_bytes()
        new = written(path, {number: record["source"] for number, record in enumerate(found, 1)})
        encoding = "utf-16" if "utf16" in path.name else "utf-8"
        before, after = (content.decode(encoding).splitlines(keepends=True) for content in (path.read_bytes(), new))
        lines = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
        assert lines, path
        for line in lines:
            gone = r"- (msgstr(\[\d\])? \"\"\r?\n?|#, (?!fuzzy).*\n)"
            there = r"\+ (msgstr(\[\d\])? \".*\"\r?\n?|\".*\"\r?\n?|#, fuzzy.*\n)"
            assert re.fullmatch(gone if line[0] == "-" else there, line), (path, line)
        assert ("\r\n" in "".join(after)) == ("\n" not in "".join(after).replace("\r\n", "")), "one kind of line ends"
        copy = tmp_path / "again.po"
        copy.write_bytes(new)
        again = units(reading(copy, "fuzzy", targets=True))
        assert [one["target"] for one in again if one["target"] != (found[0].get("target") or "")][-len(found) :] == [
            one["source"] for one in found
        ]
        assert units(reading(copy)) == []


def test_keys_blanks_and_formats_are_put_back() -> None:
    path = FILES / "pl.po"
    found = {record["source"]: number for number, record in enumerate(units(reading(path)), 1)}
    texts = {
        found["File"]: "Plik",
        found["Save As"]: "Zapisz _ja_ko",
        found["Exit"]: "Zakończ",
        found["First line\n\tsecond line\\end\n"]: "  Pierwszy\n\tdrugi\\koniec",
        found["%s used %d%% of <b>the disk</b>"]: "<b>Dysk</b> w %d% zajęty przez %s",
        found["{count} of {total} done"]: "zrobione {total} i {count}",
    }
    content = written(path, texts).decode()
    for line in (
        'msgid "_File"\nmsgstr "_Plik"',
        'msgid "Save _As"\nmsgstr "Z_apisz jako"',
        'msgid "E_xit"\nmsgstr "_Zakończ"',
        'msgstr ""\n"Pierwszy\\n"\n"\\tdrugi\\\\koniec\\n"\n',
        'msgstr "<b>Dysk</b> w %2$d%% zajęty przez %1$s"',
        'msgstr "zrobione {total} i {count}"',
        '#, fuzzy, c-format\nmsgid "%s used',
    ):
        assert line in content
    rewriter = PoRewriter(reading(path))
    for text, message in (("Cześć!", r"lacks `%\(name\)s`"), (" ", "the translation is empty")):
        with pytest.raises(DataError, match=message):
            rewriter.put(found["Hello, %(name)s!"], Said(text))
    with pytest.raises(MissingError, match="that its source does not have"):
        rewriter.put(found["File"], Said("Plik %s"))
    assert rewriter.content() == path.read_bytes()


def test_forms_that_are_missing_are_added_in_order() -> None:
    path = FILES / "ar.po"
    waiting = [(number, one["form"]) for number, one in enumerate(units(reading(path)), 1) if one["source"].endswith("found")]
    content = written(path, {number: f"%d {form}" for number, form in waiting if form in (1, 4)}).decode()
    forms = 'msgstr[0] ""\nmsgstr[1] "%d 1"\nmsgstr[2] ""\nmsgstr[3] ""\nmsgstr[4] "%d 4"\n\n#: new.c:5'
    assert forms in content


def test_a_translation_that_was_fuzzy_is_renewed(tmp_path: Path) -> None:
    one = reading(FILES / "pl.po", "fuzzy")
    assert [record["state"] for record in units(one)] == ["fuzzy"]
    rewriter = PoRewriter(one)
    rewriter.put(1, Said("Witamy!"))
    assert b'#, fuzzy\n#| msgid "Welcome to the editor"\nmsgid "Welcome to the editor!"\nmsgstr "Witamy!"\n' in rewriter.content()


def test_a_comment_is_written_beside(po: Any) -> None:
    path = po('# mine\n#. theirs\n#, c-format\nmsgid "a"\nmsgstr ""\n\nmsgid "b"\nmsgstr ""\n\n# by machine\nmsgid "c"\nmsgstr ""\n')
    file = FileConfig(path=str(path), note="by machine")
    rewriter = PoRewriter(Reading(path, file, ("source",), "source", "target"))
    for unit in (1, 2, 3):
        rewriter.put(unit, Said("x"))
    assert rewriter.content().decode() == HEAD + (
        '# mine\n# by machine\n#. theirs\n#, fuzzy, c-format\nmsgid "a"\nmsgstr "x"\n\n'
        '# by machine\n#, fuzzy\nmsgid "b"\nmsgstr "x"\n\n# by machine\n#, fuzzy\nmsgid "c"\nmsgstr "x"\n'
    )


def test_other_charsets(tmp_path: Path) -> None:
    path = tmp_path / "de.po"
    head = HEAD.replace("UTF-8", "ISO-8859-1")
    path.write_bytes((head + 'msgid "open"\nmsgstr "öffnen"\n\nmsgid "green"\nmsgstr ""\n').encode("latin-1"))
    assert units(reading(path, targets=True))[0]["target"] == "öffnen"
    assert b'#, fuzzy\nmsgid "green"\nmsgstr "gr\xfcn"\n' in written(path, {1: "grün"})
    with pytest.raises(DataError, match="iso8859-1, cannot write"):
        PoRewriter(reading(path)).put(1, Said("zielony ł"))
    path.write_bytes((head.replace("8859-1", "8859-x")).encode())
    with pytest.raises(DataError, match=r"charset in its header that is known.*ISO-8859-x"):
        units(reading(path))
    path.write_bytes(HEAD.encode() + b'msgid "\xff"\nmsgstr ""\n')
    with pytest.raises(DataError, match=r"de\.po:4 must be utf-8, but byte 0xff is not"):
        units(reading(path))


def test_lines_in_any_arrangement(po: Any) -> None:
    path = po('msgid "a" "b" msgstr "c" # x\n#, fuzzy\nmsgid "z" msgstr ""\n#~ msgid "old"\n#~ "er"\n#~ msgstr "\\x61lt\\"\\t\\101"\n')
    assert [(one["source"], one["target"]) for one in units(reading(path, "translated", "obsolete", targets=True))] == [
        ("ab", "c"),
        ("older", 'alt"\tA'),
    ]
    path = po('msgid "a" msgstr "" msgid "b" msgstr ""')
    assert written(path, {1: "A", 2: "B"}).decode() == HEAD + '#, fuzzy\nmsgid "a" msgstr "A" \n#, fuzzy\nmsgid "b" msgstr "B"'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('msgid "a\nmsgstr ""\n', r"a\.po:4 must have a quote at the end"),
        ('msgid "a"\n\nmsgid "b"\nmsgstr ""\n', r"a\.po:4 must have a msgstr"),
        ('msgid "a"\nmsgstr ""\n<<<<<<< HEAD\n', r"a\.po:6 must be a keyword.*<<<<<<<"),
        ('msgstr "a"\n', r"a\.po:4 must not have a second msgstr"),
        ('msgid "a"\nmsgstr ""\nmsgstr "b"\n', r"a\.po:6 must not have a second msgstr"),
        ('msgid "a"\nmsgid_plural "b"\nmsgstr ""\n', r"a\.po:6 must have `msgstr\[0\]`"),
        ('msgid "a"\nmsgstr[0] ""\n', r"a\.po:5 must have `msgstr\[0\]`"),
        ('msgid "a"\nmsgstr\n', r"a\.po:4 must have a text in quotes"),
        ('msgid "a"\n# b\n"c"\nmsgstr ""\n', r"a\.po:6 must have a keyword"),
        ('msgid "a"\nmsgstr "\\xff"\n', r"a\.po:5 must be utf-8"),
    ],
)
def test_what_is_wrong_is_told_by_line(po: Any, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(read(reading(po(text))))


def test_states_and_plural_rules_are_checked(po: Any) -> None:
    with pytest.raises(ConfigError, match=r"must be among translated, fuzzy, obsolete.*Did you mean `translated`"):
        units(reading(po('msgid "a"\nmsgstr ""\n'), "translate", targets=True))
    with pytest.raises(ConfigError, match="to translate, but has 'obsolete'"):
        units(reading(po('msgid "a"\nmsgstr ""\n'), "obsolete"))
    for rule in ("nplurals=2; plural=n==;", "nplurals=1; plural=n!=1;", "nplurals=2; plural=n/0;", "two"):
        head = HEAD.replace("\\n", f"\\nPlural-Forms: {rule}\\n")
        with pytest.raises(DataError, match="plural forms in its header such as"):
            units(reading(po('msgid "a"\nmsgstr ""\n', head)))


def test_blank_sources_are_left(po: Any) -> None:
    assert [type(one) for _, one in read(reading(po('msgid " "\nmsgstr ""\n')))] == [Skip]


def test_a_pofile_is_known_by_its_opening() -> None:
    assert plugin.recognizes is not None
    assert plugin.recognizes((FILES / "pl.po").read_bytes())
    assert not plugin.recognizes(b"a msgid and a msgstr\n")


@pytest.mark.skipif(shutil.which("msgfmt") is None, reason="needs gettext")
@pytest.mark.parametrize("name", ["pl.po", "ar.po"])
def test_msgfmt_and_msgcat_agree(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    found = units(reading(FILES / name))
    path.write_bytes(written(FILES / name, {number: record["source"] for number, record in enumerate(found, 1)}))
    checked = subprocess.run(["msgfmt", "-c", "--use-fuzzy", "-o", "/dev/null", path], capture_output=True, text=True)  # noqa: S607
    assert checked.returncode == 0, checked.stderr
    plain = subprocess.run(["msgcat", path], capture_output=True, check=True)  # noqa: S607
    assert plain.stdout == path.read_bytes(), "as gettext would write it"


def test_polib_agrees(tmp_path: Path) -> None:
    polib = judge("polib", extra="dev")
    path = tmp_path / "pl.po"
    found = units(reading(FILES / "pl.po"))
    path.write_bytes(written(FILES / "pl.po", {number: record["source"] for number, record in enumerate(found, 1)}))
    before, after = polib.pofile(str(FILES / "pl.po")), polib.pofile(str(path))
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        assert (old.msgid, old.msgctxt, old.comment, old.tcomment, old.occurrences) == (
            new.msgid,
            new.msgctxt,
            new.comment,
            new.tcomment,
            new.occurrences,
        )
        if old.translated() or old.obsolete:
            assert (old.msgstr, old.msgstr_plural, old.flags) == (new.msgstr, new.msgstr_plural, new.flags)
        else:
            assert new.fuzzy
            assert new.msgstr or all(new.msgstr_plural.values())


@pytest.mark.slow
def test_pofilter_finds_no_fault(tmp_path: Path) -> None:
    judge("translate", "translate-toolkit")
    tool = shutil.which("pofilter")
    if tool is None:
        pytest.skip("needs pofilter on the path")
    path = tmp_path / "pl.po"
    found = units(reading(FILES / "pl.po"))
    path.write_bytes(written(FILES / "pl.po", {number: record["source"] for number, record in enumerate(found, 1)}))
    tests = [
        f"--test={name}" for name in ("accelerators", "escapes", "newlines", "printf", "pythonbraceformat", "startwhitespace", "xmltags")
    ]
    told = subprocess.run([tool, "--gnome", *tests, path], capture_output=True, text=True, check=True)
    assert "(pofilter)" not in told.stdout
