"""Blocks by actors of Ray: the files that one process writes, also when the driver, or one of the actors, is killed on the way."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.cli.test_predict_blocks import contents, corpus  # noqa: F401 -- a fixture

HAS_RAY = importlib.util.find_spec("ray") is not None


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_the_package_that_is_missing_is_named(antiphon: Command, trained: Path, corpus: Path) -> None:  # noqa: F811
    result = antiphon("predict", trained, "--input", "corpus/b.jsonl", "--output", "out/", "--engine", "ray")
    assert result.status == 1
    assert result.err == "antiphon: `--engine ray` needs the package `ray`. Install it, in Antiphon's folder, with: pip install '.[ray]'\n"


def command(trained: Path, out: Path, *more: str) -> list[str]:
    named = str(out.parent / "corpus/*.jsonl")
    return [sys.executable, "-m", "antiphon", "predict", str(trained), "-i", named, "--block-records", "2", "-o", f"{out}/", *more]


def environment(**more: str) -> dict[str, str]:
    """That of a process whose Ray is its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {**kept, "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0", **more}  # on a busy machine nice actors wait for everybody


def ended(asked: list[str], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """What a command has said until its end."""
    return subprocess.run(asked, cwd=folder, env=environment(**more), capture_output=True, text=True, check=False)


def with_a_dead_actor(asked: list[str], out: Path) -> subprocess.CompletedProcess[str]:
    """A command one of whose actors is killed once a block more is there: its block is predicted by another one."""
    mark = f"ANTIPHON_TEST={uuid.uuid4().hex}"
    name, value = mark.split("=")
    before = len(list(out.glob("part-*")))
    with subprocess.Popen(
        asked, cwd=out.parent, env=environment(**{name: value}), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        actors = list[int]()
        while not actors and process.poll() is None:
            time.sleep(0.02)
            if len(list(out.glob("part-*"))) > before:
                actors = [int(one.name) for one in Path("/proc").iterdir() if one.name.isdecimal() and is_actor(one, mark)]
        assert actors, "killed while it works"
        os.kill(actors[0], signal.SIGKILL)
        said = process.communicate()
    return subprocess.CompletedProcess(asked, process.returncode, *said)


def is_actor(process: Path, mark: str) -> bool:
    """Whether a process is an actor of the command whose environment has this mark."""
    try:
        return b"MapWorker" in (process / "cmdline").read_bytes() and mark.encode() in (process / "environ").read_bytes()
    except OSError:  # it has ended
        return False


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not HAS_RAY, reason="pip install '.[ray]'")
def test_actors_write_the_same_files_and_go_on_after_kills(trained: Path, corpus: Path, tmp_path: Path) -> None:  # noqa: F811
    alone = ended(command(trained, tmp_path / "alone"), tmp_path)
    assert alone.returncode == 1
    assert "has 17 of 17." in alone.stderr
    out = tmp_path / "out"
    for _ in range(2):
        process = subprocess.Popen(
            command(trained, out, "--engine", "ray", "--workers", "2"), cwd=tmp_path, env=environment(), start_new_session=True
        )
        before = len(list(out.glob("part-*")))
        while process.poll() is None and len(list(out.glob("part-*"))) < before + 4:
            time.sleep(0.02)
        assert process.poll() is None, "killed while it works"
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = len(list((out / "job").glob("part-*")))
    assert 0 < done < 17
    last = with_a_dead_actor(command(trained, out, "--engine", "ray", "--workers", "2"), out)
    assert last.returncode == 1, "an input cannot be used"
    assert last.stderr.rstrip().endswith("1 input could not be used; its prediction is empty."), last.stderr
    assert f"{out}/ has 17 of 17." in last.stderr
    assert contents(out) == contents(tmp_path / "alone")


@pytest.mark.slow
@pytest.mark.skipif(not HAS_RAY, reason="pip install '.[ray]'")
def test_a_cluster_that_is_not_there_is_one_sentence(trained: Path, corpus: Path, tmp_path: Path) -> None:  # noqa: F811
    asked = command(trained, tmp_path / "out", "--engine", "ray")
    result = ended(asked, tmp_path, RAY_ADDRESS="127.0.0.1:1")
    assert result.returncode == 1
    assert "antiphon: Ray cannot be joined at 127.0.0.1:1: [Errno 111] Connection refused. " in result.stderr
    assert result.stderr.rstrip().endswith("or leave out `--engine ray`: `--shard I/N` needs no Ray.")
