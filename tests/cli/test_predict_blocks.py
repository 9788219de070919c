"""antiphon predict into a folder of blocks: nothing is lost or there twice, whoever does which block, and another job is refused."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from antiphon.prediction.blocks import OpenBlocks
from antiphon.store import atomic
from tests.cli.conftest import Command

WORDS = ["".join(chr(97 + (index * step) % 7) for index in range(1 + step % 9)) for step in range(1, 24)]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Three files: 23 words with ids, of which one cannot be read, 7 words, and one."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    rows = [{"en": word, "id": number} for number, word in enumerate(WORDS)]
    rows[10]["en"] = "abc" * 60
    for name, part in (("a.jsonl", rows), ("b.jsonl", rows[:7]), ("c.jsonl", rows[:1])):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in part), encoding="utf-8")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """What the files of a folder hold, with those of the job."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def lines(folder: Path, pattern: str = "*.jsonl") -> list[Any]:
    """The predictions of all blocks, in order."""
    return [json.loads(line) for path in sorted(folder.glob(pattern)) for line in path.read_text("utf-8").splitlines()]


def test_shards_write_what_one_process_predicts(antiphon: Command, trained: Path, corpus: Path, tmp_path: Path) -> None:
    asked = ("predict", trained, "--input", "corpus/*.jsonl", "--block-records", 5)
    whole = antiphon("predict", trained, "--input", "corpus/*.jsonl", "--output", "whole.jsonl")
    one = antiphon(*asked, "--output", "out/")
    assert (one.status, whole.status) == (1, 1)
    assert "input 11 (corpus/a.jsonl:11): the source has 181 elements" in one.err
    assert "antiphon: 8 of 8 blocks are done; out/ has 8 of 8." in one.err
    assert one.err.rstrip().endswith("1 input could not be used; its prediction is empty.")
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["job", *(f"part-0000{number}.jsonl" for number in range(8))]
    # one for one, in the order of the inputs, in whichever blocks they are decoded
    predicted = [json.loads(line) for line in (tmp_path / "whole.jsonl").read_text("utf-8").splitlines()]
    assert [(row["id"], row["prediction"]) for row in lines(tmp_path / "out")] == [(row["id"], row["prediction"]) for row in predicted]
    assert len(predicted) == 31
    for number in (3, 1, 2):
        result = antiphon(*asked, "--output", "shards/", "--shard", f"{number}/3")
        assert "of 8." in result.err
        assert result.status == (1 if number == 3 else 0), "the input that cannot be used is in block 2"
    assert contents(tmp_path / "shards") == contents(tmp_path / "out")
    (read,) = (json.loads(line) for line in (tmp_path / "out/job/part-00007.json").read_text("utf-8").splitlines())
    assert (read["input"], read["first"], read["last"], read["inputs"], read["refused"]) == ("corpus/c.jsonl", 1, 1, 1, 0)


