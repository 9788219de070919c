"""From PO files to a model, and back into PO files, through the command line."""

import gzip
import json
import re
from pathlib import Path

import pytest

import antiphon as package
from antiphon.errors import ConfigError
from tests.cli.conftest import RECIPE, Command

HEAD = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n"Plural-Forms: nplurals=2; plural=n != 1;\\n"\n'


def write_po(path: Path, names: range, waiting: int) -> None:
    """Words and their reversals; some of them are not translated, one is fuzzy, one has two forms."""
    words = ["".join(chr(97 + (index * step) % 7) for index in range(3 + step % 4)) + str(step) for step in names]
    said = [f'#: a.c:{step}\nmsgid "{word}"\nmsgstr "{"" if step < waiting else word[::-1]}"\n' for step, word in enumerate(words)]
    said.append('#, fuzzy\nmsgid "fuzzy"\nmsgstr "yzzuf"\n')
    said.append('#, c-format\nmsgid "%d cab"\nmsgid_plural "%d cabs"\nmsgstr[0] ""\nmsgstr[1] ""\n')
    path.write_text("\n".join([HEAD, *said]), encoding="utf-8", newline="")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("po")
    write_po(folder / "train.po", range(1, 41), 0)
    write_po(folder / "validation.po", range(41, 51), 0)
    write_po(folder / "test.po", range(51, 61), 4)
    (folder / "recipe.yaml").write_text(RECIPE.replace(".tsv", ".po"), encoding="utf-8")
    return Path(package.train(folder / "recipe.yaml", folder / "run"))


def test_inspect_counts_what_is_left_out(antiphon: Command, run: Path) -> None:
    told = antiphon("inspect", run.parent / "recipe.yaml")
    assert told.status == 0, told.err
    assert "40 of 43 records are used" in told.out
    assert re.search(r"1 dropped: fuzzy \(.*train\.po:167", told.out)
    assert "2 dropped: untranslated" in told.out
    assert "units               40 translated, in 1 file; 0 placeholders in 0 sources" in told.out


def test_a_file_is_translated_in_its_place(antiphon: Command, run: Path, tmp_path: Path) -> None:
    write_po(tmp_path / "de.po", range(51, 61), 4)
    before = (tmp_path / "de.po").read_text("utf-8")
    told = antiphon("predict", run, "-i", "de.po", "-o", "de.po")
    after = (tmp_path / "de.po").read_text("utf-8")
    written = int(re.search(r"antiphon: (\d+) units? w", told.err)[1])  # type: ignore[index]
    left = len(re.findall(r"de\.po:\d+ stays as it was, since the translation", told.err))
    assert written + left == 6, "4 texts and 2 forms"
    assert written >= 4, "texts without placeholders are written, whatever the model says"
    assert told.status == (1 if left else 0)
    assert "6 left out: translated" in told.err
    assert "1 left out: fuzzy" in told.err
    assert before.count("#, fuzzy") + 4 <= after.count("#, fuzzy")
    assert [line for line in after.split("\n") if line[:6] != "msgstr" and line[:8] != "#, fuzzy"] == [
        line for line in before.split("\n") if line[:6] != "msgstr" and line[:8] != "#, fuzzy"
    ]
    for line in re.findall(r'msgstr "[^"]+"', before):
        assert line in after
    again = antiphon("predict", run, "-i", "{path: de.po, states: [fuzzy]}", "-o", "other.po")
    assert "units were written into other.po" in again.err


def test_translated_units_are_scored(antiphon: Command, run: Path) -> None:
    told = antiphon("evaluate", run, "--data", run.parent / "test.po")
    assert told.status == 0, told.err
    assert "6 records" in told.out
    assert "6 left out of what the files hold: untranslated" in told.out
    told = antiphon("evaluate", run, "--data", f"{{path: {run.parent / 'test.po'}, states: [fuzzy]}}")
    assert "1 records" in told.out


def test_a_packed_file_stays_packed(antiphon: Command, run: Path, tmp_path: Path) -> None:
    write_po(tmp_path / "de.po", range(51, 53), 1)
    content = (tmp_path / "de.po").read_bytes()
    (tmp_path / "de.po.gz").write_bytes(gzip.compress(content))
    antiphon("predict", run, "-i", "de.po.gz", "-o", "new.po.gz")
    assert b"#, fuzzy\nmsgid" in gzip.decompress((tmp_path / "new.po.gz").read_bytes())


def test_scores_by_file_and_state(antiphon: Command, run: Path) -> None:
    both = "[" + ", ".join(f"{{path: {run.parent / name}, states: [translated, fuzzy]}}" for name in ("test.po", "validation.po")) + "]"
    plain = json.loads(antiphon("evaluate", run, "--data", both, "--by", "file", "--json").out)
    rows = plain["details"]["files"]
    assert [(Path(row["file"]).name, row["units"]) for row in rows] == [("test.po", 7), ("validation.po", 11)]
    whole = {score["name"]: score["value"] for score in plain["scores"]}
    assert sum(row["exact_match"] * row["units"] for row in rows) / 18 == pytest.approx(whole["exact_match"])
    told = antiphon("evaluate", run, "--data", both, "--by", "state")
    assert "Scores by state" in told.out
    assert re.search(r"│ translated +│ +16 │", told.out)
    assert re.search(r"│ fuzzy +│ +2 │", told.out)
    told = antiphon("evaluate", run, "--by", "document")
    assert "translates documents" in told.err


def test_lines_of_a_table_have_no_files(antiphon: Command, run: Path, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("en\tno\na1\t1a\n", encoding="utf-8")
    told = antiphon("evaluate", run, "--data", "a.tsv", "--by", "file")
    assert told.status == 1
    assert "`--by file` needs a run that is scored on files of units, such as .po" in told.err


def test_python_goes_the_same_way(antiphon: Command, run: Path, tmp_path: Path) -> None:
    write_po(tmp_path / "de.po", range(51, 61), 4)
    antiphon("predict", run, "-i", "de.po", "-o", "there.po")
    model = package.load(run)
    found = model.predict_files(tmp_path / "de.po", tmp_path / "here.po")
    assert (tmp_path / "here.po").read_bytes() == (tmp_path / "there.po").read_bytes()
    assert found.count == 6
    assert found.refused == ()
    assert found.remark == f"{6 - len(found.left)} units were written into {tmp_path / 'here.po'}."
    assert found.skipped["translated"].count == 6
    (tmp_path / "a.txt").write_text("abc1\n\n" + 200 * "a" + "\n", encoding="utf-8")
    lines = model.predict_files({"path": str(tmp_path / "a.txt")}, tmp_path / "b.txt")
    assert lines.count == 3
    assert lines.refused[0].startswith(f"{tmp_path / 'a.txt'}:3: ")
    with pytest.raises(ConfigError, match="`inputs` must name files, but `pth` is not a setting of a file"):
        model.predict_files({"pth": "a.po"}, "b.po")
