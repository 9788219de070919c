"""The journal: what is drawn, what others find, and that a line of the dead does not keep anybody from reading."""

from pathlib import Path

import pytest

pytest.importorskip("optuna", reason="needs the extra `tune`")

from antiphon.contracts.configuration import validate
from antiphon.errors import CheckpointError
from antiphon.sweeping.journal import FILE, Journal
from antiphon.sweeping.settings import SweepConfig
from antiphon.sweeping.space import Space


def journal(folder: Path, **settings: object) -> Journal:
    space = {"rate": {"low": 1e-4, "high": 1e-2, "log": True}, "dim": [16, 32, 64], "layers": {"low": 1, "high": 4, "integer": True}}
    known = validate(SweepConfig, {"space": space, **settings})
    return Journal(folder, known, Space(known.space), maximize=True)


def drawn(one: Journal, count: int) -> list[object]:
    """Trials that end with a score made of their settings."""
    points = []
    for _ in range(count):
        with one.claim():
            trial = one.create()
        assert trial is not None
        points.append(trial.point)
        one.end(trial.number, "complete", float(trial.point["rate"]) * 100 + float(trial.point["layers"]), {"seconds": 1.0})
    return points


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_another_process_goes_on_as_one_alone_would(tmp_path: Path, sampler: str) -> None:
    for name in ("alone", "two"):
        (tmp_path / name).mkdir()
    alone = drawn(journal(tmp_path / "alone", sampler=sampler), 14)
    first, second = journal(tmp_path / "two", sampler=sampler), journal(tmp_path / "two", sampler=sampler)
    assert [*drawn(first, 7), *drawn(second, 7)] == alone, "one seed in two workers neither repeats a trial nor changes one"
    assert len({str(point) for point in alone}) == 14
    assert [trial.point for trial in first.trials()] == alone
    if sampler == "tpe":
        shares = first.importances()
        assert shares.keys() == {"rate", "dim", "layers"}
        assert sum(shares.values()) == pytest.approx(1)


def test_everything_is_tried_once_and_then_nothing(tmp_path: Path) -> None:
    space = {"a": [1, 2, None], "b": {"low": 0, "high": 1, "step": 0.5}}
    for sampler in ("grid", "random", "tpe"):
        (tmp_path / sampler).mkdir()
        known = validate(SweepConfig, {"space": space, "sampler": sampler})
        one = Journal(tmp_path / sampler, known, Space(known.space), maximize=False)
        for _ in range(9):
            with one.claim():
                assert one.create() is not None
        with one.claim():
            assert one.create() is None
        assert len({str(trial.point) for trial in one.trials()}) == 9


def test_a_line_that_was_not_written_to_its_end_is_cut_off(tmp_path: Path) -> None:
    one, other = journal(tmp_path), journal(tmp_path)
    points = drawn(one, 2)
    with open(tmp_path / FILE, "ab") as file:
        file.write(b'{"op_code":5,"worker_id"')  # killed
    points += drawn(other, 1)
    assert [trial.point for trial in one.trials()] == points
    assert [trial.outcome for trial in journal(tmp_path).trials()] == ["complete"] * 3


def test_a_damaged_journal_is_said(tmp_path: Path) -> None:
    drawn(journal(tmp_path), 1)
    lines = (tmp_path / FILE).read_bytes().splitlines(keepends=True)
    (tmp_path / FILE).write_bytes(b"".join([*lines[:1], b"nonsense\n", *lines[1:]]))
    with pytest.raises(CheckpointError, match=r"journal\.log is damaged"):
        journal(tmp_path)


def test_a_trial_that_is_worse_than_the_median_promises_little(tmp_path: Path) -> None:
    one = journal(tmp_path, pruning={"name": "median", "first_trials": 3, "first_validations": 1})
    for level in (10.0, 20.0, 30.0):
        with one.claim():
            trial = one.create()
        assert trial is not None
        for validation in (1, 2, 3):
            one.report(trial.number, validation, level + validation)
            assert not one.promises_little(trial.number), "the first ones come to their end"
        one.end(trial.number, "complete", level + 3, {})
    with one.claim():
        poor = one.create()
    assert poor is not None
    one.report(poor.number, 1, 5.0)
    assert not one.promises_little(poor.number), "the first validation is not judged"
    one.report(poor.number, 2, 21.0)
    assert one.promises_little(poor.number), "the median of 12, 22 and 32 is 22"
    one.report(poor.number, 3, 21.5)
    assert not one.promises_little(poor.number), "it has come to its end, and deserves a score"
    one.report(poor.number, 2, 99.0)
    assert one.trials()[poor.number].validations == (5.0, 21.0, 21.5), "what is known stays: a resumed trial tells it again"


def test_hyperband_lets_the_best_third_go_on(tmp_path: Path) -> None:
    one = journal(tmp_path, pruning="hyperband", sampler="random")
    ended = 0
    for number in range(12):
        with one.claim():
            trial = one.create()
        assert trial is not None
        pruned = False
        for validation in range(1, 10):
            one.report(trial.number, validation, float(number % 4))
            if pruned := one.promises_little(trial.number):
                break
        ended += pruned
        one.end(trial.number, "pruned" if pruned else "complete", None if pruned else float(number % 4), {})
    assert 0 < ended < 12
    assert one.trials()[0].outcome == "complete", "nothing is known yet of how many validations there are"
