"""The schema for editors, alone and beside a new recipe."""

import json
from pathlib import Path

from tests.cli.conftest import Command


def test_the_schema_is_printed_or_written(antiphon: Command, tmp_path: Path) -> None:
    printed = antiphon("schema")
    assert (printed.status, printed.err) == (0, "")
    assert json.loads(printed.out)["$schema"].endswith("2020-12/schema")
    written = antiphon("schema", "-o", "s.json")
    assert "# yaml-language-server: $schema=s.json" in written.out
    assert (tmp_path / "s.json").read_text(encoding="utf-8") == printed.out
    assert "nowhere/s.json cannot be written" in antiphon("schema", "-o", "nowhere/s.json").err


def test_a_new_recipe_names_the_schema_beside_it(antiphon: Command, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert antiphon("new", "translation", "folder/mine.yaml").status == 0
    first = (tmp_path / "folder" / "mine.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=.antiphon-schema.json"
    assert json.loads((tmp_path / "folder" / ".antiphon-schema.json").read_text(encoding="utf-8"))["title"] == "Antiphon recipe"
    assert antiphon("new", "forecasting", "folder/other.yaml").status == 0, "a second one has the same schema"
