"""antiphon encode: machines encode shares of the data, and training finds them."""

from pathlib import Path

from tests.cli.conftest import Command


def test_shares_are_joined_and_found_by_training(antiphon: Command, project: Path, tmp_path: Path) -> None:
    cached = ("--set", f"data.cache={tmp_path / 'cache'}")
    assert antiphon("encode", project).err.startswith("antiphon: `data.cache` must name the folder in which runs find what is encoded")
    wrong = antiphon("encode", project, *cached, "--shard", "3/2")
    assert "`--shard` must be the number of a shard and how many there are, such as 3/8, counted from 1, but is '3/2'" in wrong.err
    first = antiphon("encode", project, *cached, "--shard", "2/2")
    assert (first.status, first.err) == (0, "Share 2/2 is encoded. Missing: 1. The last one to end joins them.\n")
    last = antiphon("encode", project, *cached, "--shard", "1/2")
    assert (last.status, last.err) == (0, "train: 40 of 40 records\n")
    made = {path.name: (path / "manifest.json").stat().st_ino for path in (tmp_path / "cache").iterdir()}
    assert sorted(made) == ["train-0", "validation-0"]
    two = antiphon("encode", project, "--set", f"data.cache={tmp_path / 'two'}", "--set", "data.workers=2")
    assert (two.status, two.err) == (0, "train: 40 of 40 records\n")
    for path in (tmp_path / "cache" / "train-0").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / "train-0" / path.name).read_bytes(), "by processes as by machines"
    assert antiphon("train", project, "--out", tmp_path / "run", *cached, "--set", "training.max_steps=1", "--quiet").status == 0
    assert made == {path.name: (path / "manifest.json").stat().st_ino for path in (tmp_path / "cache").iterdir()}, "nothing encoded again"
