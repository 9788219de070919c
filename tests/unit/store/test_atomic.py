"""What is replaced in one step is there as it was or as it shall be, whatever happens meanwhile."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from antiphon.store import atomic


def stop(written: int) -> None:
    assert written
    raise KeyboardInterrupt


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_as_text_or_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for mode, content in (("w", "ä\n"), ("wb", b"\xff")):
        with atomic.replacing(path, mode) as file:  # type: ignore[arg-type]
            file.write(content)
            assert names(tmp_path) != ["file"]
        assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
        assert names(tmp_path) == ["file"]


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic.replacing(path) as file:
        stop(file.write("new"))
    assert (path.read_text(), names(tmp_path)) == ("old", ["file"])


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "folder"
    for name in ("one", "two"):
        with atomic.replacing_folder(folder) as new:
            (new / name).write_text(name)
        assert names(folder) == [name]
    with pytest.raises(KeyboardInterrupt), atomic.replacing_folder(folder) as new:
        stop((new / "three").write_text("3"))
    assert (names(folder), names(folder.parent)) == (["two"], ["folder"])


def test_a_new_folder_takes_no_place_that_is_used(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with atomic.new_folder(folder) as new:
        (new / "one").write_text("1")
    with pytest.raises(OSError), atomic.new_folder(folder) as new:
        (new / "two").write_text("2")
    assert (names(folder), names(tmp_path)) == (["one"], ["folder"])


@pytest.mark.parametrize("name", ["replacing", "replacing_folder"])
@pytest.mark.parametrize("place", ["in the block", "sync", "os.replace"])
def test_a_kill_at_any_moment(tmp_path: Path, name: str, place: str) -> None:
    """What is there afterwards is the old or the new, once `clean` has put things right."""
    path = tmp_path / "thing"
    if name == "replacing":
        path.write_text("old")
    else:
        path.mkdir()
        (path / "part").write_text("old")
    program = f"""
import os, sys
from pathlib import Path
from antiphon.store import atomic
die = lambda *a, **k: os._exit(9)
rename = os.replace
if {place!r} == "sync":
    atomic.sync = die
if {place!r} == "os.replace":  # after the first rename
    os.replace = lambda *a: (rename(*a), die())
with atomic.{name}(Path(sys.argv[1])) as new:
    new.write("new") if {name!r} == "replacing" else (new / "part").write_text("new")
    {place!r} == "in the block" and die()
"""
    run = subprocess.run(
        [sys.executable, "-c", program, str(path)], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False
    )
    assert run.returncode == 9
    atomic.clean(tmp_path)
    content = (path if name == "replacing" else path / "part").read_text()
    assert content == ("new" if name == "replacing" and place != "in the block" else "old")
    assert names(tmp_path) == ["thing"]
