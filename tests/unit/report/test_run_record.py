"""Reading a run: only the recipe must be there; what is missing or damaged is said."""

import os
from pathlib import Path

import pytest

from antiphon.errors import CheckpointError
from antiphon.report.run_record import read_run
from tests.unit.report.runs import evaluation, make_run


def test_a_whole_run(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", evaluations={"old": evaluation(), "new": {**evaluation(), "data": "newer.tsv"}}, audit={"splits": {}})
    os.utime(run / "evaluations" / "old.json", (1, 1))
    record = read_run(run)
    assert record.setting("model.dim") == 16
    assert record.setting("model.nothing.there") is None
    assert [one.data for one in record.evaluations] == ["newer.tsv", "/data/test.tsv"], "the newest first"
    assert record.audit == {"splits": {}}
    assert [event["step"] for event in record.of_kind("validation")] == [50, 100]
    assert record.improved == 1.7e9 + 50
    assert (record.header, record.problems) == ({}, ())


def test_a_run_that_has_only_begun(tmp_path: Path) -> None:
    record = read_run(make_run(tmp_path / "run", events=()))
    assert (list(record.events), list(record.evaluations), record.audit, record.problems) == ([], [], None, ())


@pytest.mark.parametrize("exists", [True, False])
def test_what_is_no_run_is_refused(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path if exists else tmp_path / "gone"
    with pytest.raises(CheckpointError, match=r"has no recipe\.yaml.*Train one first" if exists else "does not exist"):
        read_run(folder)


@pytest.mark.parametrize("recipe", ["a: [", "- a\n- b\n", "!!python/object/apply:os.system [ls]"])
def test_a_damaged_recipe_is_refused(tmp_path: Path, recipe: str) -> None:
    with pytest.raises(CheckpointError, match=r"recipe\.yaml"):
        read_run(make_run(tmp_path / "run", recipe=recipe))


def test_a_line_cut_short_by_a_kill_is_no_problem(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    whole = len(read_run(run).events)
    with open(run / "metrics.jsonl", "a", encoding="utf-8") as log:
        log.write('{"kind": "tra')
    record = read_run(run)
    assert (len(record.events), record.problems) == (whole, ())


def test_damage_is_said(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", evaluations={"good": evaluation()})
    log = (run / "metrics.jsonl").read_text(encoding="utf-8")
    (run / "metrics.jsonl").write_text("no json\n[1]\n" + log, encoding="utf-8")
    (run / "evaluations" / "bad.json").write_text("{", encoding="utf-8")
    (run / "evaluations" / "list.json").write_text("[]", encoding="utf-8")
    (run / "audit.json").write_bytes(b"\xff\xfe")
    (run / "best").mkdir()
    (run / "best" / "checkpoint.json").write_text("{", encoding="utf-8")
    record = read_run(run)
    said = " ".join(record.problems)
    assert len(record.problems) == 5
    assert all(name in said for name in ("metrics.jsonl:1 and 1 more", "bad.json", "list.json", "audit.json", "checkpoint.json"))
    assert len(record.evaluations) == 1
