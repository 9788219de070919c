"""The same against S3, as the server of moto plays it: training, killed and resumed elsewhere, predicting in shards, what is not there."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import write_project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(
        not all(map(importlib.util.find_spec, ("s3fs", "moto", "flask"))), reason="pip install '.[remote]' 'moto[server]>=5,<6'"
    ),
]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with an empty bucket."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open(tmp_path_factory.mktemp("moto") / "log", "wb") as log:
        server = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
    try:
        until = time.monotonic() + 120
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.poll() is None, "the server has ended"
            assert time.monotonic() < until, "the server does not begin"
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


class Machine:
    """A machine with a cache of its own, and with credentials."""

    def __init__(self, folder: Path, endpoint: str):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
        known = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self.environment = {**known, **keys, "AWS_ENDPOINT_URL": endpoint, "ANTIPHON_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A command that runs."""
        asked = [sys.executable, "-m", "antiphon", *arguments]
        return subprocess.Popen(asked, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def call(self, *arguments: str) -> tuple[int, str]:
        """A command's exit status, and what it said."""
        process = self.start(*arguments)
        _, said = process.communicate()
        return process.returncode, said

    def files(self) -> "object":
        """The storage, as this process sees it."""
        import s3fs

        return s3fs.S3FileSystem(
            key="testing",
            secret="testing",
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            use_listings_cache=False,
            skip_instance_cache=True,
        )


def test_a_life_in_s3(endpoint: str, tmp_path: Path) -> None:
    first = Machine(tmp_path / "first", endpoint)
    recipe = write_project(first.folder)
    files = first.files()
    files.mkdir("bucket")
    for name in ("train", "validation"):
        files.put_file(str(first.folder / f"{name}.tsv"), f"bucket/data/{name}.tsv")
    named = ("--set", "data.train=s3://bucket/data/train.tsv", "--set", "data.validation=s3://bucket/data/validation.tsv")
    steps = ("--set", "training.max_steps=120", "--set", "training.validate_every=12")
    status, said = first.call("train", str(recipe), "--out", "here", *named, *steps)
    assert status == 0, said

    process = first.start("train", str(recipe), "--out", "s3://bucket/run", *named, *steps)
    until = time.monotonic() + 400
    while not files.exists("bucket/run/links.json"):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()

    second = Machine(tmp_path / "second", endpoint)
    (second.folder / "words.txt").write_text("abc1\ncab2\nbca\n", encoding="utf-8")
    files.put_file(str(second.folder / "words.txt"), "bucket/in/words.txt")
    status, said = second.call("predict", "s3://bucket/run", "-i", "s3://bucket/in/*.txt", "-o", "s3://bucket/out/early.jsonl")
    assert status == 0, said
    status, said = second.call("train", str(recipe), "--out", "s3://bucket/run", *named, *steps, "--resume")
    assert status == 0, said
    assert "already" not in said

    ours = ("-i", "s3://bucket/in/words.txt", "-o", "s3://bucket/out/late.jsonl")
    assert second.call("predict", "s3://bucket/run", *ours)[0] == 0
    status, said = first.call("predict", "here", "-i", "s3://bucket/in/words.txt", "-o", "there.jsonl")
    assert status == 0, said
    assert files.cat("bucket/out/late.jsonl") == (first.folder / "there.jsonl").read_bytes(), "killed and resumed elsewhere, the same model"
    asked = ("-i", "s3://bucket/in/words.txt", "-o", "s3://bucket/blocks/", "--block-records", "1")
    for shard in ("1/2", "2/2"):
        status, said = second.call("predict", "s3://bucket/run", *asked, "--shard", shard)
        assert status == 0, said
    assert said.rstrip().endswith("s3://bucket/blocks/ has 3 of 3.")
    blocks = [files.cat(path) for path in sorted(files.glob("bucket/blocks/*.jsonl"))]
    assert b"".join(blocks) == files.cat("bucket/out/late.jsonl")

    for arguments, sentence in (
        (
            ("s3://bucket/run", "-i", "s3://gone/words.txt"),
            "There is no `s3://gone/words.txt`. It needs a bucket that is there",
        ),
        (("s3://bucket/none", "-i", "words.txt"), "There is no run or checkpoint s3://bucket/none"),
        (("s3://bucket/run", "-i", "words.txt", "-o", "s3://gone/out.txt"), "`s3://gone/out.txt` cannot be written: "),
    ):
        status, said = second.call("predict", *arguments)
        assert status == 1
        assert sentence in said
        assert said.count("antiphon: ") == 1, said
        assert "Traceback" not in said
    stranger = Machine(tmp_path / "stranger", endpoint)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del stranger.environment[name]
    stranger.environment |= {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(stranger.folder)}
    status, said = stranger.call("predict", "s3://bucket/run", "-i", "s3://bucket/in/words.txt")
    assert status == 1
    assert "AWS_ACCESS_KEY_ID" in said
    assert "Traceback" not in said
