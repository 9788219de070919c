"""English appointments and their German translations: what is said, and that the tables are made."""

import csv
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "recipes" / "speech"


@pytest.fixture
def appointments(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program, which takes voices from the one beside it."""
    pytest.importorskip("soundfile")
    monkeypatch.syspath_prepend(str(FOLDER))
    found = importlib.util.spec_from_file_location("appointments", FOLDER / "appointments.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    monkeypatch.delitem(sys.modules, "digits", raising=False)
    return module


def test_a_translation_says_the_same(appointments: Any) -> None:
    said = dict(appointments.sentences(1))
    assert len(said) == 8 * 8 * 7 * 72
    pairs = {
        "my sister arrives on Friday at half past three": "meine Schwester kommt am Freitag um halb vier an",
        "the guest waits on Monday at half past twelve": "der Gast wartet am Montag um halb eins",
        "Anna leaves on Sunday at one o'clock": "Anna reist am Sonntag um ein Uhr ab",
        "our teacher gets up on Tuesday at a quarter to one": "unser Lehrer steht am Dienstag um Viertel vor eins auf",
    }
    assert {english: said[english] for english in pairs} == pairs
    assert list(said) != list(dict(appointments.sentences(2)))


def test_the_tables_share_no_sentence_and_no_voice(appointments: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(appointments, "speak", lambda *_: np.full(400, 0.1, dtype=np.float32))
    monkeypatch.setattr(appointments.shutil, "which", lambda _: "here")
    appointments.main([str(tmp_path), "--train", "9", "--validation", "2", "--test", "4"])
    rows = {}
    for split in ("train", "validation", "test"):
        with open(tmp_path / f"{split}.tsv", encoding="utf-8", newline="") as file:
            rows[split] = list(csv.DictReader(file, delimiter="\t"))
    assert [len(found) for found in rows.values()] == [9, 2, 4]
    for column in ("english", "speaker"):
        values = [{row[column] for row in found} for found in rows.values()]
        assert not values[0] & values[1]
        assert not values[0] & values[2]
    assert all((tmp_path / row["audio"]).is_file() for found in rows.values() for row in found)
    monkeypatch.setattr(appointments.shutil, "which", lambda _: None)
    with pytest.raises(SystemExit, match=r"appointments.py: espeak-ng speaks the sentences, but is not there"):
        appointments.main([str(tmp_path)])
