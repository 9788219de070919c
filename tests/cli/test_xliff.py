"""From XLIFF and TMX to a model, and back into these files, through the command line."""

import re
from pathlib import Path

import pytest

import antiphon as package
from tests.cli.conftest import RECIPE, Command

TAG = '<x id="9"/>'


def word(number: int) -> str:
    return "".join(chr(97 + (index * number) % 7) for index in range(3 + number % 4)) + str(number)


def write_xliff(path: Path, names: range, waiting: int) -> None:
    """Words and their reversals; some wait for their target, one is to be looked at, one has a tag and waits."""
    units = [
        f'<trans-unit id="{number}"><source>{word(number)}</source>'
        f"{'' if number < waiting else f'<target>{word(number)[::-1]}</target>'}</trans-unit>"
        for number in names
    ]
    units.append(f'<trans-unit id="t"><source>{TAG}abc <g id="1">cab</g></source></trans-unit>')
    units.append('<trans-unit id="r"><source>x</source><target state="needs-review-translation">y</target></trans-unit>')
    head = '<xliff version="1.2"><file original="a" source-language="en" target-language="no" datatype="plaintext"><body>'
    path.write_text("\n".join([head, *units, "</body></file></xliff>"]), encoding="utf-8", newline="")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("xliff")
    write_xliff(folder / "train.xlf", range(1, 41), 0)
    write_xliff(folder / "validation.xlf", range(41, 51), 0)
    pairs = [(word(number), word(number)[::-1]) for number in range(51, 61)]
    said = "".join(f'<tu><tuv xml:lang="en"><seg>{a}</seg></tuv><tuv xml:lang="no"><seg>{b}</seg></tuv></tu>' for a, b in pairs)
    (folder / "test.tmx").write_text(f'<tmx version="1.4"><header srclang="en"/><body>{said}</body></tmx>', encoding="utf-8")
    recipe = RECIPE.replace("test.tsv", "test.tmx").replace(".tsv", ".xlf")
    (folder / "recipe.yaml").write_text(recipe, encoding="utf-8")
    return Path(package.train(folder / "recipe.yaml", folder / "run"))


def test_a_file_is_translated_in_its_place(antiphon: Command, run: Path, tmp_path: Path) -> None:
    write_xliff(tmp_path / "a.xlf", range(61, 71), 64)
    before = (tmp_path / "a.xlf").read_text("utf-8")
    told = antiphon("predict", run, "-i", "a.xlf", "-o", "a.xlf")
    after = (tmp_path / "a.xlf").read_text("utf-8")
    written = int(re.search(r"antiphon: (\d+) units? w", told.err)[1])  # type: ignore[index]
    left = len(re.findall(r"a\.xlf:\d+ stays as it was, since the translation", told.err))
    assert (written + left, told.status) == (4, 1 if left else 0)
    assert written >= 1
    assert "8 left out: has a target" in told.err
    state = '<target state="needs-review-translation" state-qualifier="leveraged-mt">'
    assert after.count(state) == written
    assert re.sub(rf"{state}[^\n]*?</target>", "", after) == before
    tagged = re.search(rf'id="t"><source>[^\n]*</source>{state}([^\n]*)</target>', after)
    assert tagged is not None
    assert re.sub(r"[^<>]*(<[^<>]*>)[^<>]*", r"\1", tagged[1]) in (f'{TAG}<g id="1"></g>', f'<g id="1"></g>{TAG}', f'<g id="1">{TAG}</g>')


def test_finished_units_are_scored(antiphon: Command, run: Path) -> None:
    told = antiphon("evaluate", run)
    assert told.status == 0, told.err
    assert "10 records" in told.out
    told = antiphon("evaluate", run, "--data", f"{{path: {run.parent / 'validation.xlf'}, states: [needs-review-translation]}}")
    assert told.status == 0, told.err
    assert "1 records" in told.out


def test_lines_of_xliff_are_no_texts(antiphon: Command, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    from unittest.mock import Mock

    monkeypatch.setattr("sys.stdin", Mock(buffer=io.BytesIO((run.parent / "train.xlf").read_bytes())))
    told = antiphon("predict", run)
    assert told.status == 1
    assert "looks like a .xlf file. Name the file: `--input in.xlf --output out.xlf`" in told.err
