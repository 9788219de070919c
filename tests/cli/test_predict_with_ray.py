"""Blocks by actors of Ray: the files that one process writes, also when the driver and all that Ray has started are killed on the way."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.cli.test_predict_blocks import contents, corpus  # noqa: F401 -- a fixture

HAS_RAY = importlib.util.find_spec("ray") is not None


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_the_package_that_is_missing_is_named(antiphon: Command, trained: Path, corpus: Path) -> None:  # noqa: F811
    result = antiphon("predict", trained, "--input", "corpus/b.jsonl", "--output", "out/", "--engine", "ray")
    assert result.status == 1
    assert result.err == "antiphon: `--engine ray` needs the package `ray`. Install it with: pip install 'antiphon[ray]'\n"


def command(trained: Path, out: Path, *more: str) -> list[str]:
    named = str(out.parent / "corpus/*.jsonl")
    return [sys.executable, "-m", "antiphon", "predict", str(trained), "-i", named, "--block-records", "2", "-o", f"{out}/", *more]


def environment(**more: str) -> dict[str, str]:
    """That of a process whose Ray is its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {**kept, "OMP_NUM_THREADS": "1", **more}


def ended(asked: list[str], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """What a command has said until its end."""
    return subprocess.run(asked, cwd=folder, env=environment(**more), capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not HAS_RAY, reason="pip install 'antiphon[ray]'")
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
    last = ended(command(trained, out, "--engine", "ray", "--workers", "2"), tmp_path)
    assert last.returncode == 1, "an input cannot be used"
    assert last.stderr.rstrip().endswith("1 input could not be used; its prediction is empty."), last.stderr
    assert f"{out}/ has 17 of 17." in last.stderr
    assert contents(out) == contents(tmp_path / "alone")


@pytest.mark.slow
@pytest.mark.skipif(not HAS_RAY, reason="pip install 'antiphon[ray]'")
def test_a_cluster_that_is_not_there_is_one_sentence(trained: Path, corpus: Path, tmp_path: Path) -> None:  # noqa: F811
    asked = command(trained, tmp_path / "out", "--engine", "ray")
    result = ended(asked, tmp_path, RAY_ADDRESS="127.0.0.1:1")
    assert result.returncode == 1
    assert "antiphon: Ray cannot be joined at 127.0.0.1:1: [Errno 111] Connection refused. " in result.stderr
    assert result.stderr.rstrip().endswith("or leave out `--engine ray`: `--shard I/N` needs no Ray.")
