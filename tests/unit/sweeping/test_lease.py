"""Who is at a trial, and whether that worker lives."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from antiphon.sweeping.lease import FILE, PATIENCE, is_alive, is_held, kept_alive, own_lease, read_lease, release, write_lease


def test_a_lease_is_held_until_another_one_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "trial"
    assert read_lease(folder) is None
    mine = own_lease()
    write_lease(folder, mine)
    assert read_lease(folder) == mine
    assert is_alive(mine, folder)
    other = own_lease("step-20", mine)
    assert (other.attempt, own_lease("step-20", other).attempt, own_lease("step-40", other).attempt) == (1, 2, 1)
    write_lease(folder, other)
    assert not is_held(folder, mine)
    release(folder, mine)
    assert is_held(folder, other), "what is another one's is not taken away"
    release(folder, other)
    assert read_lease(folder) is None


def test_a_process_that_is_gone_or_another_of_its_number_is_dead(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        began = (Path("/proc") / str(child.pid) / "stat").read_text(encoding="ascii").rpartition(")")[2].split()[19]
        theirs = replace(own_lease(), pid=child.pid, began=began)
        write_lease(tmp_path, theirs)
        assert is_alive(theirs, tmp_path)
        assert not is_alive(replace(theirs, began=str(int(began) - 1)), tmp_path), "the number was given again"
        child.kill()
        child.wait()
        assert not is_alive(theirs, tmp_path)
    finally:
        child.kill()
        child.wait()
        assert child.stdin is not None
        child.stdin.close()


def test_a_worker_elsewhere_is_dead_when_it_shows_no_sign_of_life(tmp_path: Path) -> None:
    theirs = replace(own_lease(), machine="another", pid=1)
    write_lease(tmp_path, theirs)
    assert is_alive(theirs, tmp_path)
    past = time.time() - PATIENCE - 5
    os.utime(tmp_path / FILE, (past, past))
    assert not is_alive(theirs, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FILE], "no probe is left behind"


def test_a_worker_shows_signs_of_life(tmp_path: Path, monkeypatch: object) -> None:
    import antiphon.sweeping.lease as module

    write_lease(tmp_path, own_lease())
    os.utime(tmp_path / FILE, (1, 1))
    every, module.EVERY = module.EVERY, 0.01
    try:
        with kept_alive(tmp_path):
            deadline = time.monotonic() + 20
            while (tmp_path / FILE).stat().st_mtime < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
    finally:
        module.EVERY = every
    assert (tmp_path / FILE).stat().st_mtime > 2
