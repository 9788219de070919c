"""The programs that make recordings and tables for speech recipes."""

import csv
import importlib.util
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

FOLDER = Path(__file__).resolve().parents[2] / "recipes" / "speech"


def program(name):
    spec = importlib.util.spec_from_file_location(f"speech_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


digits, prepare = program("digits"), program("prepare")


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_digits_are_made_of_those_that_come_with_the_project(tmp_path):
    digits.main([str(tmp_path / "one"), "--train", "9", "--validation", "2", "--test", "6", "--single"])
    digits.main([str(tmp_path / "two"), "--train", "9", "--validation", "2", "--test", "6", "--single"])
    voices = {split: {row["speaker"] for row in rows(tmp_path / "one" / f"{split}.tsv")} for split in ("train", "validation", "test")}
    assert len(voices["train"]) == 9
    assert not voices["train"] & (voices["validation"] | voices["test"])
    for row in rows(tmp_path / "one" / "test.tsv"):
        samples, rate = soundfile.read(tmp_path / "one" / row["audio"])
        again, _ = soundfile.read(tmp_path / "two" / row["audio"])
        np.testing.assert_array_equal(samples, again)
        assert rate == 8000
        assert 0.2 * len(row["text"].split()) < len(samples) / rate < 1.2 * len(row["text"].split()) + 0.5
    said = (tmp_path / "one" / "talk.txt").read_text(encoding="utf-8").split()
    assert set(said) <= set(digits.WORDS)


def test_without_voices_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(digits, "SINGLE_DIGITS", tmp_path / "none.zip")
    monkeypatch.setattr(digits.shutil, "which", lambda _: None)
    with pytest.raises(SystemExit, match="apt-get install espeak-ng"):
        digits.main([str(tmp_path / "out")])
    with pytest.raises(SystemExit, match="at least 1"):
        digits.main([str(tmp_path / "out"), "--train", "0"])


def queen(folder, *lines):
    header = "audio\tspeaker\tseconds\tsplit\ttext\tnormalized"
    (folder / "queen.tsv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    with zipfile.ZipFile(folder / "queen.zip", "w") as archive:
        archive.writestr("a.mp3", b"")
        archive.writestr("b.mp3", b"")
    return folder


def test_tables_name_members_and_what_is_said(tmp_path):
    source = queen(
        tmp_path, 'a.mp3\tJOE\t1.0\ttrain\tSay "hi".\tsay hi', "b.mp3\tJOE\t1.0\tdev\tYou?\tyou", "b.mp3\tJOE\t1.0\ttest\t...\t "
    )
    counts = prepare.write_tables(source, tmp_path / "out")
    assert counts == {"left out: nothing is said": 1, "rows in queen.train.tsv": 1, "rows in queen.dev.tsv": 1, "rows in queen.test.tsv": 0}
    assert rows(tmp_path / "out" / "queen.train.tsv") == [{"audio": "a.mp3", "text": "say hi", "speaker": "JOE", "written": 'Say "hi".'}]
    assert (tmp_path / "out" / "queen.zip").resolve() == (tmp_path / "queen.zip").resolve()


@pytest.mark.parametrize(
    ("line", "problem"),
    [("c.mp3\tJOE\t1.0\ttrain\tx\tx", "has no member c.mp3"), ("a.mp3\tJOE\t1.0\tother\tx\tx", "must be train, dev or test")],
)
def test_tables_that_are_wrong_are_refused(tmp_path, line, problem):
    with pytest.raises(SystemExit, match=problem):
        prepare.main([str(queen(tmp_path, line)), str(tmp_path / "out")])
    with pytest.raises(SystemExit, match=r"has no queen\.tsv"):
        prepare.main([str(tmp_path / "nothing"), str(tmp_path / "out")])
