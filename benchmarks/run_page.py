"""Run a page of docs/ as it is printed, and show what each of its blocks printed and how long it took.

    python benchmarks/run_page.py docs/learn/context_vector.md FOLDER

The numbers and pictures of the chapters in docs/learn/ come from here; FOLDER is where the page writes. Blocks that a page asks not to be
run are left out, and what it says of its results is asked of them, as in the slow tests.
"""

import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from tests.package.documented_code import Block, run_page  # noqa: E402


def main() -> None:
    """Run the page in the folder, on one thread."""
    torch.set_num_threads(1)
    page, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("examples", "recipes"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    os.chdir(folder)
    begun = last = time.process_time()

    def tell(block: Block, output: str) -> None:
        nonlocal last
        now = time.process_time()
        print(f"--- line {block.line}, {now - last:.1f} s\n{output}", flush=True)
        last = now

    run_page(page, small=False, told=tell)
    print(f"--- {last - begun:.0f} s of one core")


if __name__ == "__main__":
    main()
