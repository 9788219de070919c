"""Runs the code of a page as its reader would: Python and shell blocks from top to bottom, in one folder.

A page is run when it says so (`RUN`). A fence marked `python` or `bash` is run; one marked `yaml` whose first line names a file in a
comment becomes that file. A `text` fence right behind it is what must come out, compared as a doctest does: `...` stands for
anything, and amounts of white space do not count. Output that differs from machine to machine stands in a `console` fence, which nobody
compares. Comments before a fence say what is special about it:

    <!-- not run: reason -->   it needs what a test does not have
    <!-- slow -->              it runs in the slow tests only; nothing behind it may need it
    <!-- full -->              it always runs, but only the slow tests compare what it prints: the fast ones have less data
    <!-- fails -->             it must end in an error, which is part of its output
    <!-- small: STEPS = 3 -->  behind it, the fast tests run this Python, too: the numbers that say how long the page takes
    <!-- claim: a > b -->      not before, but behind a fence: what the page says of its results, which the slow tests ask of them

Unusual: `antiphon ...` commands are run in this process, since starting Python and importing torch would take most of the time.
"""

import contextlib
import doctest
import io
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from antiphon.cli.main import app
from antiphon.errors import AntiphonError

RUN = "<!-- The tests run the code on this page. -->"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMENT = re.compile(r"<!-- (not run|slow|full|fails|small)(?:: ([^>]*))? -->\s*$")
CLAIM = re.compile(r"<!-- claim: (.*?) -->")
# What the fast tests change; a page's own settings stand behind these, so they win.
SMALL = {
    "train": ("training.max_steps=3", "training.validate_every=3", "training.validation_records=4", "training.samples=1"),
    "evaluate": ("search.beam_size=1", "search.limits.max_length=5", "evaluation.resamples=20", "evaluation.batch_size=256"),
    "evaluate ctc": ("search.beam_size=1", "evaluation.resamples=20"),
    "evaluate forecasts": ("search.samples=5", "evaluation.resamples=20", "evaluation.batch_size=256"),
}
CHECKER = doctest.OutputChecker()
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
SHOWN = ("text", "console")


@dataclass
class Block:
    """A fence that is run: its language, code, first line in the page, mark and what that says, the output that must come, and claims."""

    language: str
    code: str
    line: int
    mark: str
    said: str = ""
    expected: str | None = None
    claims: list[str] = field(default_factory=list)


def blocks(text: str) -> Iterator[Block]:
    """The fences of a page that are run."""
    last: Block | None = None
    end = 0
    for fence in FENCE.finditer(text):
        between, language = text[end : fence.start()], fence[1]
        if last is not None:
            last.claims += CLAIM.findall(between)
            if language == "text" and last.expected is None and not between.strip():
                last.expected = fence[2]
        end = fence.end()
        if language in SHOWN:  # what is behind it still speaks of the block before
            continue
        if last is not None:
            yield last
        mark = COMMENT.search(between)
        word, said = (mark[1], mark[2] or "") if mark else ("", "")
        line = text[: fence.start()].count("\n") + 2
        last = Block(language, fence[2], line, word, said) if language in RUNNERS and word != "not run" else None
    if last is not None:
        last.claims += CLAIM.findall(text[end:])
        yield last


def run_page(page: Path, *, small: bool, told: Callable[[Block, str], object] | None = None) -> int:
    """Run the blocks of a page in the current folder; returns how many. `small` stops every training after a few updates. `told` is given
    what each block printed."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    ran = 0
    for block in blocks(page.read_text(encoding="utf-8")):
        if small and block.mark == "slow":
            continue
        place = f"{page.name}:{block.line}"
        output, failed = RUNNERS[block.language](block, place, namespace, small)
        assert failed == (block.mark == "fails"), f"{place} {'failed' if failed else 'did not fail'}:\n{block.code}\n{output}"
        if block.expected is not None and not (small and (block.mark == "full" or "antiphon evaluate" in block.code)):
            assert CHECKER.check_output(block.expected, output, FLAGS), f"{place} printed:\n{output}\nbut should:\n{block.expected}"
        if told is not None:
            told(block, output)
        if small and block.mark == "small":
            exec(block.said, namespace)  # noqa: S102
        for claim in () if small else block.claims:
            assert eval(claim, namespace), f"{place}: it does not hold that {claim}\n{output}"  # noqa: S307
        ran += 1
    return ran


def _run_python(block: Block, place: str, namespace: dict[str, Any], small: bool) -> tuple[str, bool]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        try:
            exec(compile("\n" * (block.line - 1) + block.code, place, "exec"), namespace)  # noqa: S102 -- our own documentation
        except AntiphonError as error:
            print(f"{type(error).__name__}: {error}")
            return out.getvalue(), True
    return out.getvalue(), False


def _run_yaml(block: Block, place: str, namespace: dict[str, Any], small: bool) -> tuple[str, bool]:
    name = re.match(r"# (\S+\.yaml)\n", block.code)
    if name is not None:
        Path(name[1]).write_text(block.code, encoding="utf-8")
    return "", False


def _run_shell(block: Block, place: str, namespace: dict[str, Any], small: bool) -> tuple[str, bool]:
    out = ""
    for command in re.sub(r"\\\n\s*", " ", block.code).splitlines():
        if not command.strip() or command.lstrip().startswith("#"):
            continue
        printed, failed = run_command(command, small=small)
        out += printed
        if failed:
            return out, True
    return out, False


def run_command(command: str, *, small: bool) -> tuple[str, bool]:
    """Run one command line: (what it printed, whether it failed). Only `... | antiphon ...` is known of pipes."""
    before, pipe, after = command.rpartition(" | ")
    words = shlex.split(after if pipe else command, comments=True)
    if words[0] != "antiphon":
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"  # a page's `python` is the one that runs this
        env = {**os.environ, "PATH": path}
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, env=env)  # noqa: S607
        return done.stdout + done.stderr, done.returncode != 0
    given = subprocess.run(["bash", "-c", before], capture_output=True, check=True).stdout if pipe else b""  # noqa: S607
    if small:
        words[2:2] = [part for change in SMALL.get(_kind(words), ()) for part in ("--set", change)]
    return _call(words[1:], given)


def _kind(words: list[str]) -> str:
    """The command, and of evaluations whether forecasts are evaluated, or frames without a decoder: they are searched for in other ways."""
    recipe = Path(words[2]) / "recipe.yaml" if words[1] == "evaluate" else None
    if recipe is None or not recipe.is_file():
        return words[1]
    text = recipe.read_text(encoding="utf-8")
    return "evaluate forecasts" if "name: forecasting" in text else "evaluate ctc" if "search:\n  name: ctc\n" in text else words[1]


def _call(words: list[str], given: bytes) -> tuple[str, bool]:
    """The command line of Antiphon, in this process."""
    out, terminate = io.StringIO(), signal.getsignal(signal.SIGTERM)
    standard_input = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(given), encoding="utf-8")
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = app(words, standalone_mode=False)
    except AntiphonError as error:
        print(f"antiphon: {error}", file=out)
        return out.getvalue(), True
    finally:
        sys.stdin = standard_input
        signal.signal(signal.SIGTERM, terminate)
    return out.getvalue(), bool(code)


RUNNERS = {"python": _run_python, "bash": _run_shell, "yaml": _run_yaml}
