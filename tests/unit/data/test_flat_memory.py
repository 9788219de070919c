"""A corpus that does not fit into the memory allowed is built and read all the same (a small run of benchmarks/flat_memory.py)."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_DATA counts arrays on Linux only")
def test_a_corpus_larger_than_the_memory_allowed(tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "flat_memory.py"),
        "--megabytes",
        "60",
        "--headroom",
        "48",
        "--folder",
        str(tmp_path),
    ]
    run = subprocess.run(
        command, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert "fails with MemoryError, as it must" in run.stdout, run.stdout
    assert list(tmp_path.iterdir()) == []