def test_a_rerun_does_what_is_not_done(
    antiphon: Command, trained: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("predict", trained, "--input", "corpus/b.jsonl", "--block-records", 2, "--output", "out/")
    assert antiphon(*asked).status == 0
    before = contents(tmp_path / "out")
    done: list[int] = []
    write = OpenBlocks.write

    def counted(self: OpenBlocks, block: Any) -> Any:
        done.append(block.number)
        return write(self, block)

    monkeypatch.setattr(OpenBlocks, "write", counted)
    assert "4 of 4 blocks are done already" in antiphon(*asked).err
    assert done == []
    out = tmp_path / "out"
    (out / "part-00001.jsonl").unlink()  # lost
    (out / "part-00002.jsonl").write_text("half", encoding="utf-8")  # cut off by a disk that was full, say
    (out / "job/part-00003.json").unlink()  # killed between the file and its mark
    left = atomic.partial_name(out / "part-00003.jsonl")
    left.write_text("killed while it was written", encoding="utf-8")
    assert antiphon(*asked).status == 0
    assert done == [1, 2, 3]
    assert contents(out) == before
    assert not left.exists()


def test_stopped_by_ctrl_c(antiphon: Command, trained: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = OpenBlocks.write

    def stopping(self: OpenBlocks, block: Any) -> Any:
        if block.number == 2:
            raise KeyboardInterrupt
        return write(self, block)

    asked = ("predict", trained, "--input", "corpus/b.jsonl", "--block-records", 2, "--output", "out/")
    with monkeypatch.context() as patch:
        patch.setattr(OpenBlocks, "write", stopping)
        result = antiphon(*asked)
    assert result.status == 130
    assert "stopped by Ctrl-C; finished blocks stay, and the same command does the others." in result.err
    assert sorted(path.name for path in (tmp_path / "out").glob("*.jsonl")) == ["part-00000.jsonl", "part-00001.jsonl"]
    assert "2 of 4 blocks are done already" in antiphon(*asked).err


def test_another_job_is_refused(antiphon: Command, trained: Path, corpus: Path, tmp_path: Path) -> None:
    asked = ("predict", trained, "--output", "out/", "--input")
    assert antiphon(*asked, "corpus/b.jsonl", "--block-records", 4).status == 0
    before = contents(tmp_path / "out")
    other = tmp_path / "other"
    shutil.copytree(trained, other, symlinks=True)
    header = (other / "best" / "checkpoint.json").read_text("utf-8")
    from antiphon.store import checkpoint

    checkpoint.amend((other / "best").resolve(), {**json.loads(header), "step": 13})
    for arguments, why in (
        (("corpus/a.jsonl", "--block-records", 4), "its inputs are others"),
        (("corpus/b.jsonl", "--block-records", 3), "its blocks have 4 inputs"),
        (("corpus/b.jsonl", "--block-records", 4, "--set", "search.beam_size=1"), r"its settings are others (search)"),
        (("corpus/b.jsonl", "--block-records", 4, "--set", "evaluation.batch_size=1"), r"its settings are others (recipe)"),
    ):
        result = antiphon(*asked, *arguments)
        assert result.status == 1
        assert result.err.strip().splitlines()[-1].startswith("antiphon: out"), result.err
        assert f"holds predictions of another job: {why}. Choose another `--output`, or remove the folder." in result.err
    result = antiphon("predict", other, "--output", "out/", "--input", "corpus/b.jsonl", "--block-records", 4)
    assert "its model is another one, or has changed" in result.err
    result = antiphon("predict", trained, "--output", "out/*.tsv", "--input", "corpus/b.jsonl", "--block-records", 4)
    assert "its files end in .jsonl" in result.err
    assert contents(tmp_path / "out") == before
    (tmp_path / "out/job/job.json").unlink()
    assert "must be empty or hold this job, but has part-00000.jsonl" in antiphon(*asked, "corpus/b.jsonl").err


def test_other_kinds_of_blocks_and_their_use_as_data(antiphon: Command, trained: Path, corpus: Path, tmp_path: Path) -> None:
    text = tmp_path / "lines.txt"
    text.write_text("abc\n\ncab\n", encoding="utf-8")
    assert antiphon("predict", trained, "--input", "lines.txt", "--output", "plain/*.txt", "--block-records", 2).status == 0
    assert antiphon("predict", trained, "--input", "lines.txt", "--output", "whole.txt").status == 0
    parts = [path.read_text("utf-8") for path in sorted((tmp_path / "plain").glob("*.txt"))]
    assert "".join(parts) == (tmp_path / "whole.txt").read_text("utf-8")
    assert [part.count("\n") for part in parts] == [2, 1]
    assert antiphon("predict", trained, "--input", "corpus/b.jsonl", "--output", "tables/*.tsv", "--block-records", 3).status == 0
    again = antiphon("predict", trained, "--input", "tables/*.tsv", "--output", "again/", "--block-records", 100)
    assert again.status == 0, again.err
    assert [row["id"] for row in lines(tmp_path / "again")] == [str(number) for number in range(7)]
    without = antiphon("predict", trained, "--input", "corpus/b.jsonl", "--output", "auto/")
    assert without.status == 0
    assert [row["id"] for row in lines(tmp_path / "auto")] == list(range(7))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("--shard", "4/3", "--input", "corpus/b.jsonl", "--output", "out/"),
            "`--shard` must be the number of a shard and how many there are, such as 3/8",
        ),
        (("--shard", "x", "--input", "corpus/b.jsonl", "--output", "out/"), "but is 'x'."),
        (("--shard", "1/3"), "Predictions in blocks need input files, such as `--input corpus.tsv`"),
        (("--shard", "1/3", "--input", "corpus/b.jsonl", "--output", "out.jsonl"), "`--output` must be a folder for blocks, such as out/"),
        (("--shard", "1/3", "--input", "corpus/b.jsonl"), "`--output` must be a folder for blocks, such as out/"),
        (("--block-records", "3", "--input", "corpus/b.jsonl", "--output", "corpus/"), "must be another folder than that of the input"),
        (("--input", "corpus/b.jsonl", "--output", "out/*.docx"), "has the suffix .docx"),
    ],
)
def test_bad_input(antiphon: Command, trained: Path, corpus: Path, tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    result = antiphon("predict", trained, *arguments)
    assert result.status == 1
    assert sentence in result.err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_killed_three_times(trained: Path, corpus: Path, tmp_path: Path, seed: int) -> None:
    """Processes of their own, killed at moments that are drawn; the end is what one undisturbed process writes, byte for byte."""
    text = tmp_path / "long.txt"
    text.write_text("".join(f"{WORDS[number % 23]}{number}\n" for number in range(3000)), encoding="utf-8")
    command = [sys.executable, "-m", "antiphon", "predict", str(trained), "-i", str(text), "--block-records", "20", "-q", "-o"]
    subprocess.run([*command, str(tmp_path / "undisturbed/")], check=True, cwd=tmp_path)
    drawn, out = random.Random(seed), tmp_path / "out"
    for _ in range(3):
        process = subprocess.Popen([*command, f"{out}/"], cwd=tmp_path)
        before = len(list(out.glob("part-*")))
        while process.poll() is None and len(list(out.glob("part-*"))) < before + 10:
            time.sleep(0.01)
        time.sleep(drawn.random() * 0.3)
        assert process.poll() is None, "killed while it works"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert 0 < len(list(out.glob("part-*"))) < 150
    subprocess.run([*command, f"{out}/"], check=True, cwd=tmp_path)
    assert contents(out) == contents(tmp_path / "undisturbed")
