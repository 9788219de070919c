"""`antiphon new --data` (or `--from`) writes a recipe that learns from the files as they are."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from antiphon.contracts.files import FileConfig
from antiphon.recipe.recipe import read_recipe
from tests.cli.conftest import Command

PO = 'msgid ""\nmsgstr "Language: {0}\\n"\n\nmsgid "open"\nmsgstr "{0} open"\n\nmsgid "shut"\nmsgstr ""\n'


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "po").mkdir()
    for language in ("de", "fr"):
        (tmp_path / "po" / f"{language}.po").write_text(PO.format(language), encoding="utf-8")
    (tmp_path / "memory.tsv").write_text("english\tgerman\none\teins\n" * 30, encoding="utf-8")
    return tmp_path


def test_files_of_two_languages(antiphon: Command, files: Path) -> None:
    told = antiphon("new", "translation", "--from", "po/de.po", "po/fr.po")
    assert told.status == 0, told.err
    assert told.out == (
        "2 records to learn from; left out: 2 untranslated.\n"
        "Learns to turn `source` (1.0 words on average) into `target` (2.0 words on average).\n"
        "Wrote translation.yaml. Look: antiphon inspect translation.yaml\n"
    )
    recipe = read_recipe(files / "translation.yaml")
    assert [file.path for file in recipe.data.train] == [f"{files}/po/de.po", f"{files}/po/fr.po"]
    assert recipe.task.tags == ("language",)
    assert recipe.data.validation == 1
    assert recipe.model.dim == 128, "the preset tiny"
    assert "one model says several languages: de, fr" in (files / "translation.yaml").read_text()


def test_a_folder_and_a_file_with_settings(antiphon: Command, files: Path) -> None:
    (files / "recipes").mkdir()
    told = antiphon("new", "translation", "recipes/a.yaml", "--from", "po", "--from", "{path: po/de.po, states: [translated, fuzzy]}")
    assert told.status == 0, told.err
    text = (files / "recipes" / "a.yaml").read_text()
    assert "\n    - ../po\n    - {path: ../po/de.po, states: [translated, fuzzy]}\n" in text
    assert len(read_recipe(files / "recipes" / "a.yaml").data.train) == 2


def test_a_table_of_two_columns(antiphon: Command, files: Path) -> None:
    told = antiphon("new", "translation", "b.yml", "--from", "memory.tsv")
    assert told.status == 0, told.err
    task = read_recipe(files / "b.yml").task
    assert (task.source, task.target, task.tags) == ("english", "german", ())


def test_what_is_no_pair(antiphon: Command, files: Path) -> None:
    (files / "empty.po").write_text(PO.format("de").replace("de open", ""), encoding="utf-8")
    told = antiphon("new", "translation", "--from", "empty.po")
    assert "nothing to learn from in these files: 0 records; left out: 2 untranslated" in told.err
    told = antiphon("new", "forecasting", "--from", "memory.tsv")
    assert "Which columns are meant for the times of forecasting cannot be guessed; there are english, german." in told.err
    assert told.err.endswith("Say it: --set task.time=COLUMN\n")
    told = antiphon("new", "translation", "a.yaml", "b.yaml")
    assert "`antiphon new` writes one recipe, but a.yaml and b.yaml are named" in told.err
    assert not list(files.glob("*.yaml"))


def test_an_archive_of_recordings_has_no_texts(antiphon: Command, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "clips.zip", "w") as archive:
        archive.writestr("one.wav", b"RIFF")
    told = antiphon("new", "speech", "--data", "clips.zip")
    assert told.status == 1
    assert "Give a table with a column of file names and one of texts" in told.err


def test_plural_forms_of_a_language_that_has_three(antiphon: Command, files: Path) -> None:
    shutil.copy(Path(__file__).parents[1] / "unit" / "readers" / "po" / "pl.po", files)
    told = antiphon("new", "translation", "--from", "pl.po")
    assert told.out.startswith("4 records to learn from; left out: 1 fuzzy, 15 untranslated, 1 obsolete.")
    assert read_recipe(files / "translation.yaml").task.tags == ("form",)
    assert "tags: [form]                   # the plural has several forms" in (files / "translation.yaml").read_text()


def test_fields_within_a_column_are_source_and_target(antiphon: Command, tmp_path: Path) -> None:
    """As data sets of Hugging Face have them."""
    lines = (json.dumps({"id": number, "translation": {"en": f"text {number}", "de": f"Text {number}"}}) for number in range(30))
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines))
    result = antiphon("new", "translation", tmp_path / "pairs.yaml", "--from", tmp_path / "pairs.jsonl")
    assert "30 records to learn from" in result.out
    written = (tmp_path / "pairs.yaml").read_text()
    assert "\n  source: translation.en         # " in written
    assert "\n  target: translation.de         # " in written


def test_a_name_on_the_hub_stays_one(antiphon: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kept.tsv").write_text("english\tgerman\none\teins\n")
    monkeypatch.setattr("antiphon.data.named_files.fetched", lambda _: FileConfig(path=str(tmp_path / "kept.tsv")))
    told = antiphon("new", "translation", tmp_path / "hub.yaml", "--from", "hf://owner/name/kept.tsv")
    assert told.status == 0, told.err
    assert [file.path for file in read_recipe(tmp_path / "hub.yaml").data.train] == ["hf://owner/name/kept.tsv"]
