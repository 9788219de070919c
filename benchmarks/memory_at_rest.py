"""What a loaded model takes in memory beside what any process of its engine takes, in megabytes and as a share of its files.

    python benchmarks/memory_at_rest.py german-onnx german-ctranslate2

Each folder was exported for an engine. A process of its own opens it twice. The first time Python, torch, the engine's library, and what
these take when something is first computed are loaded with it: that is left out. What the second model adds is counted at rest, when
nothing runs, and once more when it has answered one text, which leaves room for its steps behind. "Own" memory is what no file stands
behind; memory that is mapped from files is shared by all processes that have the same files open.
"""

import argparse
import ctypes
import gc
import subprocess
import sys
from pathlib import Path
from typing import Any

TEXT = "Where is the file that was to be opened?"


def own_and_mapped() -> tuple[float, float]:
    """Megabytes of this process that no file stands behind, and of files that are mapped and were read."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 / 1e6 for line in lines if line.endswith(" kB")}
    return sizes["Anonymous"], sizes["Rss"] - sizes["Anonymous"]


def measure(folder: Path) -> str:
    """A line of the table."""
    import torch

    import antiphon

    torch.set_num_threads(1)
    opened: list[Any] = [antiphon.load(folder)]
    opened[0].predict(TEXT)
    before = own_and_mapped()
    opened.append(antiphon.load(folder))
    rest = own_and_mapped()
    opened[1].predict(TEXT)
    answered = own_and_mapped()
    size = sum(path.stat().st_size for path in (folder / "engine").iterdir()) / 1e6
    own, after = rest[0] - before[0], answered[0] - before[0]
    return f"| {folder.name} | {size:.1f} MB | {own:.1f} MB ({own / size:.2f}) | {after:.1f} MB | {answered[1] - before[1]:.1f} MB |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="exported folders of text models")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.inside:
        print(measure(settings.folders[0]))
        return
    print(
        "| folder | files | own memory at rest (share of the files) | own when it has answered | mapped from files |\n|---|---|---|---|---|"
    )
    for folder in settings.folders:
        command = [sys.executable, __file__, str(folder), "--inside"]
        print(subprocess.run(command, check=True, capture_output=True, text=True).stdout, end="", flush=True)


if __name__ == "__main__":
    main()
