"""Benchmarks: processes that take turns, loops that are held between them, and the table at the end."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

_A_LOOP = """
import sys
from worker import HeldLoop
loop = HeldLoop(updates=4, warm_up=3)
done = 0
while True:
    loop.before_update(parameters=7)
    done += 1
    print("printed by a library")
    print("done", done, file=sys.stderr)
"""
_A_TASK = """
from worker import Ready, serve
serve(lambda: Ready({"training": lambda: 4.0, "decoding": lambda: 1.0}))
"""


@pytest.fixture(autouse=True)
def _benchmarks_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def test_a_held_loop_does_so_many_updates_a_turn_and_no_more(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from turns import System, take_turns

    program = tmp_path / "loop.py"
    program.write_text(_A_LOOP)
    found = take_turns([System("held", str(program))], rounds=2)
    assert [len(rates) for rates in found["held"].rates.values()] == [2]
    assert found["held"].parameters == 7
    assert found["held"].peak_megabytes > 1
    assert [line for line in capfd.readouterr().err.splitlines() if line.startswith("done")][-1] == "done 11"  # 3, then twice 4


def test_systems_take_turns_and_need_not_do_the_same_tasks(tmp_path: Path) -> None:
    from turns import System, take_turns

    held, free = tmp_path / "loop.py", tmp_path / "task.py"
    held.write_text(_A_LOOP)
    free.write_text(_A_TASK)
    found = take_turns([System("held", str(held)), System("free", str(free))], rounds=1, clock="cpu")
    assert {name: list(measured.rates) for name, measured in found.items()} == {"held": ["training"], "free": ["training", "decoding"]}
    assert found["free"].parameters is None


def test_a_system_that_fails_is_named(tmp_path: Path) -> None:
    from turns import System, take_turns

    program = tmp_path / "broken.py"
    program.write_text("raise SystemExit(3)")
    with pytest.raises(SystemExit, match="odd one ended with status 3"):
        take_turns([System("odd one", str(program))], rounds=1)


def test_the_table_has_medians_ratios_within_rounds_and_parameters_where_known() -> None:
    from turns import Measured, table

    found = {
        "ours": Measured({"training": [10.0, 20.0, 30.0]}, 100.0, 1234),
        "theirs": Measured({"training": [5.0, 20.0, 60.0]}, 200.0),
    }
    assert table(found, "updates", "ours").splitlines() == [
        "| updates | parameters | training | peak memory |",
        "|---|---|---|---|",
        "| ours | 1,234 | 20.0 (1.00; 1.00 to 1.00) | 100 MB |",
        "| theirs |  | 20.0 (1.00; 0.50 to 2.00) | 200 MB |",
    ]
    without = {name: Measured(measured.rates, measured.peak_megabytes) for name, measured in found.items()}
    assert table(without, "updates", "ours").splitlines()[0] == "| updates | training | peak memory |"


def test_versions_leave_out_what_is_not_there() -> None:
    from turns import versions

    assert versions(sys.executable, ["pytest", "a-package-that-is-not-there"]) == f"pytest {pytest.__version__}"


def test_everybodys_threads_sleep_while_they_wait_but_those_of_a_system_that_is_to_spin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from turns import System, take_turns

    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    program = tmp_path / "task.py"
    program.write_text(f"import os, sys\nprint('it has', os.environ.get('OMP_WAIT_POLICY'), file=sys.stderr)\n{_A_TASK}")
    take_turns([System("one", str(program)), System("other", str(program), spinning=True)], rounds=1)
    assert [line for line in capfd.readouterr().err.splitlines() if line.startswith("it has")] == ["it has PASSIVE", "it has None"]


def test_what_spins_is_measured_alone_and_two_at_once() -> None:
    from turns import System, asleep_and_spinning

    found = asleep_and_spinning(System("ours", "own_training.py"))
    assert [(one.name, one.processes, one.spinning) for one in found] == [
        ("ours", 1, False),
        ("ours, spinning", 1, True),
        ("ours, two at once", 2, False),
        ("ours, two at once, spinning", 2, True),
    ]
